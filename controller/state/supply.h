// The Supply files agents by class and by what they have free, and the Demand files waiting groups by what they need,
// so that a plan, or an explanation why a job waits, walks over classes and over what changed instead of over all
// agents and runs. Both are parts of the State and follow from its agents and runs: CheckFiled says how.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/pipeline/pipeline.h"
#include "schemas/agent.h"

namespace furrow {

struct Agent;
struct JobGroup;
struct Load;
struct Run;
struct State;

// ---- agents ----

// A Free is what an agent has left. CPUs are below 0 where jobs are assigned ahead.
struct Free {
  std::int64_t cpu_milli = 0;
  std::int64_t memory_bytes = 0;
  std::uint32_t whole_gpus = 0;     // GPUs that no job uses
  std::uint32_t gpu_milli = 0;      // what is left of the GPU that is used least
  std::uint64_t all_gpu_milli = 0;  // what is left of all GPUs together

  bool operator==(const Free&) const = default;
};

Free FreeOf(const Offer& offer, const Load& load);

// No job can tell two agents of one class apart when both are idle, unless it needs about all the memory that they
// have: machines of one kind differ by some pages, and would be of a class each.
struct AgentClassKey {
  std::vector<std::string> labels;                          // sorted, each once
  std::vector<std::pair<std::string, std::uint64_t>> gpus;  // model and memory, sorted
  std::uint32_t cpu_milli = 0;
  std::uint64_t memory_from = 0, memory_to = 0;  // Each has at least and at most so many bytes of memory.

  auto operator<=>(const AgentClassKey&) const = default;
};

enum class Standing : std::uint8_t {
  kTaking,    // The agent takes jobs.
  kDrained,   // A person wants it to get none.
  kTroubled,  // It says itself that it should get none: Link::condition.
  kAway,
};

struct AgentClass;

// A Filed says where in the Supply an agent is. The Supply alone changes it, because its order depends on it.
struct Filed {
  AgentClass* in = nullptr;
  Standing standing = Standing::kAway;
  Free free;
};

struct ByName {
  bool operator()(const Agent* a, const Agent* b) const;
};
// Orders agents by free CPUs, most first, and then by name.
struct ByFreeCpus {
  bool operator()(const Agent* a, const Agent* b) const;
};

struct AgentClass {
  const AgentClassKey* key = nullptr;
  Offer offer;  // that of some member, with the key's memory_to: the most that a member has
  std::set<const Agent*, ByFreeCpus> taking;
  std::set<const Agent*, ByName> drained, troubled, away;

  bool empty() const { return taking.empty() && drained.empty() && troubled.empty() && away.empty(); }
};

// The Supply refers to agents of the State, so neither is copied.
struct Supply {
  std::map<AgentClassKey, AgentClass> classes;  // none is empty
  std::set<const Agent*, ByName> freer;         // agents that take more than when the last whole plan was made

  Supply() = default;
  Supply(Supply&&) = default;
  Supply& operator=(Supply&&) = default;
};

// Files the agent anew. Whoever changes an agent's offer, load, session, drain or condition calls this function.
void File(State& state, Agent& agent);
// Takes an agent out of the files before the state forgets the agent.
void Unfile(State& state, Agent& agent);

// ---- groups ----

// A Need is what decides on which agents the jobs of a group fit, now and ahead of their turn.
struct Need {
  Resources resources;
  std::vector<std::string> labels;  // sorted, each once
  std::uint32_t ahead = 0;          // A job may be promised up to so many times the agent's CPUs beyond those.

  std::strong_ordering operator<=>(const Need& other) const;
  bool operator==(const Need& other) const { return (*this <=> other) == 0; }
};

Need NeedOf(const State& state, const JobGroup& group);

// Groups whose jobs need the same, in the order in which they are planned: of their runs, and then of the file.
struct Queue {
  std::set<std::pair<RunId, std::uint32_t>> groups;  // the run, and an index into Run::groups
  std::uint64_t since = 0;                           // the number of whole plans before the first group came

  // Returns whether no plan has looked for room for this need yet.
  bool IsNew(std::uint64_t plans) const { return since == plans; }
};

struct Demand {
  std::map<Need, Queue> queues;  // none is empty
  std::uint64_t plans = 0;       // whole plans that were carried out

  Demand() = default;
  Demand(Demand&&) = default;
  Demand& operator=(Demand&&) = default;
};

// Queues the group by its need if it has ready jobs, and takes it out of its queue otherwise. Whoever changes the ready
// jobs, the mean duration or Settings::prefetch calls this function.
void Enqueue(State& state, const Run& run, JobGroup& group);

// Notes that a whole plan was carried out: for none of the queued groups has an agent room, until the agent is freer.
void NotePlanned(State& state);

// Aborts if an agent or a group is not filed as it is.
void CheckFiled(const State& state);

}  // namespace furrow
