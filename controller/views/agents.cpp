#include "controller/views/agents.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/clock_skew.h"
#include "controller/views/page.h"

namespace furrow {
namespace {

constexpr std::size_t kJobsShown = 100;  // the most jobs that one view names

// Returns a note about an agent for a person: only the worst trouble.
std::string NoteOf(const State& state, const Agent& agent) {
  if (!agent.link.conflict.empty()) return agent.link.conflict;
  if (state.access.read && state.access.FindAgentKey(agent.name) == nullptr) return "its key is revoked";
  if (const auto unreadable = state.unreadable.find(agent.name); unreadable != state.unreadable.end())
    return "it sends what this controller cannot read: " + unreadable->second;
  if (!agent.link.session) return "";
  if (!agent.link.condition.empty()) return "it gets no new jobs: " + agent.link.condition;
  if (std::abs(agent.link.clock_ahead_ms) > kSkewWarningMs)
    return "its clock is " + SkewWords(agent.link.clock_ahead_ms) + " the controller's";
  return "";
}

}  // namespace

AgentView ViewOf(const State& state, const Agent& agent) {
  AgentView view;
  view.name = agent.name;
  view.host = agent.host;
  view.software = agent.software;
  view.connected = agent.link.session.has_value();
  view.last_seen = agent.last_seen;
  view.offer = agent.offer;
  view.cpu_milli_used =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(agent.booked.load.cpu_milli, agent.offer.cpu_milli));
  for (JobId id : agent.booked.jobs) {
    if (view.jobs.size() >= kJobsShown) break;
    const auto [run, job] = state.FindJob(id);
    view.jobs.push_back(
        {run->JobName(*job), job->started != WallTime{} ? job->started : job->assigned, job->gpu_uuids});
  }
  view.note = NoteOf(state, agent);
  view.drained = agent.drained;
  if (agent.drained) view.drain = agent.drain;
  return view;
}

AgentList ListOf(const State& state, const ListAgents& request) {
  AgentList list;
  std::size_t bytes = 0;
  for (auto it = state.agents.upper_bound(request.after); it != state.agents.end(); ++it) {
    const bool full = list.agents.size() >= request.limit || bytes >= kPageBytes;
    if (request.limit > 0 && full) {
      list.more = true;
      break;
    }
    list.agents.push_back(ViewOf(state, it->second));
    bytes += WireBytes(list.agents.back());
  }
  return list;
}

}  // namespace furrow
