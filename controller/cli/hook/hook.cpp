#include "controller/cli/hook/hook.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>

#include "common/base/replace_file.h"
#include "common/base/run_program.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = "# furrow-hook: post-receive";
constexpr const char* kKept = "post-receive.before-furrow";

// The folder of $0 holds the kept hook; git runs hooks in the repository's own folder.
constexpr std::string_view kBody = R"(
input=$(cat)
[ -n "$input" ] || exit 0
status=0
kept=$(dirname -- "$0")/post-receive.before-furrow
if [ -x "$kept" ]; then
  printf '%s\n' "$input" | "$kept" "$@"
  status=$?
fi
repository=$(pwd -P)
repository=${repository%/.git}
bound=
if command -v timeout >/dev/null 2>&1; then bound='timeout -k 1 20'; fi
if [ -x "$furrow" ]; then
  printf '%s\n' "$input" | while read -r old new ref; do
    $bound "$furrow" trigger "$repository" "$ref" "$old" "$new" </dev/null
    if [ $? -eq 3 ]; then FURROW_NOTE_ONLY=1; export FURROW_NOTE_ONLY; fi
  done
else
  echo "furrow: $furrow is gone; the controller will find this push when it next looks, or install the hook again" >&2
fi
exit "$status"
)";

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string Script(const HookSettings& settings) {
  std::string script = "#!/bin/sh\n" + std::string(kMark) +
                       "\n# Tells the farm of each push; never fails one. Written by `furrow hook install`, which also "
                       "changes it.\n# To remove it delete this file, and give " +
                       kKept + ", if there is one, its name back.\nfurrow=" + Quoted(settings.program.string()) + "\n";
  if (!settings.state.empty()) script += "FURROW_STATE=" + Quoted(settings.state) + "\nexport FURROW_STATE\n";
  if (!settings.controller.empty()) {
    script += "FURROW_CONTROLLER=" + Quoted(settings.controller) + "\nexport FURROW_CONTROLLER\n";
  }
  script += kBody;
  return script;
}

// The first line of git's output; the reason that git gives on failure.
Result<std::string> AskGit(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "git");
  const auto answer = RunProgram(arguments);
  if (!answer) return Fail(answer.error().code, answer.error().message + " (is git installed?)");
  if (answer->status != 0) return Fail(Errc::kRejected, "git refuses: " + answer->err + answer->out);
  return answer->out.substr(0, answer->out.find('\n'));
}

Result<bool> IsOurs(const fs::path& hook) {
  std::ifstream in(hook);
  std::string shebang, mark;
  std::getline(in, shebang);
  std::getline(in, mark);
  return mark == kMark;
}

bool SameFile(const fs::path& a, const fs::path& b) {
  struct stat one, two;
  return ::lstat(a.c_str(), &one) == 0 && ::lstat(b.c_str(), &two) == 0 && one.st_ino == two.st_ino &&
         one.st_dev == two.st_dev;
}

// Returns the farm that a hook of ours tells of pushes, where that is another one than in `settings`; empty: it is
// none.
std::string OtherFarm(const fs::path& hook, const HookSettings& settings) {
  std::ifstream in(hook);
  const std::string wanted = Script(settings);
  std::string line;
  std::getline(in, line);
  if (!std::getline(in, line) || line != kMark) return "";
  while (std::getline(in, line)) {
    if (!line.starts_with("FURROW_STATE=") && !line.starts_with("FURROW_CONTROLLER=")) continue;
    if (wanted.find("\n" + line + "\n") != std::string::npos) return "";
    return "the farm " + line.substr(line.find('=') + 1);
  }
  return "";
}

// Gives a foreign hook its second name. WriteHook then replaces the first name in one step, so that every push finds a
// hook.
Result<bool> KeepForeign(const fs::path& hook, const fs::path& kept) {
  struct stat facts;
  if (::lstat(hook.c_str(), &facts) != 0) return false;
  FURROW_ASSIGN(const bool ours, IsOurs(hook));
  if (ours) return false;
  if (::linkat(AT_FDCWD, hook.c_str(), AT_FDCWD, kept.c_str(), 0) == 0 || SameFile(hook, kept)) return true;
  if (errno == EEXIST) {
    return Fail(Errc::kRejected, hook.string() + " is another hook than Furrow's, and an older one is kept as " +
                                     kept.string() + " already: join the two into the latter, delete the former");
  }
  return tl::unexpected(ErrnoError("cannot keep " + hook.string() + " as " + kept.string(), errno));
}

