// The controller's store in the simulator: what was committed, as the real store would give it back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controller/state/pipelines.h"
#include "controller/store/store.h"

namespace furrow::sim {

class Disk {
 public:
  // Applies one turn, all of it. Aborts at records that no store should ever be given: an epoch that goes back,
  // metrics with a gap or twice, an end that is taken back.
  void Apply(const Turn& turn);

  // As Store::Load after one more opening. `damaged` is asked for each record of unfinished work that can still be
  // read; one that is damaged stays so until it is written again.
  Restored Load(const std::function<bool()>& damaged = [] { return false; });
  // The record of this job was damaged at some time.
  bool Damaged(JobId job) const { return damaged_.contains(job); }
  bool Damaged(const RunRecord& run) const {
    const auto first = damaged_.lower_bound(run.first_job);
    return first != damaged_.end() && Raw(*first) < Raw(run.first_job) + run.jobs_total;
  }

  const std::map<RunId, RunRecord>& runs() const { return runs_; }
  const std::map<JobId, JobRecord>& jobs() const { return jobs_; }
  const std::map<AttemptRef, MetricsRecord>& metrics() const { return metrics_; }
  const std::map<AttemptRef, AttemptRecord>& attempts() const { return attempts_; }
  const Pipeline& PipelineOf(const RunRecord& run) const { return *specs_.at(run.spec); }
  std::vector<AttemptRecord> AttemptsOf(JobId job) const;
  bool HasTriggers() const { return !triggers_.empty(); }
  bool Looked(const std::string& repository) const;  // the first look at its refs is on record

 private:
  void Keep(const RecordChange& change);

  std::uint64_t boots_ = 0;
  FarmRecord farm_{Uuid{1, 1}, 1, WallTime{}};
  CountersRecord counters_{.project = kDefaultProject, .person = kDefaultPerson};
  std::map<PipelineId, PipelineRecord> pipelines_;
  std::map<Hash, std::shared_ptr<const Pipeline>> specs_;
  std::map<AttemptRef, AttemptRecord> attempts_;
  std::set<JobId> damaged_;  // ever
  std::set<JobId> unreadable_jobs_;
  std::set<AttemptRef> unreadable_metrics_;
  std::set<AttemptRef> unreadable_seals_;
  std::set<AttemptRef> unreadable_attempts_;
  std::set<std::string> unreadable_agents_;
  std::map<RunId, RunRecord> runs_;
  std::map<JobId, JobRecord> jobs_;
  std::map<AttemptRef, MetricsRecord> metrics_;
  std::map<AttemptRef, SealRecord> seals_;
  std::map<std::string, AgentRecord> agents_;
  std::map<Uuid, TriggerRecord> triggers_;
  std::map<std::string, RepositoryRecord> repositories_;
  std::map<EnrolmentId, EnrolmentRecord> enrolments_;
  std::map<std::string, KeyRecord> keys_;
};

}  // namespace furrow::sim
