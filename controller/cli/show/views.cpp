#include "controller/cli/show/views.h"
#include "common/wire/job_state.h"

#include <algorithm>

namespace furrow::cli {
namespace {

using Align = Table::Align;
using Room = Table::Room;

constexpr std::size_t kMetricsShown = 3;
constexpr std::chrono::milliseconds kSilence{7'000};  // an agent says something every 5 s, unless configured otherwise

std::string Join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string MetricsOf(const Metrics& unordered) {
  const Metrics metrics = Ordered(unordered);
  std::string text;
  for (std::size_t i = 0; i < std::min(metrics.size(), kMetricsShown); ++i)
    text += (text.empty() ? "" : " ") + metrics[i].name + "=" + FormatNumber(metrics[i].value);
  if (metrics.size() > kMetricsShown) text += " +" + std::to_string(metrics.size() - kMetricsShown);
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
  std::string text = Paint(Plain(NameOf(run)), Colour::kBold, style.colour) + " " +
                     Paint(StateOf(run), run.stuck.empty() ? ColourOf(run.state) : Colour::kYellow, style.colour) +
                     (run.state == RunState::kRunning ? " for " : " in ") +
                     FormatSpan(run.submitted, run.ended, style.now);
  if (const std::string source = SourceOf(run.source); !source.empty()) text += "  " + Plain(source);
  text += "\n";
  if (!run.note.empty()) text += Plain(run.note) + "\n";
  if (!run.stuck.empty()) text += Plain("it waits for what cannot come: " + run.stuck) + "\n";
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

Metrics Ordered(Metrics metrics) {
  // "val/epoch" counts as "epoch" does.
  constexpr std::string_view kCounters[] = {"epoch",
                                            "epochs",
                                            "step",
                                            "steps",
                                            "global_step",
                                            "iteration",
                                            "iter",
                                            "batch",
                                            "lr",
                                            "time",
                                            "learning_rate",
                                            "seconds",
                                            "eta",
                                            "samples",
                                            "elapsed",
                                            "examples_per_second",
                                            "examples_per_s"};
  const auto counts = [&](const Metric& metric) {
    const std::string_view name = metric.name;
    return std::find(std::begin(kCounters), std::end(kCounters), name.substr(name.find_last_of("/.") + 1)) !=
           std::end(kCounters);
  };
  std::stable_partition(metrics.begin(), metrics.end(), [&](const Metric& metric) { return !counts(metric); });
  return metrics;
}

const char* StateOf(const RunSummary& run) {
  return run.stuck.empty() ? NameOf(run.state) : "stuck";
}

namespace {

// `where` says in which step, such as " in step 2".
std::string ExplainAt(const Outcome& outcome, const std::string& where) {
  std::string detail = outcome.detail.substr(0, outcome.detail.find('\n'));
  if (Passed(outcome)) return detail;
  std::string text;
  switch (outcome.kind) {
    case OutcomeKind::kExited: text = "exit status " + std::to_string(outcome.code); break;
    case OutcomeKind::kSignaled: text = "exit status " + std::to_string(ExitStatusOf(outcome.code)); break;
    case OutcomeKind::kStartFailed: text = "could not start"; break;
    case OutcomeKind::kTimedOut: text = "timed out"; break;
    case OutcomeKind::kKilled: text = "ended by us"; break;
    case OutcomeKind::kLogQuota: text = "printed more than its quota"; break;
    case OutcomeKind::kLost: text = "lost"; break;
    case OutcomeKind::kInputFailed: text = "inputs missing"; break;
    case OutcomeKind::kArtifactMissing: text = "artifact missing"; break;
    case OutcomeKind::kUploadFailed: text = "artifacts not stored"; break;
  }
  if (detail.empty()) return text + where;
  const bool says_it_all = outcome.kind == OutcomeKind::kTimedOut || outcome.kind == OutcomeKind::kLogQuota ||
                           outcome.kind == OutcomeKind::kInputFailed || outcome.kind == OutcomeKind::kArtifactMissing;
  return says_it_all ? detail + where : text + where + ": " + detail;
}

}  // namespace

std::string Explain(const Outcome& outcome) {
  const bool step = outcome.kind == OutcomeKind::kExited || outcome.kind == OutcomeKind::kSignaled;
  return ExplainAt(outcome, step && outcome.step > 0 ? " in step " + std::to_string(outcome.step + 1) : "");
}

std::string ExplainEnd(const JobView& job) {
  const bool named = job.step > 0 && !job.step_name.empty();
  return named ? ExplainAt(*job.outcome, " in step " + std::to_string(job.step) + ", `" + job.step_name + "`")
               : Explain(*job.outcome);
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

std::string RenderRuns(const RunList& list, const ViewStyle& style) {
  if (list.runs.empty()) return "no runs yet; `furrow run` starts one\n";
  Table table({{"RUN"},
               {"STATE"},
               {"PASSED", Align::kRight},
               {"TIME", Align::kRight},
               {"SUBMITTED", Align::kLeft, Room::kSpare},
               {"SOURCE", Align::kLeft, Room::kOwnLine}});
  for (const RunSummary& run : list.runs) {
    table.Add({{NameOf(run), Colour::kBold},
               {StateOf(run), run.stuck.empty() ? ColourOf(run.state) : Colour::kYellow},
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
  Table table({{"AGENT"},
               {"STATE"},
               {"CPUS", Align::kRight, Room::kSpare},
               {"MEMORY", Align::kRight, Room::kSpare},
               {"GPUS", Align::kLeft, Room::kOwnLine},
               {"LABELS", Align::kLeft, Room::kOwnLine},
               {"RUNS", Align::kLeft, Room::kOwnLine}});
  for (const AgentView& agent : list.agents) {
    std::vector<std::string> gpus, jobs;
    for (const Gpu& gpu : agent.offer.gpus) gpus.push_back(gpu.model + " " + FormatBytes(gpu.memory_bytes));
    for (const AgentJob& job : agent.jobs)
      jobs.push_back(job.job + " (" + FormatSpan(job.since, WallTime{}, style.now) + ")");
    // A machine that is gone says nothing of it: until its heartbeats have been missed, only the silence shows.
    const std::string silence = FormatSpan(agent.last_seen, WallTime{}, style.now);
    const bool silent =
        agent.connected && agent.last_seen != WallTime{} &&
        static_cast<std::int64_t>(style.now) - static_cast<std::int64_t>(agent.last_seen) > kSilence.count();
    const std::string state = (!agent.connected ? "away " + silence
                               : silent         ? "silent " + silence
                                                : "connected") +
                              std::string(agent.drained ? ", drained" : "");
    const Colour colour = !agent.connected ? Colour::kRed : agent.drained || silent ? Colour::kYellow : Colour::kGreen;
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
  Table table({{"JOB"}, {"REASON", Align::kLeft, Room::kOwnLine}});
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
               {"WAITED", Align::kRight, Room::kSpare},
               {"TIME", Align::kRight},
               {"AGENT"},
               {"METRICS", Align::kLeft, Room::kOwnLine},
               {"NOTE", Align::kLeft, Room::kOwnLine}});
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
               {"WAITED", Align::kRight, Room::kSpare},
               {"TIME", Align::kRight},
               {"LOG", Align::kRight, Room::kSpare},
               {"AGENT"},
               {"METRICS", Align::kLeft, Room::kOwnLine},
               {"NOTE", Align::kLeft, Room::kOwnLine}});
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
               {ended ? ExplainEnd(job) : job.waits_for, failed ? Colour::kRed : Colour::kNone}});
  }
  return Heading(run, style) + table.Render(style.colour, style.width);
}

std::string RenderArtifacts(const std::vector<ArtifactFile>& files, const ViewStyle& style) {
  if (files.empty()) return "no artifacts\n";
  Table table({{"JOB"}, {"SIZE", Align::kRight}, {"FILE", Align::kLeft, Room::kOwnLine}});
  for (const ArtifactFile& file : files) {
    const bool plain = file.kind == "file" || file.kind == "executable";
    table.Add({{file.job, Colour::kBold}, {plain ? FormatBytes(file.size) : file.kind}, {file.path}});
  }
  return table.Render(style.colour, style.width);
}

}  // namespace furrow::cli
