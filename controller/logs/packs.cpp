#include "controller/logs/packs.h"

#include "schemas/agent.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "common/base/check.h"
#include "common/base/hash.h"

namespace furrow {
namespace {

constexpr std::uint64_t kMaxPackBytes = 64 << 20;
constexpr std::size_t kMaxOpenPacks = 256;

// Returns the highest number of a pack in the folder, or 0.
Result<std::uint32_t> LastPack(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (dir == nullptr) return tl::unexpected(ErrnoError("cannot read " + folder, errno));
  std::uint32_t last = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    unsigned number = 0;
    if (std::sscanf(entry->d_name, "pack-%u.flog", &number) == 1) last = std::max(last, number);
  }
  return last;
}

}  // namespace

std::string LogPacks::Path(const std::string& folder, std::uint32_t number) {
  return folder + "/pack-" + std::to_string(number) + ".flog";
}

// Returns the pack that takes the run's next logs. A pack of an earlier process may have a torn end, so a new one is
// begun instead.
Result<LogPacks::Pack*> LogPacks::PackFor(RunId run, const std::string& folder) {
  auto at = packs_.find(run);
  if (at != packs_.end() && at->second.length < kMaxPackBytes) return &at->second;
  Pack pack;
  if (at != packs_.end()) {
    if (at->second.dirty) FURROW_TRY(Sync());
    pack.number = at->second.number + 1;
  } else {
    FURROW_ASSIGN(const std::uint32_t last, LastPack(folder));
    pack.number = last + 1;
  }
  const std::string path = Path(folder, pack.number);
  pack.file = FileHandle(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!pack.file) return tl::unexpected(ErrnoError("cannot make " + path, errno));
  if (packs_.size() >= kMaxOpenPacks) {
    FURROW_TRY(Sync());
    packs_.clear();
  }
  return &packs_.insert_or_assign(run, std::move(pack)).first->second;
}

Result<std::vector<LogRef>> LogPacks::Append(RunId run, const std::string& folder,
                                             std::span<const SmallLogView* const> logs) {
  FURROW_ASSIGN(Pack* const pack, PackFor(run, folder));
  std::vector<LogRef> locations;
  std::string frames;
  for (const SmallLogView* log : logs) {
    FURROW_CHECK(!log->bytes.empty() && log->bytes.size() <= kSmallLogBytes, "a small log has 1 to 4096 bytes");
    locations.push_back({run, log->attempt, pack->number, pack->length + frames.size()});
    encoder_.Append(log->attempt, 0, AsBytes(log->bytes), frames);
  }
  const std::string path = Path(folder, pack->number);
  if (Status written = WriteAllAt(pack->file.Get(), AsBytes(frames), pack->length, path); !written) {
    (void)::ftruncate(pack->file.Get(), static_cast<off_t>(pack->length));
    return tl::unexpected(std::move(written).error());
  }
  pack->length += frames.size();
  if (!pack->dirty) dirty_.push_back(run);
  pack->dirty = true;
  return locations;
}

Status LogPacks::Sync() {
  for (const RunId run : dirty_) {
    const auto at = packs_.find(run);
    if (at == packs_.end() || !at->second.dirty) continue;
    const Status synced =
        SyncToDisk(at->second.file.Get(), SyncKind::kData, "the log pack of run " + std::to_string(Raw(run)));
    if (synced) continue;
    GiveUp();
    return synced;
  }
  Synced();
  return {};
}

void LogPacks::GiveUp() {
  packs_.clear();
  dirty_.clear();
}

void LogPacks::Synced() {
  for (const RunId run : dirty_)
    if (const auto at = packs_.find(run); at != packs_.end()) at->second.dirty = false;
  dirty_.clear();
}

}  // namespace furrow
