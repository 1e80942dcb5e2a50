#include <algorithm>
#include <cstdlib>

#include "common/base/clock_skew.h"
#include "common/base/overloaded.h"
#include "controller/reactor/reactor.h"
#include "controller/reactor/transitions.h"
#include "controller/scheduler/plan.h"

namespace furrow {
namespace {

constexpr Duration kWatchInterval = std::chrono::milliseconds(20);  // between two updates of one watcher
constexpr std::size_t kMaxViews = 10000;                            // jobs in one answer
constexpr std::size_t kPlanLimit = 4096;                            // assignments in one turn

std::string WaitsFor(const State& state, const Run& run, const Job& job) {
  if (job.state == JobState::kReady) return ExplainWait(state, run, job).reason;
  if (job.state != JobState::kBlocked) return "";
  std::string names;
  for (std::uint32_t need : run.GroupOf(job).needs)
    if (run.groups[need].open > 0) names += (names.empty() ? "" : ", ") + run.groups[need].spec->name;
  return "needs " + names;
}

// The jobs of a run that a selector names.
std::vector<const Job*> Matching(const Run& run, const Selector& what) {
  std::vector<const Job*> jobs;
  for (const Job& job : run.jobs) {
    if (!what.job.empty() && run.GroupOf(job).spec->name != what.job) continue;
    if (what.shard && *what.shard != job.shard) continue;
    jobs.push_back(&job);
  }
  return jobs;
}

void OnShowRun(State& state, Outbox& out, PeerId peer, std::uint64_t number, const ShowRun& request) {
  const Run* run = FindRun(state, request.what);
  if (run == nullptr) {
    out.history.push_back({peer, number, request, {}});
    return;
  }
  const std::vector<const Job*> jobs = Matching(*run, request.what);
  if (jobs.empty()) {
    Answer(out, peer, number,
           Failure{Errc::kNotFound, run->Name() + " has no job " + FormatSelector(request.what), "", {}});
    return;
  }
  RunDetail detail{SummaryOf(*run), static_cast<std::uint32_t>(jobs.size()), {}};
  const std::size_t last =
      std::min<std::size_t>(jobs.size(), std::size_t{request.first} + std::min<std::size_t>(request.limit, kMaxViews));
  for (std::size_t i = request.first; i < last; ++i) detail.jobs.push_back(ViewOf(state, *run, *jobs[i]));
  Answer(out, peer, number, std::move(detail));
}

void OnWatch(State& state, Outbox& out, PeerId peer, std::uint64_t number, const Watch& request) {
  const Run* run = FindRun(state, request.run);
  if (run == nullptr) {
    out.history.push_back({peer, number, request, {}});
    return;
  }
  for (Watcher& known : state.watchers) {
    if (known.peer != peer || known.request != number) continue;
    known.fresh = true;  // asked again: told again
    return;
  }
  Watcher watcher;
  watcher.peer = peer;
  watcher.request = number;
  watcher.run = run->record.id;
  state.watchers.push_back(std::move(watcher));
}

// What a person should know about an agent.
std::string NoteOf(const State& state, const Agent& agent) {
  if (!agent.conflict.empty()) return agent.conflict;
  if (state.access.read && state.access.FindAgentKey(agent.name) == nullptr) return "its key is revoked";
  if (agent.session && !agent.trouble.empty()) return "it gets no new jobs: " + agent.trouble;
  return "";
}

void OnListAgents(const State& state, Outbox& out, PeerId peer, std::uint64_t number) {
  AgentList list;
  for (const auto& [name, agent] : state.agents) {
    AgentView& view = list.agents.emplace_back();
    view = {name, agent.host,           agent.software, agent.session.has_value(), agent.last_seen, agent.offer, 0,
            {},   NoteOf(state, agent), agent.drained};
    view.cpu_milli_used =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(agent.cpu_milli_used, agent.offer.cpu_milli));
    if (view.note.empty() && agent.session && std::abs(agent.clock_ahead_ms) > kSkewWarningMs)
      view.note = "its clock is " + SkewWords(agent.clock_ahead_ms) + " the controller's";
    for (JobId id : agent.jobs) {
      if (view.jobs.size() >= 100) break;
      const auto [run, job] = state.FindJob(id);
      view.jobs.push_back(
          {run->JobName(*job), job->started != WallTime{} ? job->started : job->assigned, job->gpu_uuids});
    }
  }
  Answer(out, peer, number, std::move(list));
}

void OnWhy(const State& state, Outbox& out, PeerId peer, std::uint64_t number, const Why& request) {
  const Run* run = FindRun(state, request.what);
  if (run == nullptr) {
    out.history.push_back({peer, number, request, {}});
    return;
  }
  WaitReasons reasons;
  for (const Job* job : Matching(*run, request.what)) {
    if (reasons.reasons.size() >= 1000) break;
    WaitReason& reason = reasons.reasons.emplace_back();
    reason.job = run->JobName(*job);
    switch (job->state) {
      case JobState::kBlocked: reason.reason = WaitsFor(state, *run, *job); break;
      case JobState::kReady: {
        Lack lack = ExplainWait(state, *run, *job);
        reason.reason = (lack.never ? "cannot start: " : "") + lack.reason;
        reason.holders = std::move(lack.holders);
        break;
      }
      case JobState::kAssigned: reason.reason = "is on agent " + job->agent + ", which prepares it"; break;
      case JobState::kRunning: reason.reason = "does not wait: it runs on agent " + job->agent; break;
      default: reason.reason = std::string("does not wait: it has ended, ") + JobStateName(job->state);
    }
  }
  if (reasons.reasons.empty()) {
    Answer(out, peer, number,
           Failure{Errc::kNotFound, run->Name() + " has no job " + FormatSelector(request.what), "", {}});
    return;
  }
  Answer(out, peer, number, std::move(reasons));
}

void TellWatcher(State& state, Outbox& out, Now now, Watcher& watcher) {
  const Run& run = *state.FindRun(watcher.run);
  std::vector<JobId> news(watcher.changed.begin(), watcher.changed.end());
  if (watcher.fresh) {
    news.clear();
    for (const Job& job : run.jobs)
      if (news.size() < kMaxViews) news.push_back(job.id);
  }
  std::size_t told = 0;
  do {
    RunUpdate update{SummaryOf(run), {}, false};
    for (; told < news.size() && update.jobs.size() < kMaxViews; ++told)
      update.jobs.push_back(ViewOf(state, run, *state.FindJob(news[told]).second));
    update.run_ended = run.Ended() && told == news.size();
    Answer(out, watcher.peer, watcher.request, std::move(update));
  } while (told < news.size());
  watcher.fresh = false;
  watcher.run_changed = false;
  watcher.changed.clear();
  watcher.sent = now.mono;
}

}  // namespace