// Whoever may push may note a push: the folder has the mode and group of the objects. Where that is not allowed to us,
// those who can write are those that git's own settings let write.
void MakeNotesFolder(const fs::path& git_dir) {
  const fs::path folder = git_dir / "furrow";
  struct stat facts;
  if (::mkdir(folder.c_str(), 0755) != 0 || ::stat((git_dir / "objects").c_str(), &facts) != 0) return;
  if (::chown(folder.c_str(), facts.st_uid, facts.st_gid) != 0 &&
      ::chown(folder.c_str(), static_cast<uid_t>(-1), facts.st_gid) != 0)
    return;
  ::chmod(folder.c_str(), facts.st_mode & 07777);
}

}  // namespace

Result<fs::path> GitDirOf(const fs::path& path) {
  std::error_code ignored;
  const auto is_git_dir = [&](const fs::path& dir) {
    return fs::exists(dir / "HEAD", ignored) &&
           (fs::exists(dir / "objects", ignored) || fs::exists(dir / "commondir", ignored));
  };
  const fs::path inner = path / ".git";
  fs::path found = path;
  if (is_git_dir(inner)) {
    found = inner;
  } else if (fs::is_regular_file(inner, ignored)) {
    std::string line;
    std::ifstream in(inner);
    std::getline(in, line);
    constexpr std::string_view kNames = "gitdir: ";
    if (line.starts_with(kNames)) found = path / line.substr(kNames.size());
  }
  std::error_code failed;
  const fs::path real = fs::canonical(found, failed);
  if (failed || !is_git_dir(real)) return Fail(Errc::kNotFound, "there is no git repository at " + path.string());
  return real;
}

Result<fs::path> RepositoryOf(const fs::path& path) {
  FURROW_ASSIGN(fs::path common, GitDirOf(path));
  std::ifstream in(common / "commondir");
  std::error_code failed;
  if (std::string line; std::getline(in, line)) {
    const fs::path real = fs::canonical(common / line, failed);
    if (!failed) common = real;
  }
  return common.filename() == ".git" ? common.parent_path() : common;
}

Result<std::string> InstallHook(const HookSettings& settings) {
  FURROW_ASSIGN(const fs::path git_dir, GitDirOf(settings.repository));
  if (!settings.program.is_absolute()) {
    return Fail(Errc::kInvalid, "the hook needs the absolute path of furrow, not " + settings.program.string());
  }
  // Git is asked in the folder where hooks run, because a relative core.hooksPath counts from there.
  FURROW_ASSIGN(const std::string answer, AskGit({"-C", git_dir.string(), "rev-parse", "--git-path", "hooks"}));
  const fs::path folder = (git_dir / answer).lexically_normal();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot make the folder " + folder.string(), failed.value()));
  const fs::path hook = folder / "post-receive", kept = folder / kKept;
  const std::string told = settings.force ? "" : OtherFarm(hook, settings);
  if (!told.empty())
    return Fail(Errc::kRejected, hook.string() + " tells " + told +
                                     " of pushes; --force makes it tell this farm instead, and that one then finds "
                                     "pushes by looking alone, until `furrow repos rm` there");
  FURROW_ASSIGN(const bool foreign, KeepForeign(hook, kept));
  FURROW_TRY(ReplaceFile(hook.string(), Script(settings), 0755));
  MakeNotesFolder(git_dir);
  std::string text = "installed " + hook.string();
  if (foreign) text += "\nthe hook that was there is called first, as " + kept.string();
  if (folder != git_dir / "hooks")
    text += "\ncore.hooksPath leads there: it serves every repository that uses this folder";
  return text;
}

}  // namespace furrow::cli
