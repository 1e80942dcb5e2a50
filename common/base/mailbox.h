// A Mailbox is a queue between two threads: any thread posts, one thread takes. The reader waits on fd() together with
// its sockets. Threads never share domain state; only whole messages change hands here.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace furrow {

template <class T>
class Mailbox {
 public:
  Mailbox() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { FURROW_CHECK(fd_ >= 0, "no descriptor for a mailbox"); }
  ~Mailbox() { ::close(fd_); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void Post(T item) {
    bool was_empty = false;
    {
      std::lock_guard lock(mutex_);
      was_empty = items_.empty();
      items_.push_back(std::move(item));
    }
    if (was_empty) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof(one));
    }
  }

  // Takes every item posted so far, in order; empty if there is none.
  std::vector<T> TakeAll() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof(count));
    std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

  // Returns a descriptor that is readable while an item may be waiting; the mailbox owns it.
  int fd() const { return fd_; }

 private:
  const int fd_;
  std::mutex mutex_;
  std::vector<T> items_;
};

}  // namespace furrow
