// The farm's memory: RocksDB behind one small interface. A writer thread commits whole turns of the
// loop as synced batches; readers may be on any thread. Only this folder knows RocksDB. STORE.md has the keys.
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
  // Appends small logs to their packs and syncs them; returns a location for each. From the writer thread.
  using AppendSmallLogs = std::function<Result<std::vector<LogLocation>>(std::span<const SmallLog>)>;
  // Told from the writer thread after each commit.
  using OnCommitted = std::function<void(Committed)>;

  // Opens or creates the store in `dir`. kRejected: made by a newer version of Furrow, or open in another
  // process; kCorrupt: RocksDB's own words and what to do (restore a backup), or acknowledged turns are missing.
  // While the disk is full a commit waits for room, with the ballast of `guard` as a first help, and guard says
  // kFull. `guard` outlives the store; null: the store watches the disk itself, without ballast.
  static Result<std::unique_ptr<Store>> Open(const std::filesystem::path& dir, DiskGuard* guard = nullptr);
  // Commits what was handed over, then closes. On a full disk it does not wait: what was not committed is
  // reported as failed.
  ~Store();

  // Reads what is unfinished. Before Start.
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
  std::vector<JobRecord> GetJobs(RunId run) const;       // in order of id; those with a record
  std::optional<SealRecord> GetSeal(AttemptRef attempt) const;
  std::vector<MetricLine> GetMetrics(AttemptRef attempt) const;  // in order
  std::optional<RunId> FindRequest(Uuid request) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
