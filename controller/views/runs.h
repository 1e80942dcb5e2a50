// Runs and jobs as a client is shown them, live ones and those that history brought back.
#pragma once

#include <vector>

#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

RunSummary SummaryOf(const Run& run);
// Of a run of which no jobs are at hand: `jobs_running` is 0.
RunSummary SummaryOf(const RunRecord& record);

JobView ViewOf(const State& state, const Run& run, const Job& job);

// What a watcher is told of these jobs of the run, in as many messages as it takes, at least one. `run_ended` is set in
// the last one alone.
std::vector<RunUpdate> UpdatesOf(const State& state, const Run& run, const std::vector<JobId>& jobs);

// Why a job waits, or that it does not, and who holds what it lacks.
WaitReason ReasonOf(const State& state, const Run& run, const Job& job);

// Whether a selector names this job of the run that it names.
bool Matches(const Run& run, const Job& job, const Selector& what);
// What to say when it names none.
Failure NoSuchJob(const Run& run, const Selector& what);

// The answers to these questions about a run that is at hand.
ClientReply Show(const State& state, const Run& run, const ShowRun& request);
ClientReply Explain(const State& state, const Run& run, const Why& request);

}  // namespace furrow
