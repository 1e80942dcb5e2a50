#include "controller/state/state.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/wire/job_state.h"

namespace furrow {

std::string Run::JobName(const Job& job) const {
  const JobSpec& spec = *groups[job.spec].spec;
  std::string name = Name() + "/" + spec.name;
  if (spec.shards > 1) name += "/" + std::to_string(job.shard);
  return name;
}

Run* State::FindRun(RunId id) {
  const auto it = runs.find(id);
  return it == runs.end() ? nullptr : &it->second;
}

const Run* State::FindRun(RunId id) const {
  const auto it = runs.find(id);
  return it == runs.end() ? nullptr : &it->second;
}

const PipelineRecord* State::FindPipeline(const Selector& selector) const {
  const std::string wanted = selector.project.empty() ? kDefaultName : selector.project;
  for (const auto& [id, project] : projects)
    if (project.name == wanted) return pipelines.FindNamed(id, selector.pipeline);
  return nullptr;
}

const Run* State::FindRun(const Selector& selector) const {
  const PipelineRecord* pipeline = FindPipeline(selector);
  if (pipeline == nullptr) return nullptr;
  const auto it = named.find({pipeline->id, selector.number == 0 ? pipeline->last_number : selector.number});
  return it == named.end() ? nullptr : FindRun(it->second);
}

std::pair<Run*, Job*> State::FindJob(JobId id) {
  auto it = run_of.upper_bound(id);
  if (it == run_of.begin()) return {nullptr, nullptr};
  --it;
  Run* run = FindRun(it->second);
  const std::uint64_t index = Raw(id) - Raw(it->first);
  if (run == nullptr || index >= run->jobs.size()) return {nullptr, nullptr};
  return {run, &run->jobs[index]};
}

std::pair<const Run*, const Job*> State::FindJob(JobId id) const {
  return const_cast<State*>(this)->FindJob(id);
}

const KeyRecord* Access::FindAgentKey(const std::string& name) const {
  const auto key = key_of.find(name);
  return key == key_of.end() ? nullptr : &keys.at(key->second);
}

void Access::SetKeys(std::map<std::string, KeyRecord> all) {
  keys = std::move(all);
  key_of.clear();
  for (const auto& [key, record] : keys)
    if (record.role == KeyRole::kAgent) key_of.try_emplace(record.name, key);
}

void Access::AddKey(KeyRecord key) {
  if (key.role == KeyRole::kAgent) key_of.try_emplace(key.name, key.public_key);
  keys[key.public_key] = std::move(key);
}

Agent* State::FindAgent(const std::string& name) {
  const auto it = agents.find(name);
  return it == agents.end() ? nullptr : &it->second;
}

void MarkChanged(State& state, const Run& run, const Job& job) {
  const auto watchers = state.watchers.find(run.record.id);
  if (watchers == state.watchers.end()) return;
  for (Watcher& watcher : watchers->second) {
    watcher.run_changed = true;
    if (!watcher.fresh) watcher.changed.insert(job.id);
  }
  state.news.insert(run.record.id);
}

void MarkChanged(State& state, const Run& run) {
  const auto watchers = state.watchers.find(run.record.id);
  if (watchers == state.watchers.end()) return;
  for (Watcher& watcher : watchers->second) watcher.run_changed = true;
  state.news.insert(run.record.id);
}

namespace {

// Adds what the job takes, without the files that follow from it.
void Book(Booked& booked, const JobSpec& spec, const Job& job) {
  FURROW_CHECK(booked.jobs.insert(job.id).second, "a job is on this agent already");
  booked.load.cpu_milli += spec.resources.cpu_milli;
  booked.load.memory_bytes += spec.resources.memory_bytes;
  const std::uint32_t each = std::min<std::uint32_t>(spec.resources.gpu_milli, 1000);
  for (const std::string& uuid : job.gpu_uuids) booked.load.gpu_milli[uuid] += each;
}

}  // namespace

void Occupy(State& state, Agent& agent, JobGroup& group, const Job& job) {
  Book(agent.booked, *group.spec, job);
  ++group.on[&agent];
  File(state, agent);
}

void Release(State& state, Agent& agent, JobGroup& group, const Job& job) {
  Booked& booked = agent.booked;
  const Resources& resources = group.spec->resources;
  FURROW_CHECK(booked.jobs.erase(job.id) == 1, "a job is not on this agent");
  booked.load.cpu_milli -= resources.cpu_milli;
  booked.load.memory_bytes -= resources.memory_bytes;
  const std::uint32_t each = std::min<std::uint32_t>(resources.gpu_milli, 1000);
  for (const std::string& uuid : job.gpu_uuids)
    if (const auto it = booked.load.gpu_milli.find(uuid); (it->second -= each) == 0) booked.load.gpu_milli.erase(it);
  const auto shards = group.on.find(&agent);
  FURROW_CHECK(shards != group.on.end(), "a group counts its shards on each agent");
  if (--shards->second == 0) group.on.erase(shards);
  File(state, agent);
}

Job& ApplyRecord(Run& run, const JobRecord& record) {
  const std::uint64_t index = Raw(record.id) - Raw(run.record.first_job);
  FURROW_CHECK(index < run.jobs.size(), "a stored job belongs to its stored run");
  Job& job = run.jobs[index];
  static_cast<JobRecord&>(job) = record;
  return job;
}

void CountJobs(Run& run) {
  run.open = run.passed = run.failed = run.running = 0;
  for (const Job& job : run.jobs) {
    if (!IsTerminal(job.state)) ++run.open;
    if (job.state == JobState::kPassed) ++run.passed;
    if (job.state == JobState::kFailed) ++run.failed;
    if (job.OnAgent()) ++run.running;
  }
}

Run& InsertRun(State& state, RunRecord record, std::shared_ptr<const Pipeline> pipeline) {
  const RunId id = record.id;
  auto [it, inserted] = state.runs.try_emplace(id);
  FURROW_CHECK(inserted, "a run id was used twice");
  Run& run = it->second;
  run.record = std::move(record);
  run.pipeline = std::move(pipeline);
  const std::vector<JobSpec>& specs = run.pipeline->jobs;
  std::map<std::string, std::uint32_t> index_of;
  for (std::uint32_t i = 0; i < specs.size(); ++i) index_of[specs[i].name] = i;
  run.groups.resize(specs.size());
  for (std::uint32_t i = 0; i < specs.size(); ++i) {
    JobGroup& group = run.groups[i];
    group.spec = std::shared_ptr<const JobSpec>(run.pipeline, &specs[i]);
    group.first = static_cast<std::uint32_t>(run.jobs.size());
    group.open = specs[i].shards;
    for (const std::string& need : specs[i].needs) {
      const auto needed = index_of.find(need);
      FURROW_CHECK(needed != index_of.end(), "a validated pipeline needs an unknown job");
      group.needs.push_back(needed->second);
      run.groups[needed->second].needed_by.push_back(i);
    }
    group.needs_open = static_cast<std::uint32_t>(group.needs.size());
    for (std::uint32_t shard = 0; shard < specs[i].shards; ++shard) {
      Job& job = run.jobs.emplace_back();
      job.id = JobId{Raw(run.record.first_job) + run.jobs.size() - 1};
      job.run = id;
      job.spec = i;
      job.shard = shard;
    }
  }
  run.open = static_cast<std::uint32_t>(run.jobs.size());
  state.run_of[run.record.first_job] = id;
  state.named[{run.record.pipeline, run.record.number}] = id;
  state.requests[run.record.request] = id;
  return run;
}

void State::CheckInvariants() const {
  std::map<std::string, std::set<JobId>> on_agent;
  std::uint64_t jobs_of_ended = 0;
  for (const auto& [id, run] : runs) {
    std::uint32_t open = 0, passed = 0, failed_jobs = 0, running = 0;
    FURROW_CHECK(ended.contains(id) == run.Ended(), "the ended runs are known");
    if (run.Ended()) jobs_of_ended += run.jobs.size();
    std::map<std::uint32_t, std::map<std::string, std::uint32_t>> shards_on;
    for (const Job& job : run.jobs) {
      if (!IsTerminal(job.state)) ++open;
      if (job.state == JobState::kPassed) ++passed;
      if (job.state == JobState::kFailed) ++failed_jobs;
      if (job.OnAgent()) ++running;
      if (job.OnAgent()) ++shards_on[job.spec][job.agent];
      FURROW_CHECK(job.OnAgent() == !job.agent.empty(), "a job is on an agent exactly while it is assigned or running");
      if (job.OnAgent()) on_agent[job.agent].insert(job.id);
      FURROW_CHECK(!job.OnAgent() || Raw(job.epoch) > 0, "an assigned job has an epoch");
    }
    FURROW_CHECK(open == run.open, "a run counts its open jobs");
    FURROW_CHECK(passed == run.passed && failed_jobs == run.failed && running == run.running,
                 "a run counts its jobs by what became of them");
    FURROW_CHECK((open == 0) == run.Ended(), "a run has ended exactly when its last job has");
    for (std::size_t g = 0; g < run.groups.size(); ++g) {
      const JobGroup& group = run.groups[g];
      std::uint32_t group_open = 0;
      std::uint32_t failed = 0;
      std::set<std::uint32_t> queued;
      for (std::uint32_t i : group.ready) {
        FURROW_CHECK(run.jobs[i].state == JobState::kReady, "only ready jobs are queued");
        FURROW_CHECK(queued.insert(i).second, "a ready job is queued once");
      }
      std::map<std::string, std::uint32_t> counted;
      for (const auto& [agent, shards] : group.on) counted[agent->name] = shards;
      FURROW_CHECK(counted == shards_on[static_cast<std::uint32_t>(g)], "a group counts its shards on each agent");
      for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
        const Job& job = run.jobs[i];
        if (!IsTerminal(job.state)) ++group_open;
        if (IsTerminal(job.state) && job.state != JobState::kPassed) ++failed;
        FURROW_CHECK((job.state == JobState::kReady) == (queued.count(i) == 1), "a ready job is queued");
        FURROW_CHECK(job.state != JobState::kBlocked || group.needs_open > 0, "only open needs block a job");
      }
      FURROW_CHECK(group_open == group.open && failed == group.failed, "a group counts its shards");
    }
  }
  FURROW_CHECK(jobs_of_ended == ended_jobs, "the jobs of ended runs are counted");
  for (const auto& [id, watching] : watchers)
    FURROW_CHECK(FindRun(id) != nullptr && !watching.empty(), "a run that is watched is in memory");
  for (const RunId id : news) FURROW_CHECK(watchers.contains(id), "somebody waits for the news of a run");
  Access again;
  again.SetKeys(access.keys);
  FURROW_CHECK(again.key_of == access.key_of, "an agent's key is found by the agent's name");
  CheckFiled(*this);
  for (const auto& [name, agent] : agents) {
    FURROW_CHECK(agent.booked.jobs == on_agent[name], "an agent and its jobs name each other");
    Booked booked;
    for (JobId id : agent.booked.jobs) {
      const auto [run, job] = FindJob(id);
      Book(booked, *run->GroupOf(*job).spec, *job);
    }
    FURROW_CHECK(booked.load.cpu_milli == agent.booked.load.cpu_milli, "an agent's CPUs are booked for its jobs");
    FURROW_CHECK(booked.load.memory_bytes == agent.booked.load.memory_bytes,
                 "an agent's memory is booked for its jobs");
    FURROW_CHECK(booked.load.gpu_milli == agent.booked.load.gpu_milli, "an agent's GPUs are booked for its jobs");
    for (const auto& [uuid, milli] : agent.booked.load.gpu_milli)
      FURROW_CHECK(milli <= 1000, "a GPU is not promised twice");
    if (agent.link.session) {
      const auto it = sessions.find(agent.link.session->id);
      FURROW_CHECK(it != sessions.end() && it->second == name, "a session belongs to its agent");
    }
    on_agent.erase(name);
  }
  for (const auto& [name, jobs] : on_agent) FURROW_CHECK(jobs.empty(), "jobs are assigned to known agents only");
}

}  // namespace furrow
