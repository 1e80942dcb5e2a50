// A Shared is a value that several owners hold and none changes.
#pragma once

#include <memory>
#include <utility>

namespace furrow {

// Two Shared are equal if their values are, wherever the values lie. A Shared may be null, as any pointer.
template <class T>
class Shared {
 public:
  Shared() = default;
  Shared(std::nullptr_t) {}                                             // NOLINT: as a pointer
  Shared(std::shared_ptr<const T> value) : value_(std::move(value)) {}  // NOLINT: as a pointer

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  const T* get() const { return value_.get(); }
  explicit operator bool() const { return value_ != nullptr; }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.value_ == b.value_ || (a.value_ && b.value_ && *a.value_ == *b.value_);
  }
  friend bool operator==(const Shared& a, std::nullptr_t) { return a.value_ == nullptr; }

 private:
  std::shared_ptr<const T> value_;
};

}  // namespace furrow
