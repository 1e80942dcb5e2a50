// Waits, before a store is opened, for the space that its start takes: a database whose start finds no space half way
// would wait there without an answer to anybody.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "common/base/error.h"
#include "controller/store/disk_guard.h"

namespace furrow {

// Returns how much the start of the store in `dir` may write: what the log of the database holds is written once more,
// and a few new files begin.
std::uint64_t BytesToStart(const std::filesystem::path& dir);

// Returns true when `dir`, which must exist, takes `bytes` more; ballasts are dropped for it. False: `stop` became
// readable meanwhile. kUnavailable: there was no room for so long.
Result<bool> AwaitRoom(const std::filesystem::path& dir, std::uint64_t bytes, DiskGuard& guard, int stop,
                       std::chrono::milliseconds patience);

}  // namespace furrow
