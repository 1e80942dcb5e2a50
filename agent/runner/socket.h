// Opens the unix socket of one state folder.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::runner {

inline constexpr char kSocketName[] = "runner.sock";

// Connects to <state_dir>/runner.sock, however long the path is. Returns a non-blocking descriptor, which the caller
// owns. kUnavailable: no runner listens there. kRejected: the listener belongs to another user.
Result<int> ConnectSocket(const std::string& state_dir);

// Listens on runner.sock (mode 0600) in the current folder and replaces an old socket: the caller holds the folder's
// lock. Returns a non-blocking descriptor, which the caller owns.
Result<int> ListenSocket();

}  // namespace furrow::runner
