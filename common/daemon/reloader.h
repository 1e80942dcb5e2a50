// Reads something again on request, in a thread of its own: files and drivers may take their time, the loop may not.
#pragma once

#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/mailbox.h"

namespace furrow {

// A Reloader belongs to the loop's thread, which waits on fd(). Destruction waits for a reading that is under way.
template <class T>
class Reloader {
 public:
  // Calls `read` in threads made for it, one call at a time.
  explicit Reloader(std::function<Result<T>()> read) : read_(std::move(read)) {}
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Starts a reading. If one is under way, another follows it and sees what changed meanwhile.
  void Begin() {
    again_ = reading_;
    if (!std::exchange(reading_, true)) Start();
  }

  // Returns what was read; no value if nothing was read yet. If another reading follows, only its result comes back.
  std::optional<Result<T>> Take() {
    std::vector<Result<T>> read = results_.TakeAll();
    if (read.empty()) return std::nullopt;
    if (std::exchange(again_, false)) {
      Start();
      return std::nullopt;
    }
    reading_ = false;
    return std::move(read.back());
  }

  int fd() const { return results_.fd(); }

 private:
  void Start() {
    // The assignment waits for the thread before, which is over.
    thread_ = std::jthread([this] { results_.Post(read_()); });
  }

  const std::function<Result<T>()> read_;
  Mailbox<Result<T>> results_;
  bool reading_ = false;
  bool again_ = false;
  std::jthread thread_;  // the last member, because the thread uses the others
};

}  // namespace furrow
