#include "tests/sim/disk.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/overloaded.h"
#include "common/wire/job_state.h"
#include "common/wire/metrics.h"
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
                   const bool unreadable = unreadable_jobs_.erase(job.id) > 0;
                   if (old != jobs_.end() && !unreadable) {
                     FURROW_CHECK(old->second.epoch <= job.epoch, "an epoch never goes back");
                     FURROW_CHECK(!IsTerminal(old->second.state), "a job ends once");
                   }
                   jobs_[job.id] = job;
                 },
                 [&](const AttemptRecord& attempt) {
                   const bool is_new = attempts_.insert_or_assign({attempt.job, attempt.epoch}, attempt).second;
                   // Epoch 0 is of a job whose record could not be read, which may happen again.
                   FURROW_CHECK(is_new || Raw(attempt.epoch) == 0, "an attempt ends once");
                 },
                 [&](const FarmRecord& farm) { farm_ = farm; },
                 [&](const CountersRecord& counters) {
                   FURROW_CHECK(counters.run >= counters_.run && counters.job >= counters_.job &&
                                    counters.pipeline >= counters_.pipeline,
                                "no number is given out twice");
                   counters_ = counters;
                 },
                 [](const ProjectRecord&) {},
                 [](const PersonRecord&) {},
                 [&](const PipelineRecord& pipeline) {
                   PipelineRecord& known = pipelines_[pipeline.id];
                   FURROW_CHECK(pipeline.last_number >= known.last_number, "no number of a run is given out twice");
                   known = pipeline;
                 },
                 [&](const SharedSpec& spec) { specs_[spec.hash] = spec.pipeline; },
                 [](const SharedText&) {},
                 [&](const MetricsRecord& metrics) {
                   MetricsRecord& all = metrics_[metrics.attempt];
                   // Behind a damaged record the agent's next report begins at lines that may be on record.
                   const bool unreadable = unreadable_metrics_.erase(metrics.attempt) > 0;
                   FURROW_CHECK(unreadable ? metrics.first <= all.lines.size() : metrics.first == all.lines.size(),
                                "metrics are contiguous and never doubled");
                   all.attempt = metrics.attempt;
                   all.lines.resize(metrics.first);
                   all.lines.insert(all.lines.end(), metrics.lines.begin(), metrics.lines.end());
                 },
                 [&](const SealRecord& seal) {
                   seals_[seal.attempt] = seal;
                   unreadable_seals_.erase(seal.attempt);
                 },
                 [&](const AgentRecord& agent) {
                   agents_[agent.name] = agent;
                   unreadable_agents_.erase(agent.name);
                 },
                 [&](const TriggerRecord& trigger) { triggers_[trigger.request] = trigger; },
                 [&](const RepositoryRecord& repository) { repositories_[repository.repository] = repository; },
                 [&](const EnrolmentRecord& enrolment) { enrolments_[enrolment.id] = enrolment; },
                 [&](const KeyRecord& key) { keys_[key.public_key] = key; },
                 [&](const EraseSeal& erase) {
                   seals_.erase(erase.key);
                   unreadable_seals_.erase(erase.key);
                 },
                 [&](const EraseAgent& erase) { agents_.erase(erase.key); },
                 [&](const ErasePush& erase) { triggers_.erase(erase.key); },
                 [&](const EraseRepository& erase) { repositories_.erase(erase.key); },
                 [&](const EraseEnrolment& erase) { enrolments_.erase(erase.key); },
                 [&](const EraseKey& erase) { keys_.erase(erase.key); },
             },
             change);
}

// What the store writes is what the next start reads.
template <class Key, class Record>
void CheckReadable(const Erase<Record, Key>&) {}
void CheckReadable(const SharedSpec& spec) {
  FURROW_CHECK(EncodeValue(*spec.pipeline).has_value(), "a pipeline keeps its caps");
}
void CheckReadable(const SharedText&) {}
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
  for (const EventRecord& event : turn.events) CheckReadable(event);
}

std::vector<AttemptRecord> Disk::AttemptsOf(JobId job) const {
  std::vector<AttemptRecord> found;
  for (auto it = attempts_.lower_bound({job, Epoch{}}); it != attempts_.end() && it->first.job == job; ++it)
    found.push_back(it->second);
  return found;
}

bool Disk::Looked(const std::string& repository) const {
  const auto it = repositories_.find(repository);
  return it != repositories_.end() && it->second.looked;
}

// Returns whether a record cannot be read, now or since an earlier start.
template <class Key>
bool Unreadable(std::set<Key>& known, const Key& key, const std::function<bool()>& damaged) {
  if (!known.contains(key) && damaged()) known.insert(key);
  return known.contains(key);
}

AttemptMetrics NewestOf(const MetricsRecord& metrics) {
  AttemptMetrics known{metrics.attempt, metrics.lines.size(), 0, {}};
  for (const MetricLine& line : metrics.lines) known.bytes += WireBytes(line);
  KeepNewest(known.newest, metrics.lines, kMaxJobMetrics);
  return known;
}

Restored Disk::Load(const std::function<bool()>& damaged) {
  Restored restored;
  restored.boot = ++boots_;
  restored.farm = farm_;
  restored.counters = counters_;
  for (const auto& [id, pipeline] : pipelines_) restored.pipelines.push_back(pipeline);
  for (const auto& [id, run] : runs_) {
    restored.requests.emplace_back(run.request, id);
    if (run.state == RunState::kRunning) restored.runs.push_back({run, specs_.at(run.spec)});
  }
  for (const auto& [ref, attempt] : attempts_) {
    if (runs_.at(attempt.run).state != RunState::kRunning) continue;
    if (Raw(ref.epoch) != 0 && Unreadable(unreadable_attempts_, ref, damaged)) {
      damaged_.insert(ref.job);
      restored.unreadable_attempts.push_back(ref);
      continue;
    }
    restored.attempts.push_back(attempt);
  }
  for (const auto& [id, job] : jobs_) {
    if (runs_.at(job.run).state != RunState::kRunning) continue;
    if (Unreadable(unreadable_jobs_, id, damaged)) {
      damaged_.insert(id);
      restored.unreadable_jobs.push_back(id);
      continue;
    }
    restored.jobs.push_back(job);
    const auto metrics = metrics_.find({id, job.epoch});
    if (IsTerminal(job.state) || metrics == metrics_.end()) continue;
    if (Unreadable(unreadable_metrics_, metrics->first, damaged)) {
      damaged_.insert(id);  // Its newest values are lost.
      restored.unreadable_metrics.push_back(metrics->first);
    } else {
      restored.metrics.push_back(NewestOf(metrics->second));
    }
  }
  for (const auto& [attempt, seal] : seals_) {
    if (Unreadable(unreadable_seals_, attempt, damaged))
      restored.unreadable_seals.push_back(attempt);
    else
      restored.seals.push_back(seal);
  }
  for (const auto& [name, agent] : agents_) {
    if (Unreadable(unreadable_agents_, name, damaged))
      restored.unreadable_agents.push_back(name);
    else
      restored.agents.push_back(agent);
  }
  for (const auto& [request, trigger] : triggers_) restored.triggers.push_back(trigger);
  for (const auto& [name, repository] : repositories_) restored.repositories.push_back(repository);
  for (const auto& [id, enrolment] : enrolments_) restored.enrolments.push_back(enrolment);
  for (const auto& [public_key, key] : keys_) restored.keys.push_back(key);
  return restored;
}

}  // namespace furrow::sim
