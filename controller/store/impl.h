// Store::Impl is the implementation of Store, which three source files share: store.cpp opens and closes, writer.cpp
// commits, history.cpp reads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include "controller/store/disk_guard.h"
#include "controller/store/files.h"
#include "controller/store/high_water.h"
#include "controller/store/keys.h"
#include "controller/store/set_aside.h"
#include "controller/store/store.h"

namespace furrow {

// Turns a RocksDB status into an Error whose message begins with `what`.
Error StoreError(const std::string& what, const rocksdb::Status& status);

struct Store::Impl {
  Impl(std::filesystem::path folder, DiskGuard& disk_guard, HighWater mark);
  ~Impl();

  // ---- store.cpp ----
  Status OpenDatabase();
  Status CheckVersionAndCount();

  // ---- writer.cpp ----
  void RunWriter();
  // Commits these turns as one batch. On an error none of them is durable.
  Status CommitTurns(std::deque<Turn>& turns);
  Status PlaceSmallLogs(std::deque<Turn>& turns);
  Status Put(rocksdb::WriteBatch& batch, const RunRecord& record);
  Status Put(rocksdb::WriteBatch& batch, JobRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const MetricsRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const SealRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const AgentRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const TriggerRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const RepositoryRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const EnrolmentRecord& record);
  Status Put(rocksdb::WriteBatch& batch, const KeyRecord& record);
  template <class Record, class Key>
  Status Put(rocksdb::WriteBatch& batch, const Erase<Record, Key>& erase);
  template <class T>
  Status PutValue(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const keys::Key& key,
                  const T& record) const;
  // Writes the batch with the next commit's number, synced.
  Status Write(rocksdb::WriteBatch& batch);

  // ---- history.cpp ----
  // kNotFound carries no message, because the caller knows the name of the missing thing.
  Result<std::string> Get(rocksdb::ColumnFamilyHandle* family, std::string_view key) const;
  // Calls `visit(key, value)` for the keys that start with `prefix`, in order, until it returns false.
  void Scan(rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
            const std::function<bool(std::string_view, std::string_view)>& visit) const;
  void LoadRuns(Restored& restored) const;
  void LoadJobs(RunId run, Restored& restored) const;
  void LoadAttempt(const JobRecord& job, Restored& restored) const;
  void LoadSmallRecords(Restored& restored) const;
  void LoadNumbers(Restored& restored) const;

  std::unique_ptr<DiskGuard> own_guard;  // set where Open got no guard
  const std::filesystem::path dir;
  DiskGuard& guard;
  SpaceWaiter waiter;
  std::unique_ptr<rocksdb::Env> env;
  int lock_fd = -1;
  HighWater high_water;
  const SetAside set_aside;

  std::unique_ptr<rocksdb::DB> db;
  rocksdb::ColumnFamilyHandle* small = nullptr;  // family "default": everything but runs, jobs and metrics
  rocksdb::ColumnFamilyHandle* runs = nullptr;
  rocksdb::ColumnFamilyHandle* jobs = nullptr;
  rocksdb::ColumnFamilyHandle* metrics = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  std::uint64_t boot = 0;

  // ---- the writer ----
  AppendSmallLogs append;
  OnCommitted on_committed;
  std::uint64_t commit = 0;  // the number of the newest batch
  // The store keeps the locations of small logs of live runs. The reactor does not know these locations: when a later
  // attempt ends, it hands over the same JobRecord without them.
  std::unordered_map<RunId, std::unordered_map<AttemptRef, LogLocation>> log_locations;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Turn> waiting;  // guarded by mutex
  bool closing = false;      // guarded by mutex
  std::thread writer;
};

}  // namespace furrow
