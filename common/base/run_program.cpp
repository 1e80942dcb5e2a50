#include "common/base/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "common/base/file_io.h"
#include "common/base/process.h"

extern char** environ;

namespace furrow {
namespace {

struct Pipe {
  FileHandle read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(ErrnoError("cannot make a pipe", errno));
  return Pipe{FileHandle(ends[0]), FileHandle(ends[1])};
}

std::vector<std::string> Environment(const ProgramOptions& options) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!std::string_view(*variable).starts_with("GIT_")) variables.emplace_back(*variable);
  for (const auto& [name, value] : options.variables) variables.push_back(name + "=" + value);
  return variables;
}

// Both at once, so that neither pipe fills while the other is waited for. False: not at their ends by the deadline.
bool ReadBoth(Pipe& out, Pipe& err, ProgramResult& result, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + limit;
  std::array<char, 65536> buffer;
  while (out.read || err.read) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (limit.count() > 0 && left.count() <= 0) return false;
    pollfd ready[2] = {{out.read.Get(), POLLIN, 0}, {err.read.Get(), POLLIN, 0}};
    if (::poll(ready, 2, limit.count() > 0 ? static_cast<int>(left.count()) : -1) < 0 && errno != EINTR) return true;
    for (int i = 0; i < 2; ++i) {
      if (ready[i].revents == 0) continue;
      const ssize_t got = ::read(ready[i].fd, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got > 0)
        (i == 0 ? result.out : result.err).append(buffer.data(), static_cast<std::size_t>(got));
      else
        (i == 0 ? out : err).read.Close();
    }
  }
  return true;
}

}  // namespace

Result<ProgramResult> RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options) {
  FURROW_ASSIGN(Pipe out, MakePipe());
  FURROW_ASSIGN(Pipe err, MakePipe());
  SpawnOptions spawn;
  spawn.folder = options.folder;
  spawn.environment = Environment(options);
  spawn.descriptors = {
      {SpawnOptions::kNull, STDIN_FILENO}, {out.write.Get(), STDOUT_FILENO}, {err.write.Get(), STDERR_FILENO}};
  FURROW_ASSIGN(const pid_t pid, Spawn(argv, spawn));
  out.write.Close();
  err.write.Close();
  ProgramResult result;
  if (!ReadBoth(out, err, result, options.limit)) ::kill(pid, SIGKILL);
  const int status = Reap(pid);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace furrow
