#include "common/daemon/daemon_main.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <sstream>

#include "common/base/program.h"
#include "common/base/version.h"

namespace furrow::daemon {

int CatchSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int NextSignal(int fd, SignalSender* sender) {
  signalfd_siginfo signal{};
  if (::read(fd, &signal, sizeof(signal)) != static_cast<ssize_t>(sizeof(signal))) return 0;
  if (sender != nullptr) *sender = {static_cast<pid_t>(signal.ssi_pid), signal.ssi_uid};
  return static_cast<int>(signal.ssi_signo);
}

void AddOptions(CLI::App& app, const std::string& program, std::string& config_file) {
  app.set_version_flag("--version", program + " " + kVersion);
  app.add_option("--config", config_file, "configuration file, every key of it explained in itself")
      ->capture_default_str();
  app.footer(
      "SIGHUP reads the configuration file again and opens log.file anew.\n"
      "Exit status: 0 stopped by a signal, or done; 1 cannot run or go on, the last line says why (doctor: it found "
      "an\n"
      "error); 2 usage, or the configuration is wrong.");
}

int ExitOf(const Error& error) {
  return error.code == Errc::kInvalid ? kExitUsage : kExitFailed;
}

int Complain(const Error& error) {
  Say(error.message);
  return ExitOf(error);
}

std::optional<int> Parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const bool fine = app.exit(error, out, err) == 0;
    std::fputs(out.str().c_str(), stdout);
    if (!fine) Say(err.str());
    return fine ? 0 : kExitUsage;
  }
}

}  // namespace furrow::daemon
