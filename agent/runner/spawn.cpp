#include "agent/runner/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "agent/runner/program_file.h"
#include "common/base/check.h"

namespace furrow::runner {
namespace {

std::string_view ValueOf(const std::vector<std::string>& env, std::string_view key) {
  for (const std::string& item : env) {
    if (item.size() > key.size() && item[key.size()] == '=' && item.starts_with(key))
      return std::string_view(item).substr(key.size() + 1);
  }
  return {};
}

// Returns the absolute path of `path` for a process that runs in `workspace`.
std::string From(const std::string& workspace, std::string_view path) {
  return path.starts_with('/') ? std::string(path) : workspace + "/" + std::string(path);
}

bool IsProgram(const std::string& path) {
  struct stat info {};
  return ::access(path.c_str(), X_OK) == 0 && ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// Returns the program file of `name`: the name itself if it has a slash, else the first match on the job's PATH; empty:
// none.
std::string Resolve(const std::string& name, const std::vector<std::string>& env, const std::string& workspace) {
  if (name.find('/') != std::string::npos) return From(workspace, name);
  std::string_view path = ValueOf(env, "PATH");
  if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(':'), path.size());
    const std::string_view folder = path.substr(0, end);
    std::string candidate = From(workspace, folder.empty() ? "." : folder) + "/" + name;
    if (IsProgram(candidate)) return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return {};
}

Error CannotStart(const std::string& name, const std::string& path, const std::string& workspace, int number) {
  const std::string what = "cannot start `" + name + "`: ";
  if (path.empty())
    return {Errc::kNotFound, what + std::strerror(ENOENT) + "; is it installed on this agent and on PATH?"};
  if (::access(workspace.c_str(), X_OK) != 0)
    return {Errc::kNotFound, what + "the workspace " + workspace + " cannot be entered: " + std::strerror(errno)};
  const std::string why = WhyNotExecuted(path, number);
  const auto with = [&](const char* otherwise) {
    return what + std::strerror(number) + "; " + (why.empty() ? otherwise : why);
  };
  switch (number) {
    case ENOENT: return {Errc::kNotFound, with("is it in the workspace, and installed on this agent?")};
    case EACCES: return {Errc::kRejected, with("is it executable (chmod +x), and each folder above it?")};
    case ENOEXEC: return {Errc::kInvalid, with("it is no program for this machine, and no script")};
    case ENOTDIR: return {Errc::kNotFound, with("a part of the path that should be a folder is a file")};
    case E2BIG: return {Errc::kInvalid, with("pass long lists in a file")};
    case EAGAIN:
    case ENOMEM: return {Errc::kUnavailable, with("this agent is out of processes or memory")};
    default: return {Errc::kInternal, what + std::strerror(number)};
  }
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));  // exec lacks const.
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Spawner::Spawner(mode_t job_umask) : job_umask_(job_umask), null_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  FURROW_CHECK(null_ >= 0, "/dev/null cannot be opened");
}

Spawner::~Spawner() {
  ::close(null_);
}

Result<Leader> Spawner::Spawn(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                              const std::string& workspace, int output) {
  if (argv.empty() || argv[0].empty()) return Fail(Errc::kInvalid, "it has no program to start");
  const std::string path = Resolve(argv[0], env, workspace);
  if (path.empty()) return tl::unexpected(CannotStart(argv[0], path, workspace, ENOENT));

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addchdir_np(&actions, workspace.c_str());
  ::posix_spawn_file_actions_adddup2(&actions, null_, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  sigset_t none;
  ::sigemptyset(&none);
  sigset_t ignored;  // The runner ignores these two signals; exec itself resets caught signals.
  ::sigemptyset(&ignored);
  ::sigaddset(&ignored, SIGPIPE);
  ::sigaddset(&ignored, SIGXFSZ);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &ignored);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  const std::vector<char*> arguments = Pointers(argv);
  const std::vector<char*> environment = Pointers(env);
  Leader leader;
  leader.earliest = TicksSinceBoot();
  const mode_t ours = ::umask(job_umask_);  // posix_spawn cannot set it in the child; the runner has no other thread.
  const int number =
      ::posix_spawn(&leader.pid, path.c_str(), &actions, &attributes, arguments.data(), environment.data());
  ::umask(ours);
  leader.latest = TicksSinceBoot();
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (number != 0) return tl::unexpected(CannotStart(argv[0], path, workspace, number));
  return leader;
}

}  // namespace furrow::runner
