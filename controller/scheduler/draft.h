// A Draft is what agents have left while a plan is being made, and a Search finds among them the best one for a job.
// Both refer to the State, and change nothing in it.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

// Agents in the order of ByFreeCpus, by what they had free when they were put in.
struct Spot {
  std::int64_t cpu_milli = 0;
  const Agent* agent = nullptr;

  bool operator<(const Spot& other) const {
    if (cpu_milli != other.cpu_milli) return cpu_milli > other.cpu_milli;
    return agent->name < other.agent->name;
  }
};

class Draft {
 public:
  using Members = std::set<const Agent*, ByFreeCpus>;

  bool Has(const Agent& agent) const { return taken_.contains(&agent); }
  const Free& FreeOf(const Agent& agent) const;
  const Load& LoadOf(const Agent& agent) const;

  void Take(const Agent& agent, const Resources& need, const std::vector<std::string>& uuids);
  // Brings the agents that gave something since the last call into their new order. A Search that goes on meanwhile
  // keeps to the old one.
  void Sort();

  // Returns where the members of the class begin that gave nothing yet.
  Members::const_iterator Untouched(const AgentClass& in);
  // Returns the members of the class that gave something.
  const std::set<Spot>& Touched(const AgentClass& in) { return classes_[&in].touched; }

 private:
  struct Taken {
    Load load;
    Free free;
    std::optional<Spot> spot;  // where the agent is in `touched`
    bool moved = false;        // The spot is not that of `free`.
  };
  struct Rest {
    std::optional<Members::const_iterator> untouched;
    std::set<Spot> touched;
  };
  std::unordered_map<const Agent*, Taken> taken_;
  std::unordered_map<const AgentClass*, Rest> classes_;
  std::vector<const Agent*> moved_;
};

// A job may go to the members of `classes`, or to `agents`.
struct Candidates {
  std::vector<const AgentClass*> classes;
  std::vector<const Agent*> agents;
};

// How many shards of a job the plan puts on each agent.
using Shards = std::unordered_map<const Agent*, std::uint32_t>;

struct Find {
  const Agent* agent = nullptr;
  std::vector<std::string> uuids;
};

// A Search gives the jobs of one group an agent each, best first. Agents without a shard of the group are the best
// ones: they come in the order of free CPUs, so that those behind the first that fits are not looked at.
class Search {
 public:
  Search(Draft& draft, const Candidates& agents, const Need& need, const JobGroup& group, const Shards& shards,
         std::uint32_t ahead);

  // Returns the best agent on which the job fits, or nothing.
  std::optional<Find> Next();
  // Makes the agent, which has got the job, a candidate for further ones.
  void Return(const Agent& agent);

 private:
  // The members of a class without a shard of the group, those that gave something and those that did not.
  struct Stream {
    const AgentClass* in;
    Draft::Members::const_iterator untouched, untouched_end;
    std::set<Spot>::const_iterator touched, touched_end;
    std::int64_t ahead_milli;
  };
  struct Ranked {
    std::uint32_t shards;
    Spot spot;
    bool operator<(const Ranked& other) const {  // The best one is the greatest, for std::priority_queue.
      return shards != other.shards ? shards > other.shards : other.spot < spot;
    }
  };
  struct Head {
    Spot spot;
    std::size_t stream;
    bool operator<(const Head& other) const { return other.spot < spot; }
  };

  std::uint32_t ShardsOn(const Agent& agent) const;
  std::optional<Find> TryOn(const Agent& agent) const;
  void PushHead(std::size_t stream);
  void PushSiblings();

  Draft& draft_;
  const Candidates& agents_;
  const Need& need_;
  const JobGroup& group_;
  const Shards& shards_;
  const std::uint32_t ahead_;
  std::vector<Stream> streams_;
  std::priority_queue<Head> heads_;
  bool siblings_pushed_ = false;  // `ranked_` has the agents with shards of the group.
  std::priority_queue<Ranked> ranked_;
};

}  // namespace furrow
