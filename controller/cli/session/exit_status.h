// This header defines the program's exit statuses.
#pragma once

#include "common/base/error.h"

namespace furrow::cli {

enum ExitStatus : int {
  kExitPassed = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitUnreachable = 3,
  kExitRefused = 4,
  kExitCancelled = 130,
  kExitDetached = 143,  // SIGTERM ended the program, and the run goes on.
};

// Returns the exit status for the error of a command. Within this program kUnavailable means that the controller cannot
// be reached; an answer of the controller that refuses is kRejected or kNotFound.
inline int ExitOf(const Error& error) {
  switch (error.code) {
    case Errc::kInvalid: return kExitUsage;
    case Errc::kUnavailable: return kExitUnreachable;
    case Errc::kNotFound:
    case Errc::kRejected: return kExitRefused;
    case Errc::kCorrupt:
    case Errc::kInternal: return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace furrow::cli
