// Events say what changed the state, in the same turn as the change.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// Adds an event to the turn and returns it, for the caller to say more before the next Tell.
inline EventRecord& Tell(Outbox& out, Now now, EventKind kind, ProjectId project = ProjectId{}) {
  EventRecord& event = out.events.emplace_back();
  event.kind = kind;
  event.at = now.wall;
  event.project = project;
  return event;
}

inline EventRecord& Tell(Outbox& out, Now now, EventKind kind, const Run& run) {
  EventRecord& event = Tell(out, now, kind, run.record.project);
  event.run = run.record.id;
  return event;
}

inline EventRecord& Tell(Outbox& out, Now now, EventKind kind, const Run& run, const Job& job) {
  EventRecord& event = Tell(out, now, kind, run);
  event.attempt = job.attempt();
  return event;
}

inline EventRecord& Tell(Outbox& out, Now now, EventKind kind, const Agent& agent) {
  EventRecord& event = Tell(out, now, kind);
  event.subject = agent.name;
  return event;
}

}  // namespace furrow
