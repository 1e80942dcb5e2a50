#include "controller/cli/show/views.h"
#include "common/wire/job_state.h"

#include <algorithm>

namespace furrow::cli {
namespace {

using Align = Table::Align;

constexpr std::size_t kMetricsShown = 3;

std::string Join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string MetricsOf(const Metrics& metrics) {
  std::string text;
  for (std::size_t i = 0; i < std::min(metrics.size(), kMetricsShown); ++i)
    text += (text.empty() ? "" : " ") + metrics[i].name + "=" + FormatNumber(metrics[i].value);
  return text;
}

std::string SourceOf(const SourceInfo& source) {
  std::string text = source.branch;
  if (!source.commit.empty()) text += (text.empty() ? "" : " ") + source.commit.substr(0, 8);
  if (source.dirty) text += "+";
  if (!source.title.empty()) text += (text.empty() ? "" : " ") + source.title;
  return text;
}

std::string Heading(const RunSummary& run, const ViewStyle& style) {
  std::string text = Paint(NameOf(run), Colour::kBold, style.colour) + " " +
                     Paint(NameOf(run.state), ColourOf(run.state), style.colour) +
                     (run.state == RunState::kRunning ? " for " : " in ") +
                     FormatSpan(run.submitted, run.ended, style.now);
  if (const std::string source = SourceOf(run.source); !source.empty()) text += "  " + Plain(source);
  text += "\n";
  if (!run.note.empty()) text += Plain(run.note) + "\n";
  for (const std::string& note : run.source.notes)
    text += Paint(Plain("sources: " + note), Colour::kYellow, style.colour) + "\n";
  return text;
}

// Formats the waiting time of a job or a sum of shards. A job that ended without a start has none worth showing.
template <class Shown>
std::string WaitOf(const Shown& shown, const ViewStyle& style) {
  if (IsTerminal(shown.state) && shown.started == WallTime{}) return "";
  return FormatSpan(shown.ready, shown.started, style.now);
}

}  // namespace

std::string NameOf(const RunSummary& run) {
  return run.pipeline + "#" + std::to_string(run.number);
}

std::string NameOf(const JobView& job) {
  return job.shard_count > 1 ? job.job + "/" + std::to_string(job.shard) : job.job;
}

std::string Explain(const Outcome& outcome) {
  std::string detail = outcome.detail.substr(0, outcome.detail.find('\n'));
  if (Passed(outcome)) return detail;
  std::string text;
  switch (outcome.kind) {
    case OutcomeKind::kExited: text = "exit status " + std::to_string(outcome.code); break;
    case OutcomeKind::kSignaled: text = "ended by signal " + std::to_string(outcome.code); break;
    case OutcomeKind::kStartFailed: text = "could not start"; break;
    case OutcomeKind::kTimedOut: text = "timed out"; break;
    case OutcomeKind::kKilled: text = "ended by us"; break;
    case OutcomeKind::kLogQuota: text = "printed more than its quota"; break;
    case OutcomeKind::kLost: text = "lost"; break;
    case OutcomeKind::kInputFailed: text = "inputs missing"; break;
    case OutcomeKind::kArtifactMissing: text = "artifact missing"; break;
    case OutcomeKind::kUploadFailed: text = "artifacts not stored"; break;
  }
  const bool step = outcome.kind == OutcomeKind::kExited || outcome.kind == OutcomeKind::kSignaled;
  if (step && outcome.step > 0) text += " in step " + std::to_string(outcome.step + 1);
  if (detail.empty()) return text;
  const bool says_it_all = outcome.kind == OutcomeKind::kTimedOut || outcome.kind == OutcomeKind::kLogQuota ||
                           outcome.kind == OutcomeKind::kInputFailed || outcome.kind == OutcomeKind::kArtifactMissing;
  return says_it_all ? detail : text + ": " + detail;
}

Colour ColourOf(JobState state) {
  switch (state) {
    case JobState::kPassed: return Colour::kGreen;
    case JobState::kFailed: return Colour::kRed;
    case JobState::kCancelled: return Colour::kYellow;
    case JobState::kAssigned:
    case JobState::kRunning: return Colour::kCyan;
    default: return Colour::kDim;
  }
}

Colour ColourOf(RunState state) {
  switch (state) {
    case RunState::kPassed: return Colour::kGreen;
    case RunState::kFailed: return Colour::kRed;
    case RunState::kCancelled: return Colour::kYellow;
    case RunState::kRunning: return Colour::kCyan;
  }
  return Colour::kNone;
}

const char* GlyphOf(JobState state) {
  switch (state) {
    case JobState::kBlocked: return "·";
    case JobState::kReady: return "○";
    case JobState::kAssigned: return "◌";
    case JobState::kRunning: return "▶";
    case JobState::kPassed: return "✓";
    case JobState::kFailed: return "✗";
    case JobState::kCancelled: return "■";
    case JobState::kSkipped: return "–";
  }
  return "?";
}

std::string RenderRuns(const RunList& list, const std::string& pipeline, const ViewStyle& style) {
  if (list.runs.empty() && !pipeline.empty()) return "no runs of " + pipeline + "; `furrow runs` shows those of all\n";
  if (list.runs.empty()) return "no runs yet; `furrow run` starts one\n";
  Table table({{"RUN"}, {"STATE"}, {"PASSED", Align::kRight}, {"TIME", Align::kRight}, {"SUBMITTED"}, {"SOURCE"}});
  for (const RunSummary& run : list.runs) {
    table.Add({{NameOf(run), Colour::kBold},
               {NameOf(run.state), ColourOf(run.state)},
               {std::to_string(run.jobs.passed) + "/" + std::to_string(run.jobs.total)},
               {FormatSpan(run.submitted, run.ended, style.now)},
               {FormatTime(run.submitted)},
               {SourceOf(run.source)}});
  }
  return table.Render(style.colour, style.width);
}

// Returns a text like "drained by laptop since 2026-07-01 12:00:03, until 2026-07-01 14:00:03".
std::string Describe(const Drain& drain) {
  std::string text = "drained";
  if (!drain.by.empty()) text += " by " + drain.by;
  if (drain.since != WallTime{}) text += " since " + FormatTime(drain.since);
  text += drain.until == WallTime{} ? ", until it is resumed" : ", until " + FormatTime(drain.until);
  if (!drain.reason.empty()) text += ": " + drain.reason;
  return text;
}

std::string RenderAgents(const AgentList& list, const ViewStyle& style) {
  if (list.agents.empty()) return "no agents are known; start furrow-agent on a machine, or `furrow up`\n";
  Table table(
      {{"AGENT"}, {"STATE"}, {"CPUS", Align::kRight}, {"MEMORY", Align::kRight}, {"GPUS"}, {"LABELS"}, {"RUNS"}});
  for (const AgentView& agent : list.agents) {
    std::vector<std::string> gpus, jobs;
    for (const Gpu& gpu : agent.offer.gpus) gpus.push_back(gpu.model + " " + FormatBytes(gpu.memory_bytes));
    for (const AgentJob& job : agent.jobs)
      jobs.push_back(job.job + " (" + FormatSpan(job.since, WallTime{}, style.now) + ")");
    const std::string gone = "away " + FormatSpan(agent.last_seen, WallTime{}, style.now);
    const std::string state = (agent.connected ? "connected" : gone) + (agent.drained ? ", drained" : "");
    const Colour colour = !agent.connected ? Colour::kRed : agent.drained ? Colour::kYellow : Colour::kGreen;
    table.Add({{agent.name, Colour::kBold},
               {state, colour},
               {FormatCpus(agent.cpu_milli_used) + "/" + FormatCpus(agent.offer.cpu_milli)},
               {FormatBytes(agent.offer.memory_bytes)},
               {gpus.empty() ? "-" : Join(gpus, ", ")},
               {agent.offer.labels.empty() ? "-" : Join(agent.offer.labels, ",")},
               {jobs.empty() ? "-" : Join(jobs, ", ")}});
  }
  std::string text = table.Render(style.colour, style.width);
  for (const AgentView& agent : list.agents) {
    if (agent.drain) text += Plain(agent.name + ": " + Describe(*agent.drain)) + "\n";
    if (!agent.note.empty()) text += Paint(Plain(agent.name + ": " + agent.note), Colour::kYellow, style.colour) + "\n";
  }
  return text;
}

std::string RenderReasons(const WaitReasons& reasons, const ViewStyle& style) {
  Table table({{"JOB"}, {"REASON"}});
  for (const WaitReason& reason : reasons.reasons) {
    const std::string held = reason.holders.empty() ? "" : "; held by " + Join(reason.holders, ", ");
    table.Add({{reason.job, Colour::kBold}, {reason.reason + held}});
  }
  std::string text = table.Render(style.colour, style.width);
  if (!reasons.reasons.empty() && reasons.reasons.back().left_out > 0)
    text += "and " + std::to_string(reasons.reasons.back().left_out) + " more; ask for one job of the run\n";
  return text;
}

std::string RenderRun(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style) {
  Table table({{"JOB"},
               {"STATE"},
               {"SHARDS", Align::kRight},
               {"WAITED", Align::kRight},
               {"TIME", Align::kRight},
               {"AGENT"},
               {"METRICS"},
               {"NOTE"}});
  for (const JobSum& sum : SumUp(jobs)) {
    std::string agents = sum.agents.empty() ? "-" : sum.agents.front();
    if (sum.agents.size() > 1) agents += " +" + std::to_string(sum.agents.size() - 1);
    std::string note = sum.note;
    if (Raw(sum.epoch) > 1) note.insert(0, "attempt " + std::to_string(Raw(sum.epoch)) + (note.empty() ? "" : "; "));
    table.Add({{sum.branch + sum.job, Colour::kBold},
               {std::string(GlyphOf(sum.state)) + " " + NameOf(sum.state), ColourOf(sum.state)},
               {sum.shards > 1 ? std::to_string(sum.ended) + "/" + std::to_string(sum.shards) : ""},
               {WaitOf(sum, style)},
               {FormatSpan(sum.started, sum.ended_at, style.now)},
               {agents},
               {MetricsOf(sum.metrics)},
               {note, sum.failed > 0 ? Colour::kRed : Colour::kNone}});
  }
  return Heading(run, style) + table.Render(style.colour, style.width);
}

std::string RenderShards(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style) {
  Table table({{"JOB"},
               {"STATE"},
               {"ATTEMPT", Align::kRight},
               {"WAITED", Align::kRight},
               {"TIME", Align::kRight},
               {"LOG", Align::kRight},
               {"AGENT"},
               {"METRICS"},
               {"NOTE"}});
  for (const JobView& job : jobs) {
    const bool failed = job.state == JobState::kFailed && job.outcome;
    const bool ended = IsTerminal(job.state) && job.outcome;
    table.Add({{NameOf(job), Colour::kBold},
               {std::string(GlyphOf(job.state)) + " " + NameOf(job.state), ColourOf(job.state)},
               {Raw(job.epoch) == 0 ? "" : std::to_string(Raw(job.epoch))},
               {WaitOf(job, style)},
               {FormatSpan(job.started, job.ended, style.now)},
               {job.log_length == 0 ? "" : FormatBytes(job.log_length)},
               {job.agent.empty() ? "-" : job.agent},
               {MetricsOf(job.metrics)},
               {ended ? Explain(*job.outcome) : job.waits_for, failed ? Colour::kRed : Colour::kNone}});
  }
  return Heading(run, style) + table.Render(style.colour, style.width);
}

std::string RenderArtifacts(const std::vector<ArtifactFile>& files, const ViewStyle& style) {
  if (files.empty()) return "no artifacts\n";
  Table table({{"JOB"}, {"SIZE", Align::kRight}, {"FILE"}});
  for (const ArtifactFile& file : files) {
    const bool plain = file.kind == "file" || file.kind == "executable";
    table.Add({{file.job, Colour::kBold}, {plain ? FormatBytes(file.size) : file.kind}, {file.path}});
  }
  return table.Render(style.colour, style.width);
}

}  // namespace furrow::cli
