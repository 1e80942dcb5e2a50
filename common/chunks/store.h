// Keeps chunks and tree encodings on disk by SHA-256, one file each or large ones together in packs: the controller's
// blobs and the agent's cache. controller/STORE.md, "Chunks", defines the layout and what a power cut can leave.
#pragma once

#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/base/ids.h"
#include "common/chunks/packs.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"

namespace furrow {

struct ChunkStoreOptions {
  // true (controller): a chunk survives a power cut once Commit has returned. false (agent): nothing is synced; the
  // hash reveals a chunk that a power cut tore when the chunk is read, and the agent fetches it again.
  bool durable = true;
  // Stamps chunks that are read, so that Evict knows which were not used for longest.
  bool track_use = false;
  // Writes a batch's large chunks into one file. Requires `durable` and excludes `track_use`. A process sees the packs
  // of another process in the same folder only when it opens the folder again.
  bool packs = false;
};

// Any thread may use a ChunkStore. Several processes may share one folder, Evict included, since open files stay
// readable; but only one process may promise that chunks of a durable store survive.
class ChunkStore final : public ChunkSource {
 public:
  class Batch;

  // Opens or creates the store in folder `root` and removes what dead processes left in its tmp folder.
  static Result<std::unique_ptr<ChunkStore>> Open(const std::string& root, ChunkStoreOptions options = {});
  ~ChunkStore() override;

  // Returns whether the folder at the store's path is still the one that was opened, with what the store needs in it.
  bool InPlace() const;

  bool Has(const Hash& hash) const;
  // Returns the hashes that are not in the store, in the order given, each once.
  std::vector<Hash> Missing(std::span<const Hash> hashes) const;

  // Returns one blob (up to kMaxBlobBytes); its hash is checked unless `verify` is false. kNotFound: there is none;
  // kCorrupt: the file did not match its name and was put aside, so that Has is now false.
  Result<std::string> Get(const Hash& hash, bool verify = true);
  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override;

  // Puts one blob and commits it. Use a Batch for many.
  Status Put(const Hash& hash, std::span<const std::byte> bytes);
  Result<Hash> Put(std::span<const std::byte> bytes);

  // Makes the presence of every chunk for which Has returned true survive a power cut. The call is cheap if nothing is
  // pending and no other process writes. A failure is final: every later call, and every Commit, fails, until the store
  // is opened again.
  Status SyncPresence();
  // Returns that final failure, if there was one.
  Status Failure() const;

  // While an OtherWriter lives, another process may rename chunks into this folder. Has sees such a chunk before the
  // other process has synced its name, which it never does if it is killed: SyncPresence counts every folder as pending
  // for as long, and once more after it. The chunk's data is safe, because every durable store syncs it before the
  // rename. The store must outlive the object; any thread may make and destroy one.
  class OtherWriter;

  // Removes the chunks unused for longest until the store holds at most `max_bytes`; never removes one in `keep`. Needs
  // track_use. Returns the number of removed bytes. Evict reads all folders: call it now and then, on a thread of its
  // own.
  Result<std::uint64_t> Evict(std::uint64_t max_bytes, const std::unordered_set<Hash>& keep);

  // Returns the path of the blob's file if the blob has a file of its own (for measurements and tests); the file need
  // not exist.
  std::string PathOf(const Hash& hash) const;

 private:
  ChunkStore(std::string root, ChunkStoreOptions options) : root_(std::move(root)), options_(options) {}
  struct Location {
    FileHandle file;
    std::uint64_t offset = 0, size = 0;
  };
  Result<Location> OpenChunk(const Hash& hash);
  bool HasFile(const Hash& hash) const;
  Error Quarantine(const Hash& hash, const std::string& what);
  Status MoveIntoPlace(const std::string& temp, const std::string& name, unsigned folder);
  Status OpenTempFolder();
  Status RemoveOrphans();
  void CountAllAsPending();  // pending_mutex_ is held

  const std::string root_;
  const ChunkStoreOptions options_;
  FileHandle root_fd_;
  FileHandle temp_fd_;  // tmp/<pid>-<random>, which this store alone uses and keeps locked
  std::string temp_name_;
  std::atomic<std::uint64_t> next_temp_{1};
  std::mutex sync_mutex_;             // held while folders are synced, so that a second caller waits for the first
  mutable std::mutex pending_mutex_;  // held while chunks are renamed into place; guards the pending_ fields
  std::bitset<256> pending_;          // folders with a rename that is not yet known durable
  bool root_pending_ = false;         // true: a new folder is not yet known durable
  bool packs_pending_ = false;
  unsigned other_writers_ = 0;
  Status presence_;  // the failure of a sync of folders, which is final; also guarded by pending_mutex_
  std::unique_ptr<ChunkPacks> packs_;  // null without the option
};

class ChunkStore::OtherWriter {
 public:
  explicit OtherWriter(ChunkStore& store);
  ~OtherWriter();
  OtherWriter(const OtherWriter&) = delete;
  OtherWriter& operator=(const OtherWriter&) = delete;

 private:
  ChunkStore& store_;
};

// Collects blobs and makes them visible together. No blob is visible before Commit; a Batch destroyed without a Commit
// leaves nothing. Several threads may call Put at once; one thread calls the rest when no Put is under way. Several
// batches may be open. The store must outlive its batches.
class ChunkStore::Batch {
 public:
  explicit Batch(ChunkStore& store) : store_(store) {}
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Verifies and writes one blob; a blob that is present already is skipped. kCorrupt: bytes and hash differ;
  // kUnavailable: the disk is full. An error leaves the batch as before.
  Status Put(const Hash& hash, std::span<const std::byte> bytes);

  // Makes the blobs durable (unless the store is not), then visible; afterwards the batch is empty and may be used
  // again. After an error none or some of the blobs are visible, each of them whole, and the batch is empty.
  Status Commit();

  std::size_t Count() const { return present_.size(); }
  std::uint64_t Bytes() const { return bytes_; }

 private:
  struct Temp {
    Hash hash;
    std::string name;
  };
  Result<bool> PutInPack(const Hash& hash, std::span<const std::byte> bytes);  // false: there is no room
  Status PutInFile(const Hash& hash, std::span<const std::byte> bytes);
  Status SyncData();
  Status MakeVisible();
  void Drop();  // removes the temp files
  void Clear();

  ChunkStore& store_;
  std::mutex mutex_;  // guards the following fields while blobs are put
  std::vector<Temp> temps_;
  std::unique_ptr<PackBuilder> pack_;
  std::unordered_set<Hash> present_;  // the hashes of this batch
  std::uint64_t bytes_ = 0;
};

}  // namespace furrow
