#include "agent/runner/ending_words.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "agent/runner/complaint_words.h"

namespace furrow::runner {
namespace {

constexpr int kSignalBase = 128;  // A shell says 128 + n of a program that signal n has ended.

std::string Memory(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), bytes >= 1u << 30 ? "%.1f GiB" : "%.0f MiB",
                static_cast<double>(bytes) / (bytes >= 1u << 30 ? 1 << 30 : 1 << 20));
  return text;
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Says of a status with a meaning that nothing in the log bears out what it mostly means.
std::string OrOwn(int status, const std::string& mostly) {
  const std::string number = std::to_string(status);
  return number + " is what a shell says of " + mostly +
         ", but the log's last lines name none: the step may as well "
         "have ended itself with it (`exit " +
         number + "`)";
}

std::string NotFound(const Ending& ending) {
  const std::string words = NotFoundInWords(ending.log_tail, ending.workspace);
  return words.empty() ? OrOwn(127, "a command that it does not find") : words;
}

std::string NotExecutable(const Ending& ending) {
  const std::string words = NotExecutableInWords(ending.log_tail, ending.workspace);
  return words.empty() ? OrOwn(126, "a command that it finds but cannot execute") : words;
}

std::string Killed(const Ending& ending) {
  const std::string memory = ending.max_rss_bytes == 0
                                 ? std::string()
                                 : " The job's largest process had " + Memory(ending.max_rss_bytes) + ".";
  if (ending.oom_kills > 0)
    return "killed (SIGKILL) for want of memory: the kernel killed " + std::to_string(ending.oom_kills) +
           (ending.oom_kills == 1 ? " process" : " processes") + " here while the job ran." + memory +
           " Use less (a smaller batch, fewer workers), or say how much it needs in `resources: { memory: … }`";
  return "killed (SIGKILL), and not by Furrow: the kernel has counted no process that it killed for want of memory, so "
         "it was the job itself, somebody on this machine, or a container's or job manager's memory limit." +
         memory + " `journalctl -k` on this agent may say more";
}

std::string OfSignal(int number, const Ending& ending) {
  switch (number) {
    case SIGHUP: return "ended by SIGHUP, the end of a terminal or session that it belonged to";
    case SIGINT:
      return "ended by SIGINT (Ctrl-C), which Furrow never sends to jobs: the job itself or somebody here did";
    case SIGQUIT: return "ended by SIGQUIT, which the job itself or somebody on this machine has sent";
    case SIGILL:
      return "illegal instruction (SIGILL): a program was built for a newer CPU than this agent's; build it for an "
             "older "
             "one, or choose other machines with `labels`";
    case SIGTRAP: return "ended by SIGTRAP, a debugger's trap or a failed check of a program";
    case SIGABRT:
      return "aborted (SIGABRT): a program gave up by itself, on a failed assertion, an uncaught C++ exception or "
             "damaged memory; it mostly says why in the lines before";
    case SIGBUS:
      return "bus error (SIGBUS): a mapped file became shorter or its disk is full; data loaders need room in /dev/shm";
    case SIGFPE: return "arithmetic error (SIGFPE): an integer was divided by zero";
    case SIGKILL: return Killed(ending);
    case SIGSEGV:
      return "segmentation fault (SIGSEGV): a program used memory that is not its own; for Python, "
             "`PYTHONFAULTHANDLER=1` in `env` prints where";
    case SIGPIPE:
      return "broken pipe (SIGPIPE): a program wrote to a pipe whose reader had ended, as in `… | head`; with pipefail "
             "that fails the step: let the reader read everything, or add `|| true`";
    case SIGALRM: return "ended by SIGALRM, a timer that the program itself has set";
    case SIGTERM:
      return "ended by SIGTERM, and not by Furrow: the job itself (`timeout` does it) or somebody on this machine has "
             "sent it";
    case SIGXCPU: return "ended by SIGXCPU: the limit of CPU time (ulimit -t) was reached";
    case SIGXFSZ: return "ended by SIGXFSZ: a file grew beyond the limit of its size (ulimit -f)";
    case SIGSYS: return "ended by SIGSYS: a system call that is not allowed here (seccomp)";
    default: break;
  }
  const char* const name = ::sigabbrev_np(number);
  return "ended by signal " + std::to_string(number) + (name == nullptr ? "" : " (SIG" + std::string(name) + ")");
}

std::string TextOf(const std::string& file) {
  std::ifstream bytes(file, std::ios::binary);
  std::ostringstream read;
  read << bytes.rdbuf();  // A cgroup that is removed meanwhile fails the read, which an iterator would throw.
  return read.str();
}

// Returns the number after `key` in a file of lines "key number"; 0: there is none.
std::uint64_t Count(const std::string& file, const std::string& key) {
  const std::string text = "\n" + TextOf(file);
  const std::size_t at = text.find("\n" + key + " ");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + key.size() + 2, nullptr, 10);
}

}  // namespace

std::string EndInWords(const Ending& ending) {
  const Outcome& outcome = ending.outcome;
  if (outcome.kind == OutcomeKind::kSignaled) return OfSignal(outcome.code, ending);
  if (outcome.kind != OutcomeKind::kExited) return {};
  switch (outcome.code) {
    case 124:
      return "124 is what `timeout` says of a command that it has ended: give the command more time, or find out what "
             "it waits for";
    case 125: return "125 is what `timeout`, `env`, `nohup` or `docker run` say of their own failure: see the log";
    case 126: return NotExecutable(ending);
    case 127: return NotFound(ending);
    default: break;
  }
  // A smaller number than 128 + 1 is no signal; 255 and those near it are what programs return for -1.
  if (outcome.code > kSignalBase && outcome.code <= kSignalBase + SIGSYS) {
    const int number = outcome.code - kSignalBase;
    std::string words = OfSignal(number, ending);
    const bool borne_out = SaysSignal(ending.log_tail, number) || (number == SIGKILL && ending.oom_kills > 0);
    if (borne_out) return words;
    // No shell has a word for a broken pipe: that the log has none says nothing.
    if (number == SIGPIPE)
      return words + ". (Or the step ended itself with `exit " + std::to_string(outcome.code) + "`.)";
    return OrOwn(outcome.code, "a program that a signal has ended") + ". If it was a signal: " + words;
  }
  if (outcome.code == 0) return {};
  if (std::string words = FailureInWords(ending.log_tail, ending.workspace); !words.empty()) return words;
  if (Has(ending.log_tail, std::strerror(ENOSPC)) || Has(ending.log_tail, std::strerror(EDQUOT))) return kNoRoom;
  return {};
}

OomCounter::OomCounter() : file_("/proc/vmstat") {
  std::ifstream groups("/proc/self/cgroup");  // lines "ID:CONTROLLERS:PATH"
  for (std::string line; std::getline(groups, line);) {
    const std::string path = line.substr(std::min(line.rfind(':') + 1, line.size()));
    std::string file;
    if (line.starts_with("0::")) file = "/sys/fs/cgroup" + path + "/memory.events";
    if (Has(line, ":memory:")) file = "/sys/fs/cgroup/memory" + path + "/memory.oom_control";
    if (!file.empty() && Has(TextOf(file), "oom_kill ")) file_ = file;
  }
}

std::uint64_t OomCounter::Read(TimePoint now, bool fresh) {
  if (!fresh && read_ && now - *read_ < std::chrono::seconds(1)) return count_;
  read_ = now;
  return count_ = Count(file_, "oom_kill");
}

}  // namespace furrow::runner
