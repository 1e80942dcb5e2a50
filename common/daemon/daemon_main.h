// Provides what furrow-controller and furrow-agent have in common as programs: their signals, the options that both
// understand, and their exit statuses.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/base/error.h"

namespace CLI {
class App;
}

namespace furrow::daemon {

// Blocks SIGINT, SIGTERM and SIGHUP, which from now on wait in the returned descriptor (a signalfd, non-blocking), and
// ignores SIGPIPE. Call it before there are threads. Children inherit the signal mask: code that starts a child
// restores the mask.
int CatchSignals();
// Who sent a signal.
struct SignalSender {
  pid_t process = 0;  // 0: the kernel, or a process of another namespace
  uid_t user = 0;
};
// Returns the next signal that waits in `fd`; 0: none.
int NextSignal(int fd, SignalSender* sender = nullptr);

// Adds --version, --config and the exit statuses to the options and help of `program`. `config_file` holds the default
// and must outlive `app`.
void AddOptions(CLI::App& app, const std::string& program, std::string& config_file);

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  // also: the configuration is wrong
int ExitOf(const Error& error);
// Says the error on stderr and returns its exit status.
int Complain(const Error& error);
// Parses the command line. Returns the exit status of a program that ends at once: it was asked for its help or
// version, or does not understand the words; both are said.
std::optional<int> Parse(CLI::App& app, int argc, char** argv);

}  // namespace furrow::daemon
