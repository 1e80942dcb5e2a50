// These are the transitions of jobs and runs, which the reactors call. Each transition keeps the State's invariants and
// puts durable changes into the Outbox; none sends a message to a client.
//
//   blocked → ready → assigned → running → passed | failed | cancelled
//      └→ skipped        └──────────┴→ ready (retry)
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/wire/metrics.h"
#include "controller/reactor/outbox.h"
#include "controller/state/assignment.h"
#include "controller/state/state.h"

namespace furrow {

// Queues every shard of every group whose needs are all met. The caller has inserted the run with InsertRun.
void StartRun(State& state, Now now, Run& run);

// Assigns a ready job to an agent under a new epoch: records the job, sends Assign, grants the log.
void AssignJob(State& state, Outbox& out, Now now, const Assignment& assignment);

// Sends the Assign of an assigned job again, unchanged.
void RepeatAssign(const State& state, Outbox& out, Now now, const Run& run, Job& job);

// Ends the current attempt of a job that is on an agent and frees the agent. The job passes, fails, is cancelled, or is
// queued again if its retry rule allows.
void EndAttempt(State& state, Outbox& out, Now now, Run& run, Job& job, AttemptRecord attempt);

// Cancels a job: at once where no agent has the job, else by Kill. A job that has ended stays as it is.
void CancelJob(State& state, Outbox& out, Now now, Run& run, Job& job, const std::string& reason);

// Puts a job that is on no agent into a terminal state and starts or skips the jobs that need it.
void SettleJob(State& state, Outbox& out, Now now, Run& run, Job& job, JobState end);

// Returns the trees that each attempt of the group gets: the run's sources, then the artifacts of the jobs that the
// group needs.
std::vector<Hash> TreesOf(const Run& run, const JobGroup& group);

// Returns the metrics of the jobs that `group` needs, one value each, by MeanMetrics over all their shards.
Metrics NeededMetrics(const Run& run, const JobGroup& group);

}  // namespace furrow
