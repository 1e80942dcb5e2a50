// The controller reads a Restored from the store at its start.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "controller/state/records.h"

namespace furrow {

// Restored holds the work that is left after a start (live runs, whole) and the numbers and requests that prevent
// repetition.
struct Restored {
  std::uint64_t boot = 0;  // how often this store was opened for writing, from 1; durable
  RunId last_run{};
  JobId last_job{};
  std::map<std::string, std::uint64_t> last_number;  // pipeline → newest run number
  std::vector<RunRecord> runs;                       // the runs that have not ended, oldest first
  std::vector<JobRecord> jobs;                       // the jobs of `runs`
  std::vector<JobId> unreadable_jobs;                // jobs of `runs` whose records cannot be read
  std::vector<MetricsRecord> metrics;          // the last of each unfinished attempt; only `first` and the count matter
  std::vector<AttemptRef> unreadable_metrics;  // unfinished attempts whose count of lines is not known
  std::vector<SealRecord> seals;
  std::vector<AgentRecord> agents;
  std::vector<TriggerRecord> triggers;
  std::vector<RepositoryRecord> repositories;
  std::vector<EnrolmentRecord> enrolments;
  std::vector<KeyRecord> keys;
  std::vector<std::pair<Uuid, RunId>> requests;  // of the newest 10,000 runs
};

}  // namespace furrow
