// Talks to the service manager that started this daemon (systemd's notification protocol, sd_notify(3)). Under any
// other parent it sends nothing. A ServiceManager belongs to the daemon's loop thread: the watchdog hears from each
// turn of the loop, so that a daemon whose loop is stuck is restarted.
#pragma once

#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace furrow {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. They stay in the environment; systemd ignores what a child
  // sends there (NotifyAccess=main).
  ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // Returns whether a service manager listens, so that callers make up status lines only for a listener.
  bool present() const { return present_; }

  // Says that the daemon serves, at start and again after Reloading. A second call is harmless.
  void Ready();
  // Says that the daemon has been reading its configuration again since `now`.
  void Reloading(TimePoint now);
  // Says that the daemon is ending.
  void Stopping();
  // Sets the line for `systemctl status`. The line is sent only if it differs from the last one.
  void Say(std::string_view line);

  // Notifies the watchdog three times per interval; the loop calls it every turn. Returns how long the loop may wait
  // before the next call: Duration::max() without a watchdog.
  Duration Alive(TimePoint now);

 private:
  bool present_ = false;
  Duration notify_interval_{};  // 0: there is no watchdog
  TimePoint notified_;
  bool ever_notified_ = false;
  std::string said_;
};

}  // namespace furrow
