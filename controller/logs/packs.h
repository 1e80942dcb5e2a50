// A pack is a file in which the small logs of one run lie one behind the other, a frame each. Only the log store
// (store.cpp) uses this header.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/logs/frames.h"
#include "controller/logs/store.h"

namespace furrow {

// LogPacks belongs to the store's writing thread.
class LogPacks {
 public:
  // Does what LogStore::AppendSmall describes, for logs of one run whose folder `folder` exists.
  Result<std::vector<LogRef>> Append(RunId run, const std::string& folder, std::span<const SmallLogView* const> logs);

  // Dirty returns the number of packs with unsynced bytes; Sync syncs these packs with fdatasync.
  std::size_t Dirty() const { return dirty_.size(); }
  // An error is that of GiveUp, too.
  Status Sync();
  // Forgets all packs, since nobody knows what of them, and of their names, is on disk: the next logs go into new ones.
  void GiveUp();
  // Notes that everything was synced otherwise.
  void Synced();
  void Forget(RunId run) { packs_.erase(run); }

  static std::string Path(const std::string& folder, std::uint32_t number);

 private:
  struct Pack {
    std::uint32_t number = 0;
    std::uint64_t length = 0;
    FileHandle file;
    bool dirty = false;
  };
  Result<Pack*> PackFor(RunId run, const std::string& folder);

  std::unordered_map<RunId, Pack> packs_;
  std::vector<RunId> dirty_;
  FrameEncoder encoder_;
};

}  // namespace furrow
