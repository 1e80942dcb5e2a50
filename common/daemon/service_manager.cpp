#include "common/daemon/service_manager.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>

namespace furrow {
namespace {

// A failure is ignored, because the service manager is the only receiver of such a report.
void Tell(const std::string& text) {
  ::sd_notify(/*unset_environment=*/0, text.c_str());
}

// Makes `text` fit into one line of `systemctl status`.
std::string OneLine(std::string_view text) {
  std::string line(text);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

}  // namespace

ServiceManager::ServiceManager() : present_(std::getenv("NOTIFY_SOCKET") != nullptr) {
  std::uint64_t microseconds = 0;
  if (present_ && ::sd_watchdog_enabled(/*unset_environment=*/0, &microseconds) > 0)
    notify_interval_ = std::chrono::microseconds(microseconds) / 3;
}

void ServiceManager::Ready() {
  if (present_) Tell("READY=1");
}

void ServiceManager::Reloading(TimePoint now) {
  if (!present_) return;
  // The time is of CLOCK_MONOTONIC, which TimePoint counts too: by this time the manager distinguishes a reload from an
  // earlier one.
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.since_start);
  Tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(since.count()));
}

void ServiceManager::Stopping() {
  if (present_) Tell("STOPPING=1");
}

void ServiceManager::Say(std::string_view line) {
  if (!present_ || line == said_) return;
  said_ = line;
  Tell("STATUS=" + OneLine(line));
}

Duration ServiceManager::Alive(TimePoint now) {
  if (notify_interval_ == Duration::zero()) return Duration::max();
  if (!ever_notified_ || now - notified_ >= notify_interval_) {
    ever_notified_ = true;
    notified_ = now;
    Tell("WATCHDOG=1");
  }
  return notified_ + notify_interval_ - now;
}

}  // namespace furrow
