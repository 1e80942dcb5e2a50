#include "controller/cli/session/signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace furrow::cli {

Signals::Signals(std::initializer_list<int> numbers) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<int> Signals::Take() {
  signalfd_siginfo signal{};
  if (::read(fd_, &signal, sizeof(signal)) != static_cast<ssize_t>(sizeof(signal))) return std::nullopt;
  return static_cast<int>(signal.ssi_signo);
}

}  // namespace furrow::cli
