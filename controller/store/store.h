// The store keeps everything durable: RocksDB behind one small interface. A writer thread commits whole turns of the
// loop as synced batches; any thread may read. Only this folder knows RocksDB. STORE.md lists the keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "controller/state/effects.h"
#include "controller/state/restored.h"

namespace furrow {

class DiskGuard;

class Store {
 public:
  // Appends small logs to their packs, syncs them and returns a location for each. The writer thread calls this
  // function.
  using AppendSmallLogs = std::function<Result<std::vector<LogLocation>>(std::span<const SmallLog>)>;
  // The writer thread calls this function after each commit.
  using OnCommitted = std::function<void(Committed)>;

  // Opens or creates the store in `dir`. kRejected: a newer version of Furrow made the store, or another process has it
  // open; kCorrupt: the message has RocksDB's own words and the remedy (restore a backup), or acknowledged turns are
  // missing. While the disk is full a commit waits for space: it first drops the ballast of `guard`, which then reports
  // kFull. `guard` outlives the store; null: the store watches the disk itself, without ballast.
  static Result<std::unique_ptr<Store>> Open(const std::filesystem::path& dir, DiskGuard* guard = nullptr);
  // Commits the turns handed over so far, then closes. On a full disk the destructor does not wait, and turns that were
  // not committed are reported as failed.
  ~Store();

  // Reads the unfinished work. Callers call Load before Start.
  Result<Restored> Load();

  // Starts the writer thread.
  void Start(AppendSmallLogs append, OnCommitted on_committed);
  // Hands over a turn; several waiting turns are committed together as one synced batch.
  void Commit(Turn turn);

  // ---- history: any thread; sees committed turns only ----
  Result<RunRecord> GetRun(RunId id) const;                                        // kNotFound
  Result<RunId> FindRun(const std::string& pipeline, std::uint64_t number) const;  // number 0: the newest; kNotFound
  std::vector<RunRecord> ListRuns(const std::string& pipeline, RunId before, std::size_t limit) const;  // newest first
  Result<JobRecord> GetJob(RunId run, JobId job) const;  // kNotFound: never assigned
  std::vector<JobRecord> GetJobs(RunId run) const;       // in order of id; only jobs with a record
  std::optional<SealRecord> GetSeal(AttemptRef attempt) const;
  std::vector<MetricLine> GetMetrics(AttemptRef attempt) const;  // in order
  std::optional<RunId> FindRequest(Uuid request) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
