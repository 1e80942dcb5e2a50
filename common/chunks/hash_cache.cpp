// File: "FURHASH1", then for each file u64 device, inode, size, last use, i64 mtime and ctime in ns, u32 count, and
// count times hash and u32 size; last the SHA-256 of everything before it. All numbers little-endian.
#include "common/chunks/hash_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "common/base/bytes.h"
#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/base/replace_file.h"

namespace furrow {
namespace {

constexpr std::string_view kMagic = "FURHASH1";
constexpr std::size_t kEntryBytes = 6 * 8 + 4;
constexpr std::size_t kChunkBytes = 32 + 4;

// File stamps advance by the kernel's tick, 10 ms at most, on local file systems; by up to 2 s on those that keep whole
// seconds only, which is told by their nanoseconds.
constexpr std::int64_t kTickNs = 20'000'000;
constexpr std::int64_t kCoarseNs = 2'100'000'000;

std::int64_t ToNs(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::size_t EncodedBytes(std::size_t chunks) {
  return kEntryBytes + chunks * kChunkBytes;
}

}  // namespace

std::int64_t HashCache::FileClockNs() {
  timespec now{};
  // Not the farm's time: compared with file stamps only, which the same kernel clock made.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return ToNs(now);
}

std::int64_t HashCache::SettledAtNs(const struct stat& status) {
  const bool coarse = status.st_mtim.tv_nsec == 0 && status.st_ctim.tv_nsec == 0;
  return ToNs(status.st_ctim) + (coarse ? kCoarseNs : kTickNs);
}

std::unique_ptr<HashCache> HashCache::Open(std::string file, std::size_t max_bytes) {
  std::unique_ptr<HashCache> cache(new HashCache(std::move(file), max_bytes));
  // Twice the bound: a cache that was written under a larger one still serves, and shrinks when saved.
  const Result<std::string> bytes = ReadFile(cache->file_, 2 * max_bytes + 4096);
  if (bytes && !cache->Load(*bytes)) {
    cache->entries_.clear();
    cache->bytes_ = 0;
    cache->generation_ = 1;
  }
  return cache;
}

bool HashCache::Load(const std::string& bytes) {
  if (bytes.size() < kMagic.size() + 32) return false;
  const std::span<const std::byte> body = AsBytes(bytes).first(bytes.size() - 32);
  const Hash digest = HashOf(body);
  if (AsBytes(bytes).subspan(body.size()).size() != digest.bytes.size() ||
      !std::equal(digest.bytes.begin(), digest.bytes.end(),
                  reinterpret_cast<const std::uint8_t*>(bytes.data() + body.size())))
    return false;
  ByteReader in(body);
  if (in.Text(kMagic.size()) != kMagic) return false;
  while (in.Left() > 0) {
    Key key{in.U64(), in.U64()};
    Entry entry{};
    entry.size = in.U64();
    entry.last_use = in.U64();
    entry.mtime_ns = static_cast<std::int64_t>(in.U64());
    entry.ctime_ns = static_cast<std::int64_t>(in.U64());
    const std::size_t count = in.U32();
    if (!in.Ok() || count > in.Left() / kChunkBytes) return false;
    entry.chunks.resize(count);
    for (ChunkRef& chunk : entry.chunks) {
      in.Copy(chunk.hash.bytes.data(), chunk.hash.bytes.size());
      chunk.size = in.U32();
    }
    generation_ = std::max(generation_, entry.last_use + 1);
    bytes_ += EncodedBytes(count);
    entries_.insert_or_assign(key, std::move(entry));
  }
  return true;
}

std::optional<std::vector<ChunkRef>> HashCache::Find(const struct stat& status) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(Key{status.st_dev, status.st_ino});
  if (at == entries_.end()) return std::nullopt;
  Entry& entry = at->second;
  if (entry.size != static_cast<std::uint64_t>(status.st_size) || entry.mtime_ns != ToNs(status.st_mtim) ||
      entry.ctime_ns != ToNs(status.st_ctim))
    return std::nullopt;
  entry.last_use = generation_;
  return entry.chunks;
}

void HashCache::Remember(const struct stat& status, std::int64_t read_started_ns, const std::vector<ChunkRef>& chunks) {
  if (read_started_ns < SettledAtNs(status)) return;
  const std::lock_guard lock(mutex_);
  const auto [at, added] = entries_.try_emplace(Key{status.st_dev, status.st_ino});
  if (!added) bytes_ -= EncodedBytes(at->second.chunks.size());
  bytes_ += EncodedBytes(chunks.size());
  at->second = Entry{static_cast<std::uint64_t>(status.st_size), ToNs(status.st_mtim), ToNs(status.st_ctim),
                     generation_, chunks};
  changed_ = true;
  if (bytes_ > max_bytes_) Shrink();
}

// Down to three quarters, so that this is rare.
void HashCache::Shrink() {
  std::vector<std::pair<std::uint64_t, Key>> by_use;
  by_use.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) by_use.emplace_back(entry.last_use, key);
  std::sort(by_use.begin(), by_use.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [use, key] : by_use) {
    if (bytes_ <= max_bytes_ / 4 * 3) break;
    const auto at = entries_.find(key);
    bytes_ -= EncodedBytes(at->second.chunks.size());
    entries_.erase(at);
  }
}

Status HashCache::Save() {
  std::string out(kMagic);
  {
    const std::lock_guard lock(mutex_);
    if (!changed_) return {};
    if (bytes_ > max_bytes_) Shrink();
    out.reserve(bytes_ + 64);
    for (const auto& [key, entry] : entries_) {
      PutU64(out, key.device);
      PutU64(out, key.inode);
      PutU64(out, entry.size);
      PutU64(out, entry.last_use);
      PutU64(out, static_cast<std::uint64_t>(entry.mtime_ns));
      PutU64(out, static_cast<std::uint64_t>(entry.ctime_ns));
      PutU32(out, static_cast<std::uint32_t>(entry.chunks.size()));
      for (const ChunkRef& chunk : entry.chunks) {
        out.append(reinterpret_cast<const char*>(chunk.hash.bytes.data()), chunk.hash.bytes.size());
        PutU32(out, chunk.size);
      }
    }
    changed_ = false;
  }
  const Hash digest = HashOf(out);
  out.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());

  // What a power cut tears, the digest finds, and the files are hashed again.
  return ReplaceFile(file_, out, 0600, Durability::kNotSynced);
}

std::size_t HashCache::Count() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace furrow