void Answer(Outbox& out, PeerId peer, std::uint64_t number, ClientReply reply) {
  out.to_clients.push_back({peer, number, std::move(reply)});
}

RunSummary SummaryOf(const Run& run) {
  const RunRecord& record = run.record;
  RunSummary summary{record.id,
                     record.pipeline.name,
                     record.number,
                     record.state,
                     record.info,
                     record.submitted,
                     record.ended,
                     0,
                     0,
                     0,
                     0,
                     record.note};
  summary.jobs_total = static_cast<std::uint32_t>(run.jobs.size());
  for (const Job& job : run.jobs) {
    if (job.state == JobState::kPassed) ++summary.jobs_passed;
    if (job.state == JobState::kFailed) ++summary.jobs_failed;
    if (job.OnAgent()) ++summary.jobs_running;
  }
  return summary;
}

JobView ViewOf(const State& state, const Run& run, const Job& job) {
  const JobGroup& group = run.GroupOf(job);
  JobView view;
  view.id = job.id;
  view.job = group.spec->name;
  view.shard = job.shard;
  view.shard_count = group.spec->shards;
  view.state = job.state;
  view.epoch = job.epoch;
  view.agent = job.agent;
  view.gpu_uuids = job.gpu_uuids;
  view.ready = job.ready;
  view.started = job.started;
  view.needs = group.spec->needs;
  view.waits_for = WaitsFor(state, run, job);
  view.metrics = job.metrics;
  view.log_run = Raw(job.reused_run) != 0 ? job.reused_run : run.record.id;
  if (job.OnAgent()) {
    view.log_attempt = job.attempt();
  } else if (!job.attempts.empty()) {
    const AttemptRecord& last = job.attempts.back();
    view.agent = last.agent;
    view.gpu_uuids = last.gpu_uuids;
    view.started = last.started;
    view.ended = last.ended;
    view.outcome = last.outcome;
    view.log_length = last.log.length;
    view.artifacts = last.artifacts;
    view.log_attempt = {Raw(job.reused_job) != 0 ? job.reused_job : job.id, last.epoch};
  }
  return view;
}

