#include "common/base/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

extern char** environ;

namespace furrow {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// What posix_spawn is to do in the child, freed with it.
class Actions {
 public:
  Actions() { ::posix_spawn_file_actions_init(&actions_); }
  ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

class Attributes {
 public:
  explicit Attributes(ProcessGroup group) {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none, ours;
    ::sigemptyset(&none);
    ::sigemptyset(&ours);
    for (const int number : {SIGPIPE, SIGXFSZ}) ::sigaddset(&ours, number);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &ours);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (group == ProcessGroup::kSession) flags |= POSIX_SPAWN_SETSID;
    if (group == ProcessGroup::kOwn) flags |= POSIX_SPAWN_SETPGROUP;
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<pid_t> Spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
  Actions actions;
  for (const auto& [ours, childs] : options.descriptors) {
    if (ours == SpawnOptions::kNull)
      ::posix_spawn_file_actions_addopen(actions.get(), childs, "/dev/null", O_RDWR, 0);
    else
      ::posix_spawn_file_actions_adddup2(actions.get(), ours, childs);
  }
  if (!options.folder.empty()) ::posix_spawn_file_actions_addchdir_np(actions.get(), options.folder.c_str());
  const Attributes attributes(options.group);
  std::vector<char*> environment;
  if (options.environment) environment = Pointers(*options.environment);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, argv[0].c_str(), actions.get(), attributes.get(), Pointers(argv).data(),
                                    options.environment ? environment.data() : environ);
  if (failed == ENOENT && !options.folder.empty() && ::access(options.folder.c_str(), F_OK) != 0)
    return Fail(Errc::kNotFound, "there is no folder " + options.folder);
  if (failed == ENOENT)
    return Fail(Errc::kNotFound,
                "there is no program " + argv[0] +
                    (argv[0].find('/') == std::string::npos ? "; install it, or add its folder to PATH" : ""));
  if (failed != 0) return tl::unexpected(ErrnoError("cannot start " + argv[0], failed));
  return pid;
}

int Reap(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string FormatEnd(int status) {
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace furrow
