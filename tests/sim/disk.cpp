#include "tests/sim/disk.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/overloaded.h"
#include "common/wire/job_state.h"
#include "controller/store/record_codec.h"

namespace furrow::sim {

void Disk::Keep(const RecordChange& change) {
  std::visit(Overloaded{
                 [&](const RunRecord& run) {
                   const auto old = runs_.find(run.id);
                   FURROW_CHECK(old == runs_.end() || old->second.state == RunState::kRunning, "a run ends once");
                   runs_[run.id] = run;
                 },
                 [&](const JobRecord& job) {
                   const auto old = jobs_.find(job.id);
                   if (old != jobs_.end()) {
                     FURROW_CHECK(old->second.epoch <= job.epoch, "an epoch never goes back");
                     FURROW_CHECK(!IsTerminal(old->second.state), "a job ends once");
                   }
                   jobs_[job.id] = job;
                 },
                 [&](const MetricsRecord& metrics) {
                   MetricsRecord& all = metrics_[metrics.attempt];
                   FURROW_CHECK(metrics.first == all.lines.size(), "metrics are contiguous and never doubled");
                   all.attempt = metrics.attempt;
                   all.lines.insert(all.lines.end(), metrics.lines.begin(), metrics.lines.end());
                 },
                 [&](const SealRecord& seal) { seals_[seal.attempt] = seal; },
                 [&](const AgentRecord& agent) { agents_[agent.name] = agent; },
                 [&](const TriggerRecord& trigger) { triggers_[trigger.request] = trigger; },
                 [&](const RepositoryRecord& repository) { repositories_[repository.repository] = repository; },
                 [&](const EnrolmentRecord& enrolment) { enrolments_[enrolment.id] = enrolment; },
                 [&](const KeyRecord& key) { keys_[key.public_key] = key; },
                 [&](const EraseSeal& erase) { seals_.erase(erase.key); },
                 [&](const EraseAgent& erase) { agents_.erase(erase.key); },
                 [&](const ErasePush& erase) { triggers_.erase(erase.key); },
                 [&](const EraseEnrolment& erase) { enrolments_.erase(erase.key); },
                 [&](const EraseKey& erase) { keys_.erase(erase.key); },
             },
             change);
}

// What the store writes is what the next start reads.
template <class Key, class Record>
void CheckReadable(const Erase<Record, Key>&) {}
template <class Record>
void CheckReadable(const Record& record) {
  const Result<std::string> value = EncodeValue(record);
  FURROW_CHECK(value.has_value(), "a record keeps its caps");
  FURROW_CHECK(DecodeValue<Record>(*value) == record, "a record comes back as it was");
}

void Disk::Apply(const Turn& turn) {
  for (const RecordChange& change : turn.records) {
    std::visit([](const auto& one) { CheckReadable(one); }, change);
    Keep(change);
  }
}

bool Disk::Looked(const std::string& repository) const {
  const auto it = repositories_.find(repository);
  return it != repositories_.end() && it->second.looked;
}

Restored Disk::Load() {
  Restored restored;
  restored.boot = ++boots_;
  for (const auto& [id, run] : runs_) {
    restored.last_run = std::max(restored.last_run, id);
    std::uint64_t shards = 0;
    for (const JobSpec& job : run.pipeline.jobs) shards += job.shards;
    restored.last_job = std::max(restored.last_job, JobId{Raw(run.first_job) + shards - 1});
    std::uint64_t& number = restored.last_number[run.pipeline.name];
    number = std::max(number, run.number);
    restored.requests.emplace_back(run.request, id);
    if (run.state == RunState::kRunning) restored.runs.push_back(run);
  }
  for (const auto& [id, job] : jobs_)
    if (runs_.at(job.run).state == RunState::kRunning) restored.jobs.push_back(job);
  for (const auto& [attempt, metrics] : metrics_) restored.metrics.push_back(metrics);
  for (const auto& [attempt, seal] : seals_) restored.seals.push_back(seal);
  for (const auto& [name, agent] : agents_) restored.agents.push_back(agent);
  for (const auto& [request, trigger] : triggers_) restored.triggers.push_back(trigger);
  for (const auto& [name, repository] : repositories_) restored.repositories.push_back(repository);
  for (const auto& [id, enrolment] : enrolments_) restored.enrolments.push_back(enrolment);
  for (const auto& [public_key, key] : keys_) restored.keys.push_back(key);
  return restored;
}

}  // namespace furrow::sim
