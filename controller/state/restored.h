// The controller reads a Restored from the store at its start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/wire/metrics.h"
#include "controller/state/records.h"

namespace furrow {

// A StoredRun is a run and the parsed pipeline that its record names.
struct StoredRun {
  RunRecord record;
  std::shared_ptr<const Pipeline> pipeline;
};

// AttemptMetrics says what is on record of the metrics of an attempt.
struct AttemptMetrics {
  AttemptRef attempt;
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;  // on the wire
  Metrics newest;           // the newest value of each name
};

// Restored holds the work that is left after a start (live runs, whole) and the numbers and requests that prevent
// repetition.
struct Restored {
  std::uint64_t boot = 0;  // how often this store was opened for writing, from 1; durable
  FarmRecord farm;
  CountersRecord counters;
  std::vector<ProjectRecord> projects;
  std::vector<PersonRecord> persons;
  std::vector<PipelineRecord> pipelines;
  std::vector<StoredRun> runs;                  // the runs that have not ended, oldest first
  std::vector<JobRecord> jobs;                  // the jobs of `runs`
  std::vector<JobId> unreadable_jobs;           // jobs of `runs` whose records cannot be read
  std::vector<AttemptRecord> attempts;          // ended attempts of `jobs`, oldest first
  std::vector<AttemptRef> unreadable_attempts;  // ended attempts of `jobs` whose records cannot be read
  std::vector<AttemptMetrics> metrics;          // of the unfinished attempts that reported some
  std::vector<AttemptRef> unreadable_metrics;   // unfinished attempts whose count of lines is not known
  std::vector<SealRecord> seals;
  std::vector<AttemptRef> unreadable_seals;  // attempts whose log is sealed, as a record says that cannot be read
  std::vector<AgentRecord> agents;
  std::vector<std::string> unreadable_agents;  // names of agents whose records cannot be read
  std::vector<TriggerRecord> triggers;
  std::vector<RepositoryRecord> repositories;
  std::vector<EnrolmentRecord> enrolments;
  std::vector<KeyRecord> keys;
  std::vector<std::pair<Uuid, RunId>> requests;  // of the newest 10,000 runs
};

}  // namespace furrow
