// Keeps a cache of chunks below a size.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/check.h"
#include "common/chunks/folders.h"
#include "common/chunks/store.h"

namespace furrow {
namespace {

struct Stored {
  std::int64_t used_ns;
  std::uint64_t bytes;  // bytes on the disk
  Hash hash;
};

Status ListFolder(int root_fd, const char* folder, std::vector<Stored>& out) {
  const int fd = ::openat(root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};  // the folder was not needed yet
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fd < 0 ? nullptr : ::fdopendir(fd), &::closedir);
  if (dir == nullptr) return tl::unexpected(ErrnoError("cannot read the chunk folder " + std::string(folder), errno));
  while (const dirent* entry = ::readdir(dir.get())) {
    const Result<Hash> hash = Hash::FromHex(entry->d_name);
    struct stat status {};
    // The file is gone if another process evicts too.
    if (!hash || ::fstatat(::dirfd(dir.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    out.push_back({status.st_atim.tv_sec * 1'000'000'000 + status.st_atim.tv_nsec,
                   static_cast<std::uint64_t>(status.st_blocks) * 512, *hash});
  }
  return {};
}

}  // namespace

Result<std::uint64_t> ChunkStore::Evict(std::uint64_t max_bytes, const std::unordered_set<Hash>& keep) {
  FURROW_CHECK(options_.track_use, "only a store that tracks use evicts");
  std::vector<Stored> stored;
  for (unsigned i = 0; i < 256; ++i) {
    FURROW_TRY(ListFolder(root_fd_.Get(), FolderName(i).text, stored));
  }
  std::uint64_t total = 0;
  for (const Stored& chunk : stored) total += chunk.bytes;
  if (total <= max_bytes) return 0;
  std::sort(stored.begin(), stored.end(), [](const Stored& a, const Stored& b) { return a.used_ns < b.used_ns; });
  std::uint64_t removed = 0;
  for (const Stored& chunk : stored) {
    if (total - removed <= max_bytes) break;
    if (keep.contains(chunk.hash)) continue;
    if (::unlink(PathOf(chunk.hash).c_str()) == 0) removed += chunk.bytes;
  }
  return removed;
}

}  // namespace furrow
