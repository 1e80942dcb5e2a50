#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>
#include <filesystem>
#include <iterator>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "controller/repos/blob_cache.h"
#include "controller/repos/git.h"
#include "controller/repos/import.h"
#include "controller/repos/repos.h"
#include "controller/repos/source.h"
#include "controller/repos/worker_messages.h"

namespace furrow {
namespace {

using repos::WorkerReply;
using repos::WorkerRequest;

std::string ReadAll(int fd) {
  std::string bytes;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(fd, buffer, sizeof(buffer))) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) bytes.append(buffer, static_cast<std::size_t>(got));
  }
  return bytes;
}

// libgit2 reads only the repository's own configuration and executes nothing of it: libgit2 runs no hooks, and the
// worker uses neither filters nor a working copy. Therefore the owner of the repository does not matter: the pushing
// user is usually not the controller's, and git's safe.directory guards against running that user's hooks and commands,
// which does not happen here.
void SetUpLibgit2() {
  git_libgit2_init();
  git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
  for (const git_config_level_t level :
       {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL}) {
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  }
  // These extensions change nothing of what is read: which objects are fetched later, and where settings lie.
  const char* extensions[] = {"partialclone", "worktreeconfig", "preciousobjects", "relativeworktrees"};
  git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, std::size(extensions));
  // By default libgit2 maps packs whole, which counts against the memory limit.
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, std::size_t{32} << 20);
  git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, std::size_t{256} << 20);
}

Result<ImportedCommit> Import(const WorkerRequest& request, const repos::Source& source) {
  std::error_code failed;
  std::filesystem::create_directories(request.mirrors, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot make the folder " + request.mirrors, failed.value()));
  FURROW_ASSIGN(const repos::Repository repository, repos::OpenForImport(request, source));
  FURROW_ASSIGN(const std::unique_ptr<ChunkStore> store, ChunkStore::Open(request.blobs));
  repos::BlobCache cache(repos::FileFor(request, source, ".blobs"));
  // A word that does not arrive costs only a count: the controller is gone, or its pipe is.
  const auto progressed = [] { (void)WriteAll(STDOUT_FILENO, AsBytes(repos::EncodeProgress()), "the progress"); };
  auto imported = repos::ImportCommit(repository.get(), request.import, *store, cache, progressed);
  if (!imported) return tl::unexpected(Annotate(imported.error(), request.import.repository));
  imported->identity = repos::IdentityOf(source, repository.get());
  return imported;
}

Result<WorkerReply> Serve(const WorkerRequest& request) {
  FURROW_ASSIGN(const repos::Source source, repos::Locate(request));
  if (request.list_refs) {
    FURROW_ASSIGN(repos::Look look, repos::LookAt(source));
    return WorkerReply(std::move(look));
  }
  FURROW_ASSIGN(ImportedCommit imported, Import(request, source));
  return WorkerReply(std::move(imported));
}

}  // namespace

int RepositoryWorkerMain() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // The child dies with its controller.
  ::prctl(PR_SET_DUMPABLE, 0);
  WorkerReply reply;
  try {
    const auto request = repos::DecodeRequest(ReadAll(STDIN_FILENO));
    if (!request) return 2;  // The controller went away before it had sent a request.
    SetUpLibgit2();
    auto served = Serve(*request);
    reply = served ? std::move(*served) : WorkerReply(served.error());
  } catch (const std::bad_alloc&) {
    reply = Error{Errc::kInternal, "the repository needs more memory than the worker may have"};
  } catch (const std::exception& error) {
    reply = Error{Errc::kInternal, std::string("the repository worker failed: ") + error.what()};
  }
  return WriteAll(STDOUT_FILENO, AsBytes(repos::Encode(reply)), "the answer") ? 0 : 1;
}

}  // namespace furrow
