// Defines StartRunner of agent/runner/client.h: starts a runner that outlives the agent.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "agent/runner/client.h"
#include "agent/runner/folder.h"
#include "agent/runner/socket.h"
#include "common/base/open_files.h"
#include "common/base/process.h"
#include "common/base/program.h"

namespace furrow::runner {
namespace {

constexpr int kReadyFd = 3;          // descriptor in the new process
constexpr int kPatienceMs = 60'000;  // The new runner may have to end the processes of a dead runner first.

// Runs `program`; on return the runner proper, a child of `program`, is a child of init.
Status Launch(const std::string& state_dir, const std::string& program, int ready) {
  SpawnOptions spawn;
  spawn.descriptors = {{ready, kReadyFd}};
  spawn.group = ProcessGroup::kSession;
  std::array<char, 8> job_umask{};  // what the agent was started with; its own is for private files
  std::snprintf(job_umask.data(), job_umask.size(), "%o", static_cast<unsigned>(InitialUmask()));
  FURROW_ASSIGN(const pid_t launcher,
                Spawn({program, "--state", state_dir, "--detach", "--open-files", std::to_string(OpenFilesAtStart()),
                       "--ready-fd", std::to_string(kReadyFd), "--umask", job_umask.data()},
                      spawn));
  Reap(launcher);
  return {};
}

// Returns the runner's text on the pipe: "ready\n", or the reason of a failure.
Result<std::string> AwaitWord(int from) {
  std::string word;
  for (;;) {
    pollfd wait{from, POLLIN, 0};
    const int ready = ::poll(&wait, 1, kPatienceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      return Fail(Errc::kUnavailable, "it did not come up in " + std::to_string(kPatienceMs / 1000) + " s");
    char buffer[1024];
    const ssize_t got = ::read(from, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return word;
    word.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

Status StartRunner(const std::string& state_dir, const std::string& program) {
  const auto serves = [&] {
    const auto fd = ConnectSocket(state_dir);
    if (fd) ::close(*fd);
    return fd.has_value();
  };
  if (serves()) return {};
  FURROW_TRY(MakeFolder(state_dir));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(ErrnoError("cannot make a pipe", errno));
  // The write end must not have number 3: dup2 onto the same number would leave the descriptor close-on-exec.
  const int ready = ::fcntl(ends[1], F_DUPFD_CLOEXEC, kReadyFd + 1);
  ::close(ends[1]);
  const Status launched =
      ready < 0 ? Status(tl::unexpected(ErrnoError("cannot make a pipe", errno))) : Launch(state_dir, program, ready);
  if (ready >= 0) ::close(ready);
  const Result<std::string> word = launched ? AwaitWord(ends[0]) : Result<std::string>("");
  ::close(ends[0]);
  FURROW_TRY(launched);
  if (word && *word == "ready\n") return {};
  if (serves()) return {};  // Another agent's runner was faster.
  std::string why = word ? *word : word.error().message;
  if (why.empty()) why = "it ended without a word";
  while (!why.empty() && why.back() == '\n') why.pop_back();
  return Fail(Errc::kUnavailable,
              "furrow-runner does not serve " + state_dir + ": " + why + " (" + state_dir + "/runner.log)");
}

}  // namespace furrow::runner
