#include "controller/repos/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "controller/repos/trust.h"

namespace furrow::repos {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFile = "file://";
constexpr std::string_view kHookMark = "# furrow-hook: post-receive";  // the second line; controller/cli/hook writes it

Error NotAllowed(const std::string& repository) {
  return {Errc::kRejected, "the repository " + repository + " is not on the controller's list of allowed repositories"};
}

Result<Source> LocateLocal(const WorkerRequest& request, const std::string& path) {
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  if (failed) {
    return Fail(Errc::kNotFound, "there is no repository at " + path + " (" + failed.message() +
                                     "): was it moved, or may the controller not read it?");
  }
  // Links are resolved first, so that no link leads around the list.
  if (!OnList(request.allowed, real)) return tl::unexpected(NotAllowed(path));
  FURROW_TRY(CheckWhereItLeads(real, request.allowed));
  return Source{true, real.native()};
}

// Says in which way libgit2 cannot read a repository that git itself can.
std::optional<Error> Unsupported(const std::string& path) {
  for (const char* config : {"/.git/config", "/config"}) {
    std::ifstream in(path + config);
    for (std::string line; std::getline(in, line);) {
      std::string word;
      for (const char c : line)
        if (c != ' ' && c != '\t') word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (word == "objectformat=sha256")
        return Error{Errc::kRejected,
                     "the repository " + path +
                         " names its objects by SHA-256, which the farm cannot read; `furrow run` in a "
                         "working copy works, and `git init --object-format=sha1` makes one that pushes "
                         "can be taken from"};
      if (word == "refstorage=reftable")
        return Error{Errc::kRejected, "the repository " + path +
                                          " keeps its refs in reftables, which the farm cannot read; `git refs migrate "
                                          "--ref-format=files` there changes that"};
    }
  }
  return std::nullopt;
}

// Opens the bare repository at `path`, or the one of the working copy there. Nothing of its configuration is executed
// and parents are not searched.
Result<Repository> OpenLocal(const std::string& path) {
  git_repository* opened = nullptr;
  if (auto unsupported = Unsupported(path)) return tl::unexpected(std::move(*unsupported));
  constexpr unsigned kExactly = GIT_REPOSITORY_OPEN_NO_SEARCH;
  int code = git_repository_open_ext(&opened, (path + "/.git").c_str(), kExactly | GIT_REPOSITORY_OPEN_BARE, nullptr);
  if (code != 0) code = git_repository_open_ext(&opened, path.c_str(), kExactly | GIT_REPOSITORY_OPEN_BARE, nullptr);
  // A linked working copy has a file .git that names the repository's folder.
  if (code != 0) code = git_repository_open_ext(&opened, path.c_str(), kExactly, nullptr);
  if (code == GIT_ENOTFOUND)
    return Fail(Errc::kNotFound, "there is no git repository at " + path +
                                     ": was it moved or deleted, or may the controller not read it?");
  if (code != 0) return tl::unexpected(GitError(code, "cannot open the repository " + path));
  return Repository(opened);
}

// Returns whether the farm's hook is where git looks for hooks. Settings of a user are not read.
bool HasHook(git_repository* repository) {
  const fs::path common = git_repository_commondir(repository);
  fs::path folder = common / "hooks";
  git_config* config = nullptr;
  if (git_repository_config_snapshot(&config, repository) == 0) {
    const char* path = nullptr;
    if (git_config_get_string(&path, config, "core.hookspath") == 0) folder = common / path;
    git_config_free(config);
  }
  const fs::path hook = folder / "post-receive";
  std::ifstream in(hook);
  std::string shebang, mark;
  std::getline(in, shebang);
  std::getline(in, mark);
  return mark == kHookMark && ::access(hook.c_str(), X_OK) == 0;
}

// Keys come from the user's ssh agent; nothing else is offered.
int GiveCredential(git_credential** out, const char*, const char* user, unsigned int kinds, void*) {
  if ((kinds & GIT_CREDENTIAL_SSH_KEY) != 0)
    return git_credential_ssh_key_from_agent(out, user != nullptr ? user : "git");
  return GIT_PASSTHROUGH;
}

git_fetch_options FetchOptions() {
  git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
  options.callbacks.credentials = GiveCredential;
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
  options.update_fetchhead = 0;
  options.follow_redirects = GIT_REMOTE_REDIRECT_NONE;  // A redirect could lead from a listed host to any other.
  return options;
}

bool HasObject(git_repository* repository, const std::string& hex) {
  git_oid id;
  git_object* object = nullptr;
  if (git_oid_fromstr(&id, hex.c_str()) != 0 || git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY) != 0) {
    return false;
  }
  git_object_free(object);
  return true;
}

Status Fetch(git_repository* mirror, const Source& source, const std::string& refspec) {
  git_remote* made = nullptr;
  int code = git_remote_create_anonymous(&made, mirror, source.address.c_str());
  if (code != 0) return tl::unexpected(GitError(code, "cannot fetch from " + source.address));
  const Remote remote(made);
  std::string words = refspec;
  char* list[] = {words.data()};
  const git_strarray refspecs{list, 1};
  const git_fetch_options options = FetchOptions();
  code = git_remote_fetch(made, &refspecs, &options, nullptr);
  if (code != 0) return tl::unexpected(GitError(code, "cannot fetch from " + source.address));
  return {};
}

