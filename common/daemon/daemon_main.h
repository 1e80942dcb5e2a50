// What furrow-controller and furrow-agent have in common as programs: their signals, the options that both
// understand, how they end.
#pragma once

#include <string>

#include "common/base/error.h"

namespace CLI {
class App;
}

namespace furrow::daemon {

// From now on SIGINT, SIGTERM and SIGHUP wait in the descriptor that comes back (a signalfd, non-blocking), and SIGPIPE
// is ignored. Before there are threads. Children inherit the mask: whoever starts one undoes it.
int CatchSignals();
// The next signal that waits there; 0: none.
int NextSignal(int fd);

// Adds --version, --config and the exit statuses to what `program` understands. `config_file` holds the default and
// outlives `app`.
void AddOptions(CLI::App& app, const std::string& program, std::string& config_file);

inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;  // also: the configuration is wrong
int ExitOf(const Error& error);
// Prints "PROGRAM: message" on stderr and returns the exit status that belongs to it.
int Complain(const std::string& program, const Error& error);

}  // namespace furrow::daemon
