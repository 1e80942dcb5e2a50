// Store::Impl is the implementation of Store, which these source files share: store.cpp opens and closes, examine.cpp
// looks before, migrate.cpp moves what older versions stored, load.cpp reads what a start needs, writer.cpp commits,
// history.cpp reads the rest.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include "controller/store/disk_guard.h"
#include "controller/store/files.h"
#include "controller/store/high_water.h"
#include "controller/store/keys.h"
#include "controller/store/reader.h"
#include "controller/store/record_codec.h"
#include "controller/store/set_aside.h"
#include "controller/store/store.h"

namespace furrow {

inline constexpr std::uint64_t kFormatVersion = 2;
// A new timeline skips so many numbers of runs.
inline constexpr std::uint64_t kSkippedNumbers = 1000;

struct Store::Impl {
  Impl(std::filesystem::path folder, DiskGuard& disk_guard, HighWater mark);
  ~Impl();

  // ---- examine.cpp ----
  // Reads what a start needs and changes nothing. An error says which file cannot be read or is gone, and what to do.
  Status ExamineDatabase();
  // Returns whether there is a database.
  Result<bool> FilesAreThere() const;
  // Returns the database's format, 0 if it has none yet, and reads what it tells of itself. Fails where this version
  // may not go on with it.
  Result<std::uint64_t> CheckFormat();

  // ---- store.cpp ----
  enum class Access { kLook, kWrite };
  Status OpenDatabase(Access access);
  void CloseDatabase();
  Status PrepareDatabase();
  Result<std::uint64_t> ReadNumber(std::string_view name) const;
  void MakeFarm();
  Status BeginTimeline(rocksdb::WriteBatch& batch);

  // ---- migrate.cpp ----
  Status MigrateFrom1();

  // ---- writer.cpp ----
  void RunWriter();
  // Commits these turns as one batch. On an error none of them is durable.
  Status CommitTurns(std::deque<Turn>& turns);
  Status PlaceSmallLogs(std::deque<Turn>& turns);
  Status Put(rocksdb::WriteBatch& batch, const RunRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const JobRecord& record);
  Status Put(rocksdb::WriteBatch& batch, AttemptRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const MetricsRecord& record);
  // Puts a record of family "default".
  template <class Record>
  Status Put(rocksdb::WriteBatch& batch, const Record& record) {
    return PutValue(batch, small, keys::KeyOf(record), record);
  }
  Status Put(rocksdb::WriteBatch& batch, const SharedSpec& spec);
  Status Put(rocksdb::WriteBatch& batch, const SharedText& text);
  template <class Record, class Key>
  Status Put(rocksdb::WriteBatch& batch, const Erase<Record, Key>& erase);
  template <class T>
  Status PutValue(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const keys::Key& key,
                  const T& record) const {
    FURROW_ASSIGN(const std::string value, EncodeValue(record));
    batch.Put(family, key.bytes(), value);
    return {};
  }
  // Puts an event of the next commit.
  Status PutEvent(rocksdb::WriteBatch& batch, std::uint64_t index, const EventRecord& event);
  // Returns whether the shared value may be on disk already.
  bool IsKept(const std::string& key);
  Status DeleteOldEvents();
  // Writes the batch with the next commit's number, synced.
  Status Write(rocksdb::WriteBatch& batch);

  // ---- history.cpp ----
  Result<std::shared_ptr<const Pipeline>> ReadSpec(const Hash& hash) const;

  // ---- load.cpp ----
  Status LoadAll(Restored& restored) const;
  Status LoadRuns(Restored& restored) const;
  Status LoadJobs(RunId run, Restored& restored) const;
  Status LoadMetrics(const JobRecord& job, Restored& restored) const;
  Status LoadPipelines(Restored& restored) const;
  Result<std::optional<PipelineRecord>> PipelineOfRuns(PipelineId id) const;
  Status LoadSmallRecords(Restored& restored) const;
  Status LoadRequests(Restored& restored) const;

  std::unique_ptr<DiskGuard> own_guard;  // set where Open got no guard
  const std::filesystem::path dir;
  DiskGuard& guard;
  SpaceWaiter waiter;
  std::unique_ptr<rocksdb::Env> env;
  int lock_fd = -1;
  HighWater high_water;
  SetAside set_aside;

  std::unique_ptr<rocksdb::DB> db;
  std::optional<Reader> read;                    // of `db`
  rocksdb::ColumnFamilyHandle* small = nullptr;  // family "default": everything that has no family of its own
  rocksdb::ColumnFamilyHandle* runs = nullptr;
  rocksdb::ColumnFamilyHandle* jobs = nullptr;
  rocksdb::ColumnFamilyHandle* metrics = nullptr;
  rocksdb::ColumnFamilyHandle* attempts = nullptr;
  rocksdb::ColumnFamilyHandle* shared = nullptr;
  rocksdb::ColumnFamilyHandle* events = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  std::uint64_t boot = 0;
  FarmRecord farm;
  CountersRecord counters;  // as they were when the store was opened

  // ---- the writer ----
  AppendSmallLogs append;
  OnCommitted on_committed;
  std::uint64_t commit = 0;                                   // the number of the newest batch
  std::unordered_map<AttemptRef, LogLocation> log_locations;  // of the small logs of the batch under way
  std::unordered_set<std::string> kept;                       // keys of shared values that are on disk, as far as known
  std::uint64_t event_mark = 0;                               // number of the newest mark of a day
  std::uint64_t event_day = 0;                                // its day, counted from 1970
  std::atomic<std::uint64_t> event_days_kept{90};
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Turn> waiting;  // guarded by mutex
  bool closing = false;      // guarded by mutex
  std::thread writer;
};

}  // namespace furrow
