// The controller's store in the simulator: what was committed, as the real store would give it back.
#pragma once

#include <map>
#include <utility>

#include "controller/store.h"

namespace furrow::sim {

class Disk {
 public:
  // Applies one turn, all of it.
  void Apply(const Turn& turn);

  // As Store::Load after one more opening.
  Restored Load();

  const std::map<RunId, RunRecord>& runs() const { return runs_; }
  const std::map<JobId, JobRecord>& jobs() const { return jobs_; }

 private:
  void Keep(const Record& record);

  std::uint64_t boots_ = 0;
  std::map<RunId, RunRecord> runs_;
  std::map<JobId, JobRecord> jobs_;
  std::map<AttemptRef, MetricsRecord> metrics_;
  std::map<AttemptRef, SealRecord> seals_;
  std::map<std::string, AgentRecord> agents_;
};

}  // namespace furrow::sim
