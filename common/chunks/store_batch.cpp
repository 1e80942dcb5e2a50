// Makes chunks durable before they are visible: temp files → data synced → renamed → folders synced. A pack is such a
// file, too.
//
// The times are measured on ext4 (4096 files of 256 KiB): fdatasync for each file as it is written doubles to
// quadruples the time of the writes; writeback started as each file is written (sync_file_range) and one syncfs at the
// end costs 5 ms; fdatasync for each of the files at the end, 220 ms. Folders: fsync of 256 takes 30 ms; one syncfs, 3
// ms. sync_file_range alone promises nothing (no metadata, no flush of the disk's cache): it only makes the syncfs
// short. syncfs waits for the whole file system, so each of a few files is synced by itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/hash.h"
#include "common/chunks/chunker.h"
#include "common/chunks/folders.h"
#include "common/chunks/store.h"

namespace furrow {
namespace {

constexpr std::size_t kFewFiles = 16;
constexpr std::size_t kFewFolders = 8;

Status SyncOne(int dir_fd, const std::string& name, int flags) {
  const FileHandle file(::openat(dir_fd, name.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!file) return tl::unexpected(ErrnoError("cannot sync " + name, errno));
  return SyncToDisk(file.Get(), SyncKind::kFile, name);
}

Status SyncFileSystem(int fd, const std::string& root) {
  return SyncToDisk(fd, SyncKind::kFileSystem, "the file system of " + root);
}

}  // namespace

ChunkStore::Batch::~Batch() {
  Drop();
}

void ChunkStore::Batch::Drop() {
  for (const Temp& temp : temps_) ::unlinkat(store_.temp_fd_.Get(), temp.name.c_str(), 0);
  if (pack_) ::unlinkat(store_.temp_fd_.Get(), pack_->name().c_str(), 0);
  Clear();
}

void ChunkStore::Batch::Clear() {
  temps_.clear();
  pack_.reset();
  present_.clear();
  bytes_ = 0;
}

Status ChunkStore::Batch::Put(const Hash& hash, std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxBlobBytes) return Fail(Errc::kInvalid, "blob " + hash.ToHex() + " is over 64 MiB");
  if (HashOf(bytes) != hash)
    return Fail(Errc::kCorrupt,
                "bytes given for chunk " + hash.ToHex() + " have another hash: damaged on the way here");
  {
    const std::lock_guard lock(mutex_);
    if (present_.contains(hash)) return {};
  }
  if (store_.Has(hash)) return {};

  bool packed = false;
  if (store_.packs_ && bytes.size() >= kMinChunkBytes) {
    FURROW_ASSIGN(packed, PutInPack(hash, bytes));
  }
  if (!packed) FURROW_TRY(PutInFile(hash, bytes));
  const std::lock_guard lock(mutex_);
  present_.insert(hash);
  bytes_ += bytes.size();
  return {};
}

Result<bool> ChunkStore::Batch::PutInPack(const Hash& hash, std::span<const std::byte> bytes) {
  PackBuilder* pack = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (!pack_) {
      FURROW_ASSIGN(pack_, PackBuilder::Create(store_.temp_fd_.Get(), std::to_string(store_.next_temp_++)));
    }
    pack = pack_.get();
  }
  const auto offset = pack->Reserve(bytes.size());
  if (!offset) return false;
  FURROW_TRY(pack->Write(*offset, hash, bytes));
  return true;
}

