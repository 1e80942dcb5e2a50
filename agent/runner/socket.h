// The unix socket by which one state folder is served.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::runner {

inline constexpr char kSocketName[] = "runner.sock";

// Connects to <state_dir>/runner.sock, however long that path is. The descriptor is non-blocking and the caller's.
// kUnavailable: nobody listens there. kRejected: the listener is another user's.
Result<int> ConnectSocket(const std::string& state_dir);

// Listens on runner.sock (mode 0600) in the current folder, in place of what is there: the caller holds the lock of the
// folder. The descriptor is non-blocking and the caller's.
Result<int> ListenSocket();

}  // namespace furrow::runner
