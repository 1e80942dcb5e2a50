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

struct RunPage {
  std::vector<RunRecord> runs;
  std::size_t unreadable = 0;  // runs of the page whose records are damaged
};

// RunJobs holds what is on record of a run's jobs.
struct RunJobs {
  std::vector<JobRecord> jobs;          // in order of id; only jobs with a record
  std::vector<AttemptRecord> attempts;  // ended ones, in order of job and epoch
  std::vector<JobId> unreadable_jobs;   // jobs whose own records are damaged
  std::vector<AttemptRef> unreadable_attempts;
};

struct StoredEvent {
  EventId id;
  EventRecord event;
};

class Store {
 public:
  // Appends small logs to their packs, syncs them and returns a location for each. The writer thread calls this
  // function.
  using AppendSmallLogs = std::function<Result<std::vector<LogLocation>>(std::span<const SmallLog>)>;
  // The writer thread calls this function after each commit.
  using OnCommitted = std::function<void(Committed)>;

  // Opens or creates the store in `dir`, and moves what an older version of Furrow stored to where this one looks for
  // it. If the folder's high-water mark was removed, as it is for a restored copy, a new timeline begins.
  //  kRejected: a newer version of Furrow made the store, or another process has it
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

  // Keeps the events of so many days on which there were any, at least 1. Older ones are deleted when a day begins.
  void KeepEvents(std::uint64_t days);

  // ---- history: any thread; sees committed turns only. kCorrupt: a file of the database is damaged ----
  Result<RunRecord> GetRun(RunId id) const;  // kNotFound
  Result<std::shared_ptr<const Pipeline>> GetSpec(const Hash& hash) const;
  Result<std::string> GetText(const Hash& hash) const;                     // kNotFound
  Result<RunId> FindRun(PipelineId pipeline, std::uint64_t number) const;  // number 0: the newest; kNotFound
  // Lists runs older than `before`, newest first. `pipeline` 0: of all pipelines; `before` 0: from the newest on.
  Result<RunPage> ListRuns(PipelineId pipeline, RunId before, std::size_t limit) const;
  Result<RunJobs> GetJobs(RunId run) const;
  Result<std::optional<AttemptRecord>> GetAttempt(RunId run, AttemptRef attempt) const;
  Result<std::optional<SealRecord>> GetSeal(AttemptRef attempt) const;
  Result<std::vector<MetricLine>> GetMetrics(RunId run, AttemptRef attempt) const;  // in order
  Result<std::optional<RunId>> FindRequest(Uuid request) const;
  // Returns events behind `after`, oldest first. They end before one that cannot be read, if there is any before it.
  Result<std::vector<StoredEvent>> GetEvents(const EventId& after, std::size_t limit) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