const Run* FindRun(const State& state, const Selector& selector) {
  if (selector.number == 0) {
    const auto newest = state.last_number.find(selector.pipeline);
    if (newest == state.last_number.end()) return nullptr;
    const auto it = state.named.find({selector.pipeline, newest->second});
    return it == state.named.end() ? nullptr : state.FindRun(it->second);
  }
  const auto it = state.named.find({selector.pipeline, selector.number});
  return it == state.named.end() ? nullptr : state.FindRun(it->second);
}

void OnQuestion(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const ClientRequest& request) {
  (void)now;
  std::visit(Overloaded{
                 [&](const ListRuns& list) {
                   HistoryQuery query{peer, number, list, {}};
                   for (auto it = state.runs.rbegin(); it != state.runs.rend() && query.live.size() < list.limit;
                        ++it) {
                     if (!list.pipeline.empty() && it->second.record.pipeline.name != list.pipeline) continue;
                     if (Raw(list.before) != 0 && it->first >= list.before) continue;
                     query.live.push_back(SummaryOf(it->second));
                   }
                   out.history.push_back(std::move(query));
                 },
                 [&](const ShowRun& show) { OnShowRun(state, out, peer, number, show); },
                 [&](const Watch& watch) { OnWatch(state, out, peer, number, watch); },
                 [&](const ListAgents&) { OnListAgents(state, out, peer, number); },
                 [&](const Why& why) { OnWhy(state, out, peer, number, why); },
                 [&](const GetMetrics& get) {
                   out.history.push_back({peer, number, get, {}});
                 },
                 [&](const Ping&) {
                   Pong pong{state.software, 0, 0};
                   for (const auto& [name, agent] : state.agents) pong.agents_connected += agent.session ? 1 : 0;
                   for (const auto& [id, run] : state.runs) pong.runs_live += run.Ended() ? 0 : 1;
                   Answer(out, peer, number, std::move(pong));
                 },
                 [&](const auto&) {
                   Answer(out, peer, number, Failure{Errc::kInternal, "this request has a handler of its own", "", {}});
                 },
             },
             request);
}

void OnClientGone(State& state, PeerId peer) {
  std::erase_if(state.watchers, [&](const Watcher& watcher) { return watcher.peer == peer; });
  for (auto& [ticket, push] : state.pushes)
    std::erase_if(push.asked_by, [&](const auto& asked) { return asked.first == peer; });
}

void EndTurn(State& state, Outbox& out, Now now) {
  if (state.plan_needed) {
    const std::vector<Assignment> plan = MakePlan(state, kPlanLimit);
    for (const Assignment& assignment : plan) AssignJob(state, out, now, assignment);
    state.plan_needed = plan.size() == kPlanLimit;
  }
  std::erase_if(state.watchers, [&](Watcher& watcher) {
    const Run& run = *state.FindRun(watcher.run);
    if (watcher.fresh || run.Ended() ||
        ((watcher.run_changed || !watcher.changed.empty()) && now.mono - watcher.sent >= kWatchInterval))
      TellWatcher(state, out, now, watcher);
    return run.Ended();
  });
  ForgetOldRuns(state);
}

}  // namespace furrow
