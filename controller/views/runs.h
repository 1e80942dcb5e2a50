// These views show runs and jobs to a client, live ones and those that history read.
#pragma once

#include <vector>

#include "controller/scheduler/explain.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

RunSummary SummaryOf(WaitCauses& causes, const Run& run);
// Summarises a run whose jobs are not in memory: `jobs.running` is 0.
RunSummary SummaryOf(const RunRecord& record);

JobView ViewOf(WaitCauses& causes, const Run& run, const Job& job);

// Returns what a watcher gets of these jobs of the run, in one or more messages. Only the last one has `run_ended` set.
std::vector<RunUpdate> UpdatesOf(const State& state, const Run& run, const std::vector<JobId>& jobs);

// Returns why a job waits, or that the job does not wait, and which jobs hold the resources.
WaitReason ReasonOf(WaitCauses& causes, const Run& run, const Job& job);

// Returns whether a selector that names this run also names this job.
bool Matches(const Run& run, const Job& job, const Selector& what);
// Returns the failure for a selector that names no job of the run.
Failure NoSuchJob(const Run& run, const Selector& what);

// Show and Explain answer these questions about a run in memory.
ClientReply Show(const State& state, const Run& run, const ShowRun& request);
ClientReply Explain(const State& state, const Run& run, const Why& request);

}  // namespace furrow
