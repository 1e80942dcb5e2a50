#include "common/chunks/packs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/chunks/direct_io.h"

namespace furrow {
namespace {

// The alignment allows writes past the page cache, and lets one chunk's blocks be given back to the file system.
constexpr std::uint64_t kAlignment = kDirectAlignment;
constexpr std::string_view kMagic = "FURPACK1";
constexpr std::size_t kEntryBytes = 32 + 4 + 4 + 4;  // hash, offset, size, state
constexpr std::size_t kStateAt = 40;                 // the state's offset in an entry
constexpr std::size_t kTrailerBytes = 32 + 4 + 8;    // hash of the entries (states as 0), their number, magic
constexpr std::uint32_t kLive = 0, kDamaged = 1;

void PutHash(std::string& out, const Hash& hash) {
  out.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

std::string EncodeIndex(std::span<const PackedChunk> chunks) {
  std::string index;
  index.reserve(chunks.size() * kEntryBytes + kTrailerBytes);
  for (const PackedChunk& chunk : chunks) {
    PutHash(index, chunk.hash);
    PutU32(index, chunk.offset);
    PutU32(index, chunk.size);
    PutU32(index, kLive);
  }
  const Hash sum = HashOf(index);
  PutHash(index, sum);
  PutU32(index, static_cast<std::uint32_t>(chunks.size()));
  index += kMagic;
  return index;
}

struct PackIndex {
  std::vector<PackedChunk> chunks;  // a chunk that is not to be used has size 0
  std::uint64_t at = 0;             // where the entries begin in the file
};

Result<PackIndex> ReadIndex(int fd, const std::string& path) {
  const auto corrupt = [&](const char* what) { return Fail(Errc::kCorrupt, "pack " + path + ": " + what); };
  struct stat status {};
  if (::fstat(fd, &status) != 0) return tl::unexpected(ErrnoError("cannot read " + path, errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < kTrailerBytes || size > 2 * PackBuilder::kMaxBytes) return corrupt("its size cannot be");
  const auto read = [&](std::uint64_t at, std::uint64_t count) -> Result<std::string> {
    std::string bytes(count, '\0');
    FURROW_TRY(ReadAllAt(fd, std::as_writable_bytes(std::span<char>(bytes)), at, path));
    return bytes;
  };
  FURROW_ASSIGN(const std::string trailer, read(size - kTrailerBytes, kTrailerBytes));
  ByteReader end(AsBytes(trailer));
  Hash sum;
  end.Copy(sum.bytes.data(), sum.bytes.size());
  const std::uint64_t count = end.U32();
  if (end.Text(kMagic.size()) != kMagic) return corrupt("its end is missing");
  if (count > (size - kTrailerBytes) / kEntryBytes) return corrupt("its index is damaged");
  PackIndex index;
  index.at = size - kTrailerBytes - count * kEntryBytes;
  FURROW_ASSIGN(std::string entries, read(index.at, count * kEntryBytes));
  index.chunks.reserve(count);
  for (std::size_t at = 0; at < entries.size(); at += kEntryBytes) {
    ByteReader entry(AsBytes(entries).subspan(at, kEntryBytes));
    PackedChunk chunk;
    entry.Copy(chunk.hash.bytes.data(), chunk.hash.bytes.size());
    chunk.offset = entry.U32();
    chunk.size = entry.U32();
    if (chunk.size == 0 || std::uint64_t{chunk.offset} + chunk.size > index.at) return corrupt("its index is damaged");
    if (entry.U32() != kLive) chunk.size = 0;
    std::memset(entries.data() + at + kStateAt, 0, 4);
    index.chunks.push_back(chunk);
  }
  if (HashOf(entries) != sum) return corrupt("its index is damaged");
  return index;
}

}  // namespace

// ---- writing -----------------------------------------------------------------------------------------------

Result<std::unique_ptr<PackBuilder>> PackBuilder::Create(int dir_fd, std::string name) {
  FileHandle file = CreateDirect(dir_fd, name);
  if (!file) return tl::unexpected(ErrnoError("cannot make a pack for chunks", errno));
  return std::unique_ptr<PackBuilder>(new PackBuilder(std::move(file), std::move(name)));
}

std::optional<std::uint32_t> PackBuilder::Reserve(std::size_t bytes) {
  const std::uint64_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  std::uint64_t offset = end_;
  do {
    if (offset + room > kMaxBytes) return std::nullopt;
  } while (!end_.compare_exchange_weak(offset, offset + room));
  return static_cast<std::uint32_t>(offset);
}

Status PackBuilder::Write(std::uint32_t offset, const Hash& hash, std::span<const std::byte> bytes) {
  if (Status written = WriteDirect(file_.Get(), bytes, offset, "a chunk to a pack"); !written) {
    // A full disk gets the chunk's blocks back, so that the chunks that the pack holds already can still be committed.
    (void)::fallocate(file_.Get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                      static_cast<off_t>(bytes.size()));
    return written;
  }
  const std::lock_guard lock(mutex_);
  chunks_.push_back({hash, offset, static_cast<std::uint32_t>(bytes.size())});
  return {};
}

Status PackBuilder::Finish() {
  StopDirect(file_.Get());  // the index need not be a multiple of the alignment
  const std::string index = EncodeIndex(chunks_);
  FURROW_TRY(WriteAllAt(file_.Get(), AsBytes(index), end_, "the index of a pack"));
  return SyncToDisk(file_.Get(), SyncKind::kData, "a pack");
}

// ---- reading -----------------------------------------------------------------------------------------------

Result<std::unique_ptr<ChunkPacks>> ChunkPacks::Open(int root_fd, const std::string& root) {
  const std::string path = root + "/packs";
  FURROW_TRY(MakeFolders(path));
  FileHandle folder(::openat(root_fd, "packs", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(folder ? ::fdopendir(::dup(folder.Get())) : nullptr, &::closedir);
  if (dir == nullptr) return tl::unexpected(ErrnoError("cannot read " + path, errno));
  std::unique_ptr<ChunkPacks> packs(new ChunkPacks(std::move(folder), path));
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name.front() == '.') continue;
    const Status loaded = packs->Load(name);
    if (loaded) continue;
    if (loaded.error().code != Errc::kCorrupt) return tl::unexpected(loaded.error());
    const std::string aside = "corrupt/" + name;
    ::renameat(packs->folder_.Get(), name.c_str(), root_fd, aside.c_str());
    log::Warning("{}; put aside as {}. What only it held is missing now and is sent again where an agent has it",
                 loaded.error().message, aside);
  }
  return packs;
}

Status ChunkPacks::Load(const std::string& name) {
  const FileHandle file(::openat(folder_.Get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const std::string path = path_ + "/" + name;
  if (!file) return tl::unexpected(ErrnoError("cannot open " + path, errno));
  FURROW_ASSIGN(const PackIndex index, ReadIndex(file.Get(), path));
  Index(name, index.chunks);
  return {};
}

void ChunkPacks::Index(const std::string& name, std::span<const PackedChunk> chunks) {
  const std::unique_lock lock(mutex_);
  const auto pack = static_cast<std::uint32_t>(names_.size());
  names_.push_back(name);
  for (std::uint32_t i = 0; i < chunks.size(); ++i) {
    if (chunks[i].size != 0) chunks_.try_emplace(chunks[i].hash, Entry{pack, i, chunks[i].offset, chunks[i].size});
  }
}

bool ChunkPacks::Has(const Hash& hash) const {
  const std::shared_lock lock(mutex_);
  return chunks_.contains(hash);
}

Result<ChunkPacks::Location> ChunkPacks::Find(const Hash& hash) const {
  Location location;
  {
    const std::shared_lock lock(mutex_);
    const auto found = chunks_.find(hash);
    if (found == chunks_.end()) return Fail(Errc::kNotFound, "chunk " + hash.ToHex() + " is in no pack");
    location.pack = names_[found->second.pack];
    location.offset = found->second.offset;
    location.size = found->second.size;
  }
  location.file = FileHandle(::openat(folder_.Get(), location.pack.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!location.file) return tl::unexpected(ErrnoError("cannot open " + path_ + "/" + location.pack, errno));
  return location;
}

void ChunkPacks::Forget(const Hash& hash) {
  std::string name;
  std::uint32_t index = 0;
  {
    const std::unique_lock lock(mutex_);
    const auto found = chunks_.find(hash);
    if (found == chunks_.end()) return;
    name = names_[found->second.pack];
    index = found->second.index;
    chunks_.erase(found);
  }
  const FileHandle file(::openat(folder_.Get(), name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  const auto read = file ? ReadIndex(file.Get(), path_ + "/" + name) : tl::unexpected(ErrnoError(name, errno));
  std::string state;
  PutU32(state, kDamaged);
  if (!read || !WriteAllAt(file.Get(), AsBytes(state), read->at + index * kEntryBytes + kStateAt, name) ||
      !SyncToDisk(file.Get(), SyncKind::kData, name))
    log::Warning("could not note in {}/{} that the chunk {} in it is damaged; that is found again after a restart",
                 path_, name, hash.ToHex());
}

Status ChunkPacks::Publish(int from_fd, const PackBuilder& pack) {
  const std::string name = Uuid::Random().ToHex();
  if (::renameat(from_fd, pack.name().c_str(), folder_.Get(), name.c_str()) != 0)
    return tl::unexpected(ErrnoError("cannot move a pack to " + path_, errno));
  Index(name, pack.chunks());
  return {};
}

}  // namespace furrow
