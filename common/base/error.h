// Defines Error and Result, with which every fallible call in Furrow reports failure.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace furrow {

// The codes are sorted by what the caller should do about the error.
enum class Errc {
  kInvalid,      // the input is wrong; the message says where and what to change
  kNotFound,     // the named thing does not exist
  kUnavailable,  // try again later; nothing was changed
  kRejected,     // a retry is useless: the request is not allowed, or no longer current
  kCorrupt,      // stored or received bytes are damaged
  kInternal,     // the machine or our own code failed
};

struct Error {
  Errc code = Errc::kInternal;
  std::string message;  // tells a person what happened, where, and what to do next

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// Makes the failure branch of a Result: `return Fail(Errc::kNotFound, "no run named x#1");`
inline tl::unexpected<Error> Fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

// Returns `error` with `context` in front: "context: message".
Error Annotate(Error error, const std::string& context);

// Makes an error of a failed system call from an errno value: "context: strerror(number)".
// ENOSPC and EDQUOT say that the disk is full and what to do.
Error ErrnoError(const std::string& context, int number);

const char* ErrcName(Errc code);

}  // namespace furrow

#define FURROW_CONCAT_INNER(a, b) a##b
#define FURROW_CONCAT(a, b) FURROW_CONCAT_INNER(a, b)

// Evaluates a Result or Status; returns its error from the enclosing function if it failed. The expression may hold a
// function that does the same.
#define FURROW_TRY(expression) FURROW_TRY_INNER(FURROW_CONCAT(furrow_try_, __COUNTER__), expression)
#define FURROW_TRY_INNER(temporary, expression)                               \
  do {                                                                        \
    if (auto temporary = (expression); !temporary)                            \
      return ::tl::unexpected<::furrow::Error>(std::move(temporary).error()); \
  } while (0)

// FURROW_ASSIGN(auto file, Open(path)); declares `file` or returns the error.
#define FURROW_ASSIGN(declaration, expression) \
  FURROW_ASSIGN_INNER(FURROW_CONCAT(furrow_assign_, __COUNTER__), declaration, expression)
#define FURROW_ASSIGN_INNER(temporary, declaration, expression)                           \
  auto temporary = (expression);                                                          \
  if (!temporary) return ::tl::unexpected<::furrow::Error>(std::move(temporary).error()); \
  declaration = std::move(*temporary)
