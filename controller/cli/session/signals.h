// Signals as something to wait for.
#pragma once

#include <initializer_list>
#include <optional>

namespace furrow::cli {

// Blocks these signals for the process (made before there are other threads) and hands them out.
class Signals {
 public:
  explicit Signals(std::initializer_list<int> numbers);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  std::optional<int> Take();  // does not wait
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace furrow::cli
