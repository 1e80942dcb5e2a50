#include "controller/reactor/drain.h"

#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"

namespace furrow {
namespace {

// Drains the agent as `wanted` says, for the key `by`; without a value the agent gets jobs again.
void Set(State& state, Outbox& out, Now now, Agent& agent, const std::optional<Drain>& wanted, const std::string& by) {
  if (agent.drained == wanted.has_value() && agent.drain == wanted.value_or(Drain{})) return;
  agent.drained = wanted.has_value();
  agent.drain = wanted.value_or(Drain{});
  File(state, agent);
  out.records.emplace_back(agent.record());
  EventRecord& event = Tell(out, now, agent.drained ? EventKind::kAgentDrained : EventKind::kAgentResumed, agent);
  event.by = by;
  event.detail = agent.drain.reason;
  state.plan_needed = state.plan_needed || !agent.drained;
}

}  // namespace

void On(State& state, Outbox& out, Now now, const Asker& asker, const DrainAgent& request) {
  Agent* agent = state.FindAgent(request.agent);
  if (agent == nullptr)
    return Refuse(out, asker, Errc::kNotFound, "no agent is named " + request.agent + "; `furrow agents` lists them");
  std::string text = request.agent + (request.drained ? " gets no new jobs" : " gets jobs again");
  if (request.drained) {
    Drain drain{.by = asker.name, .since = agent->drained ? agent->drain.since : now.wall, .reason = request.reason};
    if (request.duration.count() > 0) {
      drain.until = WallTime{static_cast<std::int64_t>(now.wall) + request.duration.count()};
      text += " until " + FormatUtc(drain.until);
    }
    Set(state, out, now, *agent, drain, asker.name);
  } else {
    Set(state, out, now, *agent, std::nullopt, asker.name);
  }
  const std::size_t jobs = agent->booked.jobs.size();
  Answer(out, asker, Done{text + (jobs == 0 ? "; it has none" : "; it has " + std::to_string(jobs))});
}

void ResumeDrained(State& state, Outbox& out, Now now) {
  for (auto& [name, agent] : state.agents)
    if (agent.drained && agent.drain.until != WallTime{} && agent.drain.until <= now.wall)
      Set(state, out, now, agent, std::nullopt, "");
}

}  // namespace furrow
