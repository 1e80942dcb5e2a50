#include "controller/reactor/clients.h"

#include <algorithm>

#include "common/wire/selector.h"
#include "controller/reactor/answer.h"
#include "controller/views/agents.h"
#include "controller/views/runs.h"

namespace furrow {
namespace {

constexpr Duration kWatchInterval = std::chrono::milliseconds(20);  // between two updates of one watcher

void TellWatcher(State& state, Outbox& out, Now now, Watcher& watcher) {
  const Run& run = *state.FindRun(watcher.run);
  std::vector<JobId> news(watcher.changed.begin(), watcher.changed.end());
  if (watcher.fresh) {
    news.clear();
    for (const Job& job : run.jobs) news.push_back(job.id);
  }
  for (RunUpdate& update : UpdatesOf(state, run, news)) Answer(out, watcher.asker, std::move(update));
  watcher.fresh = false;
  watcher.run_changed = false;
  watcher.changed.clear();
  watcher.sent = now.mono;
}

}  // namespace

void AskHistory(const State& state, Outbox& out, const Asker& asker, ClientRequest request, const Selector& what) {
  if (const PipelineRecord* pipeline = state.FindPipeline(what)) {
    out.history.push_back({asker, std::move(request), pipeline->id, {}});
    return;
  }
  Refuse(out, asker, Errc::kNotFound, "there is no run " + FormatRun(what) + "; `furrow runs` lists them");
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListRuns& request) {
  HistoryQuery query{asker, request, {}, {}};
  if (!request.pipeline.empty()) {
    const PipelineRecord* pipeline = state.FindPipeline({.pipeline = request.pipeline});
    if (pipeline == nullptr) return Answer(out, asker, RunList{});
    query.pipeline = pipeline->id;
  }
  for (auto it = state.runs.rbegin(); it != state.runs.rend() && query.live.size() < request.limit; ++it) {
    if (!request.pipeline.empty() && it->second.record.pipeline != query.pipeline) continue;
    if (Raw(request.before) != 0 && it->first >= request.before) continue;
    query.live.push_back(SummaryOf(it->second));
  }
  out.history.push_back(std::move(query));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ShowRun& request) {
  const Run* run = state.FindRun(request.what);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.what);
    return;
  }
  Answer(out, asker, Show(state, *run, request));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Watch& request) {
  const Run* run = state.FindRun(request.run);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.run);
    return;
  }
  for (Watcher& known : state.watchers) {
    if (known.asker != asker) continue;
    known.fresh = true;  // A client that asks again gets all jobs again.
    return;
  }
  Watcher watcher;
  watcher.asker = asker;
  watcher.run = run->record.id;
  state.watchers.push_back(std::move(watcher));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListAgents&) {
  AgentList list;
  for (const auto& [name, agent] : state.agents) list.agents.push_back(ViewOf(state, agent));
  Answer(out, asker, std::move(list));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Why& request) {
  const Run* run = state.FindRun(request.what);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.what);
    return;
  }
  Answer(out, asker, Explain(state, *run, request));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const GetMetrics& request) {
  AskHistory(state, out, asker, request, request.what);
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Ping&) {
  Pong pong{state.software, 0, 0};
  for (const auto& [name, agent] : state.agents) pong.agents_connected += agent.link.session ? 1 : 0;
  for (const auto& [id, run] : state.runs) pong.runs_live += run.Ended() ? 0 : 1;
  Answer(out, asker, std::move(pong));
}

void On(State&, Outbox& out, Now, const HistoryAnswer& event) {
  for (const ClientReply& reply : event.replies) Answer(out, event.asker, reply);
}

void TellWatchers(State& state, Outbox& out, Now now) {
  std::erase_if(state.watchers, [&](Watcher& watcher) {
    const Run& run = *state.FindRun(watcher.run);
    if (watcher.fresh || run.Ended() ||
        ((watcher.run_changed || !watcher.changed.empty()) && now.mono - watcher.sent >= kWatchInterval))
      TellWatcher(state, out, now, watcher);
    return run.Ended();
  });
}

void ForgetClient(State& state, PeerId peer) {
  const auto is_its = [&](const Asker& asker) { return asker.peer == peer; };
  std::erase_if(state.watchers, [&](const Watcher& watcher) { return is_its(watcher.asker); });
  for (auto& [ticket, push] : state.pushes) std::erase_if(push.asked_by, is_its);
  for (auto& [name, repository] : state.repositories) std::erase_if(repository.asked_by, is_its);
}

}  // namespace furrow
