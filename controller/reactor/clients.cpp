#include "controller/reactor/clients.h"

#include <algorithm>
#include <iterator>

#include "common/base/overloaded.h"
#include "common/wire/selector.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/turns.h"
#include "controller/views/agents.h"
#include "controller/views/runs.h"

namespace furrow {
namespace {

constexpr Duration kWatchInterval = std::chrono::milliseconds(20);  // between two updates of one watcher
constexpr std::size_t kWatchesOfAConnection = 256;
// One thread answers from the disk, for everybody: a client has so many questions there at once.
constexpr std::uint32_t kHistoryQuestions = 256;

std::size_t WatchesOf(const State& state, PeerId peer) {
  std::size_t count = 0;
  for (const auto& [run, watchers] : state.watchers)
    count += static_cast<std::size_t>(
        std::count_if(watchers.begin(), watchers.end(), [&](const Watcher& one) { return one.asker.peer == peer; }));
  return count;
}

void TellWatcher(const State& state, Outbox& out, Now now, const Run& run, Watcher& watcher) {
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

void SayWhatRunsWaitFor(const std::string& refusing, ClientReply& reply) {
  const auto say = [&](RunSummary& run) {
    if (run.state == RunState::kRunning) run.stuck = "room to keep what it did: " + refusing;
  };
  std::visit(Overloaded{
                 [&](RunDetail& detail) { say(detail.run); },
                 [&](RunList& list) { std::ranges::for_each(list.runs, say); },
                 [](auto&) {},
             },
             reply);
}

// Returns the run if state may answer for it. Nobody is shown what is not durable, so that while the disk makes turns
// wait the store answers, with what it has.
const Run* RunInState(const State& state, const Selector& what) {
  return state.stalled ? nullptr : state.FindRun(what);
}

}  // namespace

void AskHistory(State& state, Outbox& out, HistoryQuery query) {
  std::uint32_t& asked = state.asked_history[query.asker.name];
  if (asked >= kHistoryQuestions)
    return Refuse(out, query.asker, Errc::kUnavailable,
                  "many questions of yours about older runs wait for their answers; ask again in a moment");
  ++asked;
  query.at_once = state.stalled && MayOvertake(query);
  out.history.push_back(std::move(query));
}

void OnStalled(State& state, Outbox& out, bool stalled, Outbox readers) {
  state.stalled = stalled;
  for (ClientSend& send : readers.to_clients) AskHistory(state, out, std::move(*send.otherwise));
  for (HistoryQuery& query : readers.history) {
    query.at_once = true;
    out.history.push_back(std::move(query));
  }
}

void OnHistoryAnswered(State& state, const Asker& asker) {
  const auto asked = state.asked_history.find(asker.name);
  if (asked != state.asked_history.end() && --asked->second == 0) state.asked_history.erase(asked);
}

void AskHistory(State& state, Outbox& out, const Asker& asker, ClientRequest request, const Selector& what) {
  if (const PipelineRecord* pipeline = state.FindPipeline(what)) {
    AskHistory(state, out, {asker, std::move(request), pipeline->id, {}});
    return;
  }
  Refuse(out, asker, Errc::kNotFound, "there is no run " + FormatRun(what) + "; `furrow runs` lists them");
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListRuns& request) {
  HistoryQuery query{asker, request, {}, {}};
  if (!request.pipeline.empty()) {
    const PipelineRecord* pipeline = state.FindPipeline({.pipeline = request.pipeline});
    if (pipeline == nullptr) return AnswerAtOnce(out, asker, RunList{});
    query.pipeline = pipeline->id;
  }
  WaitCauses causes(state);
  for (auto it = state.runs.rbegin(); it != state.runs.rend() && query.live.size() < request.limit; ++it) {
    if (state.stalled && it->second.Ended()) continue;
    if (!request.pipeline.empty() && it->second.record.pipeline != query.pipeline) continue;
    if (Raw(request.before) != 0 && it->first >= request.before) continue;
    query.live.push_back(SummaryOf(causes, it->second));
  }
  AskHistory(state, out, std::move(query));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ShowRun& request) {
  const Run* run = RunInState(state, request.what);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.what);
    return;
  }
  Answer(out, asker, Show(state, *run, request), {asker, request, run->record.pipeline, {}});
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Watch& request) {
  const Run* run = state.FindRun(request.run);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.run);
    return;
  }
  for (auto& [id, watchers] : state.watchers) {
    for (Watcher& known : watchers) {
      if (known.asker != asker) continue;
      known.fresh = true;  // A client that asks again gets all jobs again.
      state.news.insert(id);
      return;
    }
  }
  if (WatchesOf(state, asker.peer) >= kWatchesOfAConnection)
    return Refuse(out, asker, Errc::kRejected,
                  "a connection watches at most " + std::to_string(kWatchesOfAConnection) + " runs at once");
  Watcher watcher;
  watcher.asker = asker;
  state.watchers[run->record.id].push_back(std::move(watcher));
  state.news.insert(run->record.id);
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListAgents& request) {
  AnswerAtOnce(out, asker, ListOf(state, request));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Why& request) {
  const Run* run = RunInState(state, request.what);
  if (run == nullptr) {
    AskHistory(state, out, asker, request, request.what);
    return;
  }
  Answer(out, asker, Explain(state, *run, request), {asker, request, run->record.pipeline, {}});
}

void On(State& state, Outbox& out, Now, const Asker& asker, const GetMetrics& request) {
  AskHistory(state, out, asker, request, request.what);
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Ping&) {
  AnswerAtOnce(out, asker,
               Pong{state.software, static_cast<std::uint32_t>(state.sessions.size()),
                    static_cast<std::uint32_t>(state.runs.size() - state.ended.size())});
}

void On(State& state, Outbox& out, Now, const HistoryAnswer& event) {
  OnHistoryAnswered(state, event.asker);
  for (ClientReply reply : event.replies) {
    if (state.stalled && !state.refusing.empty()) SayWhatRunsWaitFor(state.refusing, reply);
    AnswerAtOnce(out, event.asker, std::move(reply));
  }
}

void TellWatchers(State& state, Outbox& out, Now now) {
  std::erase_if(state.news, [&](RunId id) {
    const Run& run = *state.FindRun(id);
    bool told = true;
    std::vector<Watcher>& watchers = state.watchers.at(id);
    std::erase_if(watchers, [&](Watcher& watcher) {
      if (IsCrowded(state, out, watcher.asker)) {
        told = false;
        return false;
      }
      const bool changed = watcher.run_changed || !watcher.changed.empty();
      if (watcher.fresh || run.Ended() || (changed && now.mono - watcher.sent >= kWatchInterval))
        TellWatcher(state, out, now, run, watcher);
      else
        told = told && !changed;
      return run.Ended();
    });
    if (watchers.empty()) state.watchers.erase(id);
    return told;
  });
}

void ForgetClient(State& state, PeerId peer) {
  const auto is_its = [&](const Asker& asker) { return asker.peer == peer; };
  for (auto it = state.watchers.begin(); it != state.watchers.end();) {
    auto& [run, watchers] = *it;
    std::erase_if(watchers, [&](const Watcher& watcher) { return is_its(watcher.asker); });
    if (watchers.empty()) state.news.erase(run);
    it = watchers.empty() ? state.watchers.erase(it) : std::next(it);
  }
  for (auto& [ticket, push] : state.pushes) std::erase_if(push.asked_by, is_its);
  for (auto& [name, repository] : state.repositories) std::erase_if(repository.asked_by, is_its);
}

}  // namespace furrow
