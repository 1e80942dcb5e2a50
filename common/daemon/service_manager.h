// Talks to the service manager that started this daemon (systemd's notification protocol, sd_notify(3)). Started by
// anything else it says nothing. Belongs to the daemon's loop thread: that the loop comes round is what the watchdog is
// told, so that one that is stuck is restarted.
#pragma once

#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace furrow {

class ServiceManager {
 public:
  // Looks at NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. They stay in the environment; what a child says there is
  // not listened to (NotifyAccess=main).
  ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // Whether anyone listens: what is said is worth making up.
  bool present() const { return present_; }

  // Serving, from now on; again after Reloading. Saying it twice is harmless.
  void Ready();
  // The configuration is being read again, since `now`.
  void Reloading(TimePoint now);
  // On the way out.
  void Stopping();
  // One line for `systemctl status`. Sent only if it differs from the last one.
  void Say(std::string_view line);

  // To be called every turn of the loop; tells the watchdog three times per interval. Returns how long the loop may
  // wait before it must call again: Duration::max() without a watchdog.
  Duration Alive(TimePoint now);

 private:
  bool present_ = false;
  Duration notify_interval_{};  // 0: no watchdog
  TimePoint notified_;
  bool ever_notified_ = false;
  std::string said_;
};

}  // namespace furrow