bool Wanted(std::string_view ref) {
  return (ref.starts_with("refs/heads/") || ref.starts_with("refs/tags/")) && !ref.ends_with("^{}");
}

Result<Look> LookAtLocal(const Source& source) {
  FURROW_ASSIGN(const Repository repository, OpenLocal(source.address));
  git_reference_iterator* made = nullptr;
  if (const int code = git_reference_iterator_new(&made, repository.get()); code != 0) {
    return tl::unexpected(GitError(code, "cannot read the refs of " + source.address));
  }
  const References all(made);
  Refs refs;
  git_reference* next = nullptr;
  while (git_reference_next(&next, made) == 0) {
    const Reference ref(next);
    const char* name = git_reference_name(next);
    git_oid id;
    // Branches that name other branches are resolved; a dangling one is left out.
    if (Wanted(name) && git_reference_name_to_id(&id, repository.get(), name) == 0) refs[name] = ToHex(id);
  }
  return Look{std::move(refs), IdentityOf(source, repository.get()), HasHook(repository.get())};
}

}  // namespace

Result<Source> Locate(const WorkerRequest& request) {
  const std::string& repository = request.import.repository;
  if (repository.starts_with('/')) return LocateLocal(request, repository);
  if (repository.starts_with(kFile)) return LocateLocal(request, repository.substr(kFile.size()));
  if (repository.find("://") == std::string::npos) {
    return Fail(Errc::kInvalid, "\"" + Presentable(repository, 200) +
                                    "\" is neither an absolute path nor an address like ssh://host/path");
  }
  const bool allowed = std::ranges::any_of(request.allowed, [&](const std::string& prefix) {
    return prefix.find("://") != std::string::npos && Beneath(repository, prefix);
  });
  if (!allowed) return tl::unexpected(NotAllowed(repository));
  return Source{false, repository};
}

std::string FileFor(const WorkerRequest& request, const Source& source, const char* suffix) {
  return request.mirrors + "/" + HashOf(source.address).ToHex() + suffix;
}

Result<Repository> OpenForImport(const WorkerRequest& request, const Source& source) {
  if (source.local) return OpenLocal(source.address);
  const std::string path = FileFor(request, source, ".git");
  git_repository* opened = nullptr;
  int code =
      git_repository_open_ext(&opened, path.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
  if (code == GIT_ENOTFOUND) code = git_repository_init(&opened, path.c_str(), 1);
  if (code != 0) return tl::unexpected(GitError(code, "cannot open the mirror " + path));
  Repository mirror(opened);
  if (HasObject(opened, request.import.commit)) return mirror;
  Status fetched;
  if (request.import.ref.starts_with("refs/")) {
    fetched = Fetch(opened, source, "+" + request.import.ref + ":" + request.import.ref);
  }
  // The ref may be gone by now while another branch still reaches the commit.
  if (!HasObject(opened, request.import.commit)) fetched = Fetch(opened, source, "+refs/heads/*:refs/heads/*");
  if (!fetched) return tl::unexpected(fetched.error());
  return mirror;
}

std::string IdentityOf(const Source& source, git_repository* repository) {
  if (!source.local) return source.address;
  struct statx facts {};
  const char* const folder = git_repository_commondir(repository);
  if (::statx(AT_FDCWD, folder, 0, STATX_INO | STATX_BTIME, &facts) != 0) return "";
  // A repository that is made after another one was deleted may have its number, but is younger.
  const bool dated = (facts.stx_mask & STATX_BTIME) != 0;
  return std::to_string(facts.stx_dev_major) + "," + std::to_string(facts.stx_dev_minor) + ":" +
         std::to_string(facts.stx_ino) +
         (dated ? ":" + std::to_string(facts.stx_btime.tv_sec) + "." + std::to_string(facts.stx_btime.tv_nsec) : "");
}

Result<Look> LookAt(const Source& source) {
  if (source.local) return LookAtLocal(source);
  git_remote* made = nullptr;
  int code = git_remote_create_detached(&made, source.address.c_str());
  if (code != 0) return tl::unexpected(GitError(code, "cannot ask " + source.address));
  const Remote remote(made);
  const git_fetch_options options = FetchOptions();
  code = git_remote_connect(made, GIT_DIRECTION_FETCH, &options.callbacks, nullptr, nullptr);
  const git_remote_head** heads = nullptr;
  std::size_t count = 0;
  if (code == 0) code = git_remote_ls(&heads, &count, made);
  if (code != 0) return tl::unexpected(GitError(code, "cannot ask " + source.address));
  Refs refs;
  for (std::size_t i = 0; i < count; ++i) {
    if (Wanted(heads[i]->name)) refs[heads[i]->name] = ToHex(heads[i]->oid);
  }
  return Look{std::move(refs), source.address, false};
}

}  // namespace furrow::repos
