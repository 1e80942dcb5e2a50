#include "common/chunks/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/chunks/folders.h"
#include "common/chunks/remove_tree.h"

namespace furrow {
namespace {

// Holds a chunk's path below the root in a buffer on the stack, because a store makes thousands of these paths.
struct RelativePath {
  char text[3 + 64 + 1];
  explicit RelativePath(const Hash& hash) {
    static constexpr char kDigits[] = "0123456789abcdef";
    char* out = text + 3;
    for (const std::uint8_t byte : hash.bytes) {
      *out++ = kDigits[byte >> 4];
      *out++ = kDigits[byte & 15];
    }
    *out = '\0';
    text[0] = text[3];
    text[1] = text[4];
    text[2] = '/';
  }
};

}  // namespace

Result<std::unique_ptr<ChunkStore>> ChunkStore::Open(const std::string& root, ChunkStoreOptions options) {
  FURROW_TRY(MakeFolders(root + "/tmp"));
  FURROW_TRY(MakeFolders(root + "/corrupt"));
  std::unique_ptr<ChunkStore> store(new ChunkStore(root, options));
  store->root_fd_ = FileHandle(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!store->root_fd_) return tl::unexpected(ErrnoError("cannot open " + root, errno));
  FURROW_TRY(store->RemoveOrphans());
  FURROW_TRY(store->OpenTempFolder());
  if (options.packs) {
    FURROW_CHECK(options.durable && !options.track_use, "chunks in packs are kept, not evicted");
    FURROW_ASSIGN(store->packs_, ChunkPacks::Open(store->root_fd_.Get(), root));
    store->packs_pending_ = true;
  }
  if (options.durable) {
    // The process before may have died between rename and sync.
    FURROW_TRY(SyncToDisk(store->root_fd_.Get(), SyncKind::kFile, root));
    store->CountAllAsPending();
  }
  return store;
}

void ChunkStore::CountAllAsPending() {
  for (unsigned i = 0; i < 256; ++i)
    if (::faccessat(root_fd_.Get(), FolderName(i).text, F_OK, 0) == 0) pending_.set(i);
  root_pending_ = true;
}

ChunkStore::OtherWriter::OtherWriter(ChunkStore& store) : store_(store) {
  const std::lock_guard lock(store_.pending_mutex_);
  ++store_.other_writers_;
}

ChunkStore::OtherWriter::~OtherWriter() {
  const std::lock_guard lock(store_.pending_mutex_);
  --store_.other_writers_;
  store_.CountAllAsPending();
}

ChunkStore::~ChunkStore() {
  if (temp_fd_) {
    (void)RemoveBeneath(temp_fd_.Get());
    ::unlinkat(root_fd_.Get(), ("tmp/" + temp_name_).c_str(), AT_REMOVEDIR);
  }
}

Status ChunkStore::OpenTempFolder() {
  while (true) {
    temp_name_ = std::to_string(::getpid()) + "-" + Uuid::Random().ToHex();
    const std::string path = "tmp/" + temp_name_;
    if (::mkdirat(root_fd_.Get(), path.c_str(), 0700) != 0)
      return tl::unexpected(ErrnoError("cannot make the folder " + root_ + "/" + path, errno));
    temp_fd_ = FileHandle(::openat(root_fd_.Get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status {};
    // Another process that opens the store just now may have taken the folder for an orphan.
    if (temp_fd_ && ::flock(temp_fd_.Get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(temp_fd_.Get(), &status) == 0 &&
        status.st_nlink > 0)
      return {};
    if (temp_fd_ && errno != EWOULDBLOCK && status.st_nlink > 0)
      return tl::unexpected(ErrnoError("cannot lock the folder " + root_ + "/" + path, errno));
  }
}

Status ChunkStore::RemoveOrphans() {
  const FileHandle tmp(::openat(root_fd_.Get(), "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(tmp ? ::fdopendir(::dup(tmp.Get())) : nullptr, &::closedir);
  if (dir == nullptr) return tl::unexpected(ErrnoError("cannot read " + root_ + "/tmp", errno));
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] == '.') continue;
    const FileHandle folder(::openat(tmp.Get(), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder || ::flock(folder.Get(), LOCK_EX | LOCK_NB) != 0) continue;  // the folder's process is alive
    FURROW_TRY(RemoveBeneath(folder.Get()));
    ::unlinkat(tmp.Get(), entry->d_name, AT_REMOVEDIR);
  }
  return {};
}

std::string ChunkStore::PathOf(const Hash& hash) const {
  return root_ + "/" + RelativePath(hash).text;
}

bool ChunkStore::InPlace() const {
  struct stat opened {
  }, there{}, temp{};
  return ::fstat(root_fd_.Get(), &opened) == 0 && ::stat(root_.c_str(), &there) == 0 && opened.st_dev == there.st_dev &&
         opened.st_ino == there.st_ino && ::fstat(temp_fd_.Get(), &temp) == 0 && temp.st_nlink > 0 &&
         ::faccessat(root_fd_.Get(), "corrupt", W_OK | X_OK, 0) == 0;
}

bool ChunkStore::Has(const Hash& hash) const {
  return (packs_ && packs_->Has(hash)) || HasFile(hash);
}

bool ChunkStore::HasFile(const Hash& hash) const {
  return ::faccessat(root_fd_.Get(), RelativePath(hash).text, F_OK, 0) == 0;
}

std::vector<Hash> ChunkStore::Missing(std::span<const Hash> hashes) const {
  std::vector<Hash> missing;
  std::unordered_set<Hash> seen;
  for (const Hash& hash : hashes)
    if (!Has(hash) && seen.insert(hash).second) missing.push_back(hash);
  return missing;
}

Result<ChunkStore::Location> ChunkStore::OpenChunk(const Hash& hash) {
  if (packs_ && packs_->Has(hash)) {
    FURROW_ASSIGN(ChunkPacks::Location packed, packs_->Find(hash));
    return Location{std::move(packed.file), packed.offset, packed.size};
  }
  Location location{
      FileHandle(::openat(root_fd_.Get(), RelativePath(hash).text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC))};
  if (!location.file) {
    if (errno == ENOENT) return Fail(Errc::kNotFound, "chunk " + hash.ToHex() + " is not in " + root_);
    // In a cache jobs may have closed it or put something in its place. What must be kept is kept for somebody to see.
    if (!options_.durable && (errno == EACCES || errno == ELOOP || errno == ENXIO))
      return tl::unexpected(Quarantine(hash, "it cannot be opened"));
    return tl::unexpected(ErrnoError("cannot open " + PathOf(hash), errno));
  }
  struct stat status {};
  if (::fstat(location.file.Get(), &status) != 0)
    return tl::unexpected(ErrnoError("cannot read " + PathOf(hash), errno));
  if (!S_ISREG(status.st_mode)) return tl::unexpected(Quarantine(hash, "it is no file"));
  location.size = static_cast<std::uint64_t>(status.st_size);
  if (options_.track_use) {
    const timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    (void)::futimens(location.file.Get(), times);  // only the order of eviction depends on the stamp
  }
  return location;
}

Error ChunkStore::Quarantine(const Hash& hash, const std::string& what) {
  std::string message = "chunk " + hash.ToHex() + " in " + root_ + " is damaged (" + what + ")";
  if (packs_ && packs_->Has(hash)) {
    packs_->Forget(hash);
    return {Errc::kCorrupt, message + "; it is not used again"};
  }
  const std::string aside = "corrupt/" + hash.ToHex() + "-" + Uuid::Random().ToHex();
  if (::renameat(root_fd_.Get(), RelativePath(hash).text, root_fd_.Get(), aside.c_str()) == 0)
    message += "; put aside as " + aside;
  return {Errc::kCorrupt, std::move(message)};
}

Result<std::string> ChunkStore::Get(const Hash& hash, bool verify) {
  FURROW_ASSIGN(const Location location, OpenChunk(hash));
  if (location.size > kMaxBlobBytes) return tl::unexpected(Quarantine(hash, "too large"));
  std::string bytes(location.size, '\0');
  FURROW_TRY(ReadAllAt(location.file.Get(), std::as_writable_bytes(std::span<char>(bytes)), location.offset,
                       "chunk " + hash.ToHex()));
  if (verify && HashOf(bytes) != hash) return tl::unexpected(Quarantine(hash, "its content has another hash"));
  return bytes;
}

Status ChunkStore::Read(const ChunkRef& chunk, std::span<std::byte> out) {
  FURROW_ASSIGN(const Location location, OpenChunk(chunk.hash));
  if (location.size < out.size()) return tl::unexpected(Quarantine(chunk.hash, "too short"));
  FURROW_TRY(ReadAllAt(location.file.Get(), out, location.offset, RelativePath(chunk.hash).text));
  if (HashOf(out) != chunk.hash) return tl::unexpected(Quarantine(chunk.hash, "its content has another hash"));
  return {};
}

Status ChunkStore::Put(const Hash& hash, std::span<const std::byte> bytes) {
  Batch batch(*this);
  FURROW_TRY(batch.Put(hash, bytes));
  return batch.Commit();
}

Result<Hash> ChunkStore::Put(std::span<const std::byte> bytes) {
  const Hash hash = HashOf(bytes);
  FURROW_TRY(Put(hash, bytes));
  return hash;
}

}  // namespace furrow