Status ChunkStore::Batch::PutInFile(const Hash& hash, std::span<const std::byte> bytes) {
  Temp temp{hash, std::to_string(store_.next_temp_++)};
  const FileHandle file(
      ::openat(store_.temp_fd_.Get(), temp.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
  if (!file) return tl::unexpected(ErrnoError("cannot make a file in " + store_.root_ + "/tmp", errno));
  if (Status written = WriteAll(file.Get(), bytes, "a chunk to " + store_.root_); !written) {
    ::unlinkat(store_.temp_fd_.Get(), temp.name.c_str(), 0);
    return written;
  }
  if (store_.options_.durable && bytes.size() >= kMinChunkBytes)
    (void)::sync_file_range(file.Get(), 0, 0, SYNC_FILE_RANGE_WRITE);  // a head start; Commit finds any error
  const std::lock_guard lock(mutex_);
  temps_.push_back(std::move(temp));
  return {};
}

Status ChunkStore::Batch::SyncData() {
  if (pack_ && pack_->Count() == 0) {  // no chunk fitted
    ::unlinkat(store_.temp_fd_.Get(), pack_->name().c_str(), 0);
    pack_.reset();
  }
  if (pack_) FURROW_TRY(pack_->Finish());
  if (temps_.size() > kFewFiles) return SyncFileSystem(store_.root_fd_.Get(), store_.root_);
  for (const Temp& temp : temps_) FURROW_TRY(SyncOne(store_.temp_fd_.Get(), temp.name, 0));
  return {};
}

Status ChunkStore::Batch::Commit() {
  const bool durable = store_.options_.durable;
  if (durable) {
    if (Status synced = SyncData(); !synced) return Drop(), synced;
  }
  if (Status moved = MakeVisible(); !moved) return Drop(), moved;
  Clear();
  return store_.SyncPresence();
}

Status ChunkStore::Batch::MakeVisible() {
  // A reader that sees one of these names and then calls SyncPresence waits for this lock, and finds the folder
  // pending.
  const std::lock_guard lock(store_.pending_mutex_);
  if (pack_) {
    store_.packs_pending_ = true;
    FURROW_TRY(store_.packs_->Publish(store_.temp_fd_.Get(), *pack_));
    pack_.reset();
  }
  for (const Temp& temp : temps_) {
    const std::string name = store_.PathOf(temp.hash).substr(store_.root_.size() + 1);
    store_.pending_.set(temp.hash.bytes[0]);
    FURROW_TRY(store_.MoveIntoPlace(temp.name, name, temp.hash.bytes[0]));
  }
  return {};
}

// Makes a folder when it is first needed: making all 256 at once costs a new store 0.1 s.
Status ChunkStore::MoveIntoPlace(const std::string& temp, const std::string& name, unsigned folder) {
  const auto move = [&] { return ::renameat(temp_fd_.Get(), temp.c_str(), root_fd_.Get(), name.c_str()) == 0; };
  if (move()) return {};
  if (errno == ENOENT && (::mkdirat(root_fd_.Get(), FolderName(folder).text, 0700) == 0 || errno == EEXIST)) {
    root_pending_ = true;
    if (move()) return {};
  }
  return tl::unexpected(ErrnoError("cannot move a chunk to " + root_ + "/" + name, errno));
}

Status ChunkStore::Failure() const {
  const std::lock_guard lock(pending_mutex_);
  return presence_;
}

Status ChunkStore::SyncPresence() {
  if (!options_.durable) return {};
  const std::lock_guard only_one(sync_mutex_);
  std::bitset<256> folders;
  bool root = false, packs = false;
  {
    const std::lock_guard lock(pending_mutex_);
    FURROW_TRY(presence_);
    if (other_writers_ != 0) CountAllAsPending();
    std::swap(folders, pending_);
    std::swap(root, root_pending_);
    std::swap(packs, packs_pending_);
  }
  Status synced;
  if (folders.count() > kFewFolders) {
    synced = SyncFileSystem(root_fd_.Get(), root_);
  } else {
    for (unsigned i = 0; i < folders.size() && synced; ++i)
      if (folders.test(i)) synced = SyncOne(root_fd_.Get(), FolderName(i).text, O_DIRECTORY);
    if (packs && synced) synced = SyncOne(root_fd_.Get(), "packs", O_DIRECTORY);
    if (root && synced) synced = SyncOne(root_fd_.Get(), ".", O_DIRECTORY);
  }
  if (!synced) {
    // Another try would succeed without the names that the kernel has dropped.
    const std::lock_guard lock(pending_mutex_);
    presence_ = tl::unexpected(Annotate(synced.error(), "this process can promise no chunk any more"));
  }
  return synced;
}

}  // namespace furrow
