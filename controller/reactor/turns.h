// The order in which turns become durable and their effects leave. Turns is a pure value, so that the simulator runs
// the very code that the loop runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "controller/reactor/outbox.h"
#include "controller/state/effects.h"

namespace furrow {

// Returns whether what is durable now answers the question. A Watch would never hear of an end that waits for the disk,
// and a Retry would begin from jobs as they were before it.
bool MayOvertake(const HistoryQuery& query);

class Turns {
 public:
  struct Step {
    std::vector<Outbox> release;  // effects that may leave now, in order
    std::optional<Turn> commit;   // the turn that the store has to make durable
  };

  // Takes what a turn of the loop wants. Its effects wait until its records, and those of every turn before, are
  // durable. Only messages that rest on no record overtake them: a slow disk must cost no agent its lease, and hide
  // from nobody what was durable before.
  Step Take(Outbox out, Now now);

  // Returns what may leave, in order, because every turn up to and including `committed.number` is durable. The error
  // of a commit that failed is final: nothing may leave any more, and the controller must end.
  Result<std::vector<Outbox>> OnCommitted(const Committed& committed);

  // Takes out what waits for the store though the store could answer: answers with an `otherwise`, and questions to
  // history that may overtake.
  Outbox TakeReaders();

  // Returns the clients for which more than `most` bytes of answers wait for the store.
  std::set<std::string> Crowded(std::size_t most) const;
  // Returns whether some turn has waited for the store for longer than `span`: what was decided may not have left yet.
  bool Behind(Now now, Duration span) const;

 private:
  struct Pending {
    std::uint64_t turn = 0;
    TimePoint since;
    Outbox effects;
  };
  std::deque<Pending> pending_;
  std::uint64_t turns_ = 0;
};

}  // namespace furrow
