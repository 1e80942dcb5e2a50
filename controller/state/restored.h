// What a start finds in the store.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "controller/state/records.h"

namespace furrow {

// What is left to do after a start: live runs whole, and what guards against repetition.
struct Restored {
  std::uint64_t boot = 0;  // how often this store was opened for writing, from 1; durable
  RunId last_run{};
  JobId last_job{};
  std::map<std::string, std::uint64_t> last_number;  // pipeline → newest run number
  std::vector<RunRecord> runs;                       // those not ended, oldest first
  std::vector<JobRecord> jobs;                       // of those runs
  std::vector<JobId> unreadable_jobs;                // of those runs, too
  std::vector<MetricsRecord> metrics;                // of their unfinished attempts, the last of each: only
                                                     // `first` and the count matter
  std::vector<AttemptRef> unreadable_metrics;        // unfinished attempts whose count of lines is not known
  std::vector<SealRecord> seals;
  std::vector<AgentRecord> agents;
  std::vector<TriggerRecord> triggers;
  std::vector<RepositoryRecord> repositories;
  std::vector<EnrolmentRecord> enrolments;
  std::vector<KeyRecord> keys;
  std::vector<std::pair<Uuid, RunId>> requests;  // of the newest 10,000 runs
};

}  // namespace furrow
