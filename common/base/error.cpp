#include "common/base/error.h"

#include <cerrno>
#include <cstring>

namespace furrow {

Error Annotate(Error error, const std::string& context) {
  error.message = context + ": " + error.message;
  return error;
}

Error ErrnoError(const std::string& context, int number) {
  std::string message = context + ": " + std::strerror(number);
  switch (number) {
    case ENOSPC:
    case EDQUOT: return {Errc::kUnavailable, message + " (the disk is full: free space, then try again)"};
    case ENOENT:
    case ENOTDIR: return {Errc::kNotFound, message};
    case EACCES:
    case EPERM:
    case ELOOP: return {Errc::kRejected, message};
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EADDRINUSE:
    case ECONNREFUSED: return {Errc::kUnavailable, message};
    default: return {Errc::kInternal, message};
  }
}

const char* ErrcName(Errc code) {
  switch (code) {
    case Errc::kInvalid: return "invalid";
    case Errc::kNotFound: return "not found";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kRejected: return "rejected";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kInternal: return "internal";
  }
  return "internal";
}

}  // namespace furrow
