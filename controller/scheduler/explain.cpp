#include "controller/scheduler/explain.h"

#include <utility>

#include "controller/scheduler/fit.h"

namespace furrow {
namespace {

// Formats thousandths as "1" or "0.25".
std::string Thousandths(std::uint32_t milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 == 0) return text;
  text += "." + std::to_string(1000 + milli % 1000).substr(1);
  while (text.back() == '0') text.pop_back();
  return text;
}

std::string Describe(const Resources& need) {
  std::string text = Thousandths(need.cpu_milli) + " CPU";
  if (need.gpu_milli > 0) {
    text += ", " + Thousandths(need.gpu_milli) + " GPU";
    if (!need.gpu_model.empty()) text += " (" + need.gpu_model + ")";
    if (need.gpu_memory_bytes > 0) text += " of " + std::to_string(need.gpu_memory_bytes >> 20) + " MiB";
  }
  if (need.memory_bytes > 0) text += ", " + std::to_string(need.memory_bytes >> 20) + " MiB memory";
  return text;
}

std::string JoinLabels(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : ", ") + label;
  return text;
}

std::string Describe(const Drain& drain) {
  std::string text = drain.by.empty() ? "drained" : "drained by " + drain.by;
  if (drain.until != WallTime{}) text += " until " + FormatUtc(drain.until);
  if (!drain.reason.empty()) text += ": " + drain.reason;
  return text;
}

}  // namespace

WaitCause ExplainWait(const State& state, const Run& run, const Job& job) {
  const JobSpec& spec = *run.GroupOf(job).spec;
  WaitCause cause;
  if (state.agents.empty()) return {"no agent is known; start furrow-agent on a machine", {}, true};
  std::size_t with_labels = 0;
  std::vector<const Agent*> able;
  for (const auto& [name, agent] : state.agents) {
    if (CarriesLabels(agent.offer, spec.labels)) ++with_labels;
    if (Capacity(agent).CouldEver(spec)) able.push_back(&agent);
  }
  if (with_labels == 0) return {"no agent carries the labels: " + JoinLabels(spec.labels), {}, true};
  if (able.empty()) return {"no agent is large enough: it asks for " + Describe(spec.resources), {}, true};
  std::size_t connected = 0, drained = 0;
  const Agent* troubled = nullptr;
  for (const Agent* agent : able) {
    if (!agent->link.session) continue;
    if (agent->drained) {
      ++drained;
      continue;
    }
    if (!agent->link.condition.empty()) {
      troubled = agent;
      continue;
    }
    ++connected;
    if (Capacity(*agent).Fit(spec, 0)) return {"is about to be assigned", {}, false};
    for (JobId id : agent->booked.jobs) {
      const auto [holder_run, holder] = state.FindJob(id);
      if (holder != nullptr && cause.holders.size() < 20)
        cause.holders.push_back(holder_run->JobName(*holder) + " on " + agent->name);
    }
  }
  if (connected == 0 && troubled != nullptr) {
    cause.reason = "no agent that could take it takes jobs; " + troubled->name + ": " + troubled->link.condition;
    return cause;
  }
  if (connected == 0 && drained > 0) {
    cause.reason = "every agent that could take it is drained or away; `furrow resume` gives these jobs again:";
    const char* separator = " ";
    for (const Agent* agent : able)
      if (agent->drained)
        cause.reason += std::exchange(separator, ", ") + agent->name + " (" + Describe(agent->drain) + ")";
    return cause;
  }
  if (connected == 0) {
    cause.reason = "every agent that could take it is away:";
    for (const Agent* agent : able) cause.reason += " " + agent->name;
    return cause;
  }
  cause.reason = "waits for " + Describe(spec.resources) + ": " + std::to_string(connected) +
                 (connected == 1 ? " agent that could take it is busy" : " agents that could take it are busy");
  return cause;
}

}  // namespace furrow
