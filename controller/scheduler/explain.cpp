#include "controller/scheduler/explain.h"

#include "controller/scheduler/fit.h"

namespace furrow {
namespace {

constexpr std::size_t kHoldersShown = 20;
constexpr std::size_t kNamesShown = 20;

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

// Joins names, and says how many there are beyond the first few.
class Names {
 public:
  void Add(const std::string& name) {
    if (count_++ < kNamesShown) text_ += (text_.empty() ? "" : ", ") + name;
  }
  std::string Text() const {
    return count_ <= kNamesShown ? text_ : text_ + " and " + std::to_string(count_ - kNamesShown) + " more";
  }

 private:
  std::size_t count_ = 0;
  std::string text_;
};

// Calls `visit` with the agents of the set that have the memory. All of them have most of it: see AgentClassKey.
template <class Set, class Visit>
void EachAble(const Set& agents, const Resources& need, Visit visit) {
  for (const Agent* agent : agents)
    if (need.memory_bytes <= agent->offer.memory_bytes) visit(*agent);
}

template <class Set>
std::size_t CountAble(const AgentClass& in, const Set& agents, const Resources& need) {
  if (need.memory_bytes <= in.key->memory_from) return agents.size();
  std::size_t count = 0;
  EachAble(agents, need, [&](const Agent&) { ++count; });
  return count;
}

// Names jobs on agents that take jobs but have no room for this one. Each of them has a job.
void AddHolders(const State& state, const AgentClass& in, const Resources& need, WaitCause& cause) {
  for (const Agent* agent : in.taking) {
    if (need.memory_bytes > agent->offer.memory_bytes) continue;
    for (const JobId id : agent->booked.jobs) {
      if (cause.holders.size() >= kHoldersShown) return;
      const auto [run, job] = state.FindJob(id);
      cause.holders.push_back(run->JobName(*job) + " on " + agent->name);
    }
  }
}

}  // namespace

WaitCause ExplainWait(const State& state, const JobGroup& group) {
  const JobSpec& spec = *group.spec;
  if (state.agents.empty()) return {"no agent is known; start furrow-agent on a machine", {}, true};
  bool labels = false;
  std::vector<const AgentClass*> able;
  std::size_t taking = 0, drained = 0;
  const Agent* troubled = nullptr;
  for (const auto& [key, in] : state.supply.classes) {
    labels = labels || CarriesLabels(in.offer, spec.labels);
    if (!CouldEver(in.offer, spec.resources, spec.labels)) continue;
    if (FitsNow(in, spec.resources)) return {"is about to be assigned", {}, false};
    const Resources& need = spec.resources;
    const std::size_t takes = CountAble(in, in.taking, need), drains = CountAble(in, in.drained, need);
    const std::size_t others = CountAble(in, in.troubled, need) + CountAble(in, in.away, need);
    if (takes + drains + others == 0) continue;
    able.push_back(&in);
    taking += takes;
    drained += drains;
    EachAble(in.troubled, need, [&](const Agent& agent) { troubled = &agent; });
  }
  if (!labels) return {"no agent carries the labels: " + JoinLabels(spec.labels), {}, true};
  if (able.empty()) return {"no agent is large enough: it asks for " + Describe(spec.resources), {}, true};
  WaitCause cause;
  if (taking > 0) {
    for (const AgentClass* in : able) AddHolders(state, *in, spec.resources, cause);
    cause.reason = "waits for " + Describe(spec.resources) + ": " + std::to_string(taking) +
                   (taking == 1 ? " agent that could take it is busy" : " agents that could take it are busy");
    return cause;
  }
  if (troubled != nullptr) {
    cause.reason = "no agent that could take it takes jobs; " + troubled->name + ": " + troubled->link.condition;
    return cause;
  }
  Names names;
  if (drained > 0) {
    for (const AgentClass* in : able)
      EachAble(in->drained, spec.resources,
               [&](const Agent& agent) { names.Add(agent.name + " (" + Describe(agent.drain) + ")"); });
    cause.reason =
        "every agent that could take it is drained or away; `furrow resume` gives these jobs again: " + names.Text();
    return cause;
  }
  for (const AgentClass* in : able)
    EachAble(in->away, spec.resources, [&](const Agent& agent) { names.Add(agent.name); });
  cause.reason = "every agent that could take it is away: " + names.Text();
  return cause;
}

const WaitCause& WaitCauses::Of(const JobGroup& group) {
  const auto [cause, is_new] = causes_.try_emplace(&group);
  if (is_new) cause->second = ExplainWait(state_, group);
  return cause->second;
}

}  // namespace furrow
