// Chunks and tree encodings on disk, by SHA-256, one file each or large ones together in packs: the controller's blobs
// and the agent's cache.
// Layout and what a power cut can leave: controller/STORE.md, "Chunks".
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
  // true (controller): what Commit returned for survives a power cut. false (agent): nothing is synced; a chunk that a
  // power cut tore is found by its hash when read, and fetched again.
  bool durable = true;
  // Stamp chunks when read, so that Evict knows which were not used for longest.
  bool track_use = false;
  // A batch's large chunks go into one file. Only where durable and without track_use; what one process packs, another
  // that has the folder open sees when it opens it again.
  bool packs = false;
};

// Any thread. Several processes may share one folder, Evict included, since open files stay readable; but of a durable
// store only one process may be the one that makes promises.
class ChunkStore final : public ChunkSource {
 public:
  class Batch;

  // Opens or creates the store in folder `root` and removes what dead processes left in its tmp folder.
  static Result<std::unique_ptr<ChunkStore>> Open(const std::string& root, ChunkStoreOptions options = {});
  ~ChunkStore() override;

  bool Has(const Hash& hash) const;
  // Those that are not here, in the order given, each once.
  std::vector<Hash> Missing(std::span<const Hash> hashes) const;

  // One blob (up to kMaxBlobBytes), its hash checked unless `verify` is false. kNotFound; kCorrupt: the file did not
  // match its name and was put aside, so that Has is now false.
  Result<std::string> Get(const Hash& hash, bool verify = true);
  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override;

  // Puts one blob and commits it. For many use a Batch.
  Status Put(const Hash& hash, std::span<const std::byte> bytes);
  Result<Hash> Put(std::span<const std::byte> bytes);

  // Makes the presence of every chunk that Has answered true for survive a power cut. Cheap if nothing is pending.
  Status SyncPresence();

  // Removes the chunks unused for longest until the store holds at most `max_bytes`; never one in `keep`. Needs
  // track_use. Returns the bytes removed. Reads all folders: for a thread of its own, now and then.
  Result<std::uint64_t> Evict(std::uint64_t max_bytes, const std::unordered_set<Hash>& keep);

  // Where the blob's file lies if it has one of its own (for measuring and for tests); it need not exist.
  std::string PathOf(const Hash& hash) const;

 private:
  ChunkStore(std::string root, ChunkStoreOptions options) : root_(std::move(root)), options_(options) {}
  struct Location {
    FileHandle file;
    std::uint64_t offset = 0, size = 0;
  };
  Result<Location> OpenChunk(const Hash& hash) const;
  bool HasFile(const Hash& hash) const;
  Error Quarantine(const Hash& hash, const std::string& what);
  Status MoveIntoPlace(const std::string& temp, const std::string& name, unsigned folder);
  Status OpenTempFolder();
  Status RemoveOrphans();

  const std::string root_;
  const ChunkStoreOptions options_;
  FileHandle root_fd_;
  FileHandle temp_fd_;  // tmp/<pid>-<random>: ours alone, locked for as long as we live
  std::string temp_name_;
  std::atomic<std::uint64_t> next_temp_{1};
  std::mutex sync_mutex_;      // held while folders are synced, so that a second caller waits for the first
  std::mutex pending_mutex_;   // held while chunks are renamed into place; guards what is pending
  std::bitset<256> pending_;   // folders with a rename that is not yet known durable
  bool root_pending_ = false;  // likewise a new folder
  bool packs_pending_ = false;
  std::unique_ptr<ChunkPacks> packs_;  // none without the option
};

// Collects blobs and makes them visible together. Nothing is visible before Commit; a Batch destroyed without it
// leaves nothing. Put may be called from several threads at once, the rest by one when no Put is under way. Several
// batches may be open. The store must outlive it.
class ChunkStore::Batch {
 public:
  explicit Batch(ChunkStore& store) : store_(store) {}
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Verifies and writes one blob; one that is present already is skipped. kCorrupt: bytes and hash differ;
  // kUnavailable: disk full. After an error the batch holds what it held before.
  Status Put(const Hash& hash, std::span<const std::byte> bytes);

  // Durable (unless the store is not), then visible; afterwards the batch is empty and may be used again. On an error
  // nothing, or some of the blobs, became visible, each of them whole; the batch is empty.
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
  std::mutex mutex_;  // guards the following while blobs are put
  std::vector<Temp> temps_;
  std::unique_ptr<PackBuilder> pack_;
  std::unordered_set<Hash> present_;  // in this batch
  std::uint64_t bytes_ = 0;
};

}  // namespace furrow
