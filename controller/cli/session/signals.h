// A Signals object makes signals a descriptor that a program can wait for.
#pragma once

#include <initializer_list>
#include <optional>

namespace furrow::cli {

// Blocks these signals for the process and hands them out. The object must exist before other threads do.
class Signals {
 public:
  explicit Signals(std::initializer_list<int> numbers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  std::optional<int> Take();  // Take does not wait.
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace furrow::cli
