// Reads something again when asked, in a thread of its own: files and drivers may take their time, the loop may not.
#pragma once

#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/mailbox.h"

namespace furrow {

// Belongs to one thread, the loop's, which waits on fd(). Destruction waits for a reading that is under way.
template <class T>
class Reloader {
 public:
  // `read` is called in threads made for it, one at a time.
  explicit Reloader(std::function<Result<T>()> read) : read_(std::move(read)) {}
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Has it read. While a reading is under way another follows it, which sees what changed meanwhile.
  void Begin() {
    again_ = reading_;
    if (!std::exchange(reading_, true)) Start();
  }

  // What was read; nothing yet: no value. Where another reading follows, only that one's comes back.
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
    thread_ = std::jthread([this] { results_.Post(read_()); });  // waits for the one before, which is over
  }

  const std::function<Result<T>()> read_;
  Mailbox<Result<T>> results_;
  bool reading_ = false;
  bool again_ = false;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace furrow
