// These commands ask one question and print the answer.
#include <algorithm>
#include <csignal>

#include "common/wire/selector.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/farm/agents.h"
#include "controller/cli/follow/follow_run.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {

Result<int> RunsCommand(const Session& session, const RunsOptions& options) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const RunList list, farm->Ask<RunList>(ListRuns{options.pipeline, options.limit, {}}));
  if (list.runs.empty() && !options.pipeline.empty())
    return Fail(Errc::kNotFound, "there are no runs of " + options.pipeline + "; `furrow runs` shows those of all");
  WriteOut(session.json ? JsonRuns(list) : RenderRuns(list, session.Style()));
  return kExitPassed;
}

Result<int> ShowCommand(const Session& session, const std::string& what, bool follow) {
  FURROW_ASSIGN(const Selector selector, ParseSelector(what));
  Signals signals(follow ? std::initializer_list<int>{SIGINT, SIGTERM, SIGWINCH} : std::initializer_list<int>{});
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const RunDetail detail, FetchRun(*farm, selector));
  if (follow) return WatchRun(session, *farm, {detail.run.pipeline, detail.run.number, "", std::nullopt}, signals);
  if (session.json)
    WriteOut(JsonRun(detail.run, detail.jobs));
  else
    WriteOut((selector.job.empty() ? RenderRun : RenderShards)(detail.run, detail.jobs, session.Style()));
  return kExitPassed;
}

Result<int> AgentsCommand(const Session& session) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const AgentList list, FetchAgents(*farm));
  WriteOut(session.json ? JsonAgents(list) : RenderAgents(list, session.Style()));
  return kExitPassed;
}

Result<int> WhyCommand(const Session& session, const std::string& what) {
  FURROW_ASSIGN(const Selector selector, ParseSelector(what));
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const WaitReasons reasons, farm->Ask<WaitReasons>(Why{selector}));
  WriteOut(session.json ? JsonReasons(reasons) : RenderReasons(reasons, session.Style()));
  return kExitPassed;
}

Result<int> CancelCommand(const Session& session, const std::string& what) {
  FURROW_ASSIGN(const Selector selector, ParseSelector(what));
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Done done, farm->Ask<Done>(Cancel{selector, ""}));
  WriteOut(session.json ? JsonText("text", done.text) : Plain(done.text) + "\n");
  return kExitPassed;
}

Result<int> MetricsCommand(const Session& session, const MetricsOptions& options) {
  FURROW_ASSIGN(const Selector selector, ParseSelector(options.what));
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const MetricsAnswer metrics, farm->Ask<MetricsAnswer>(GetMetrics{selector, options.name}));
  if (metrics.series.empty() && !options.name.empty())
    return Fail(Errc::kNotFound, "no metric is named " + options.name + " in " + options.what +
                                     "; without a name all that there are are shown");
  const bool course = std::any_of(metrics.series.begin(), metrics.series.end(),
                                  [](const MetricSeries& series) { return series.values.size() > 1; });
  const bool plot = course && (options.plot || (!options.name.empty() && session.terminal.out));
  if (session.json) {
    WriteOut(JsonMetrics(metrics));
  } else if (plot) {
    for (const MetricSeries& series : metrics.series) WriteOut(RenderMetricPlot(series, session.Style()) + "\n");
  } else {
    WriteOut(RenderMetricTable(metrics, session.Style()));
  }
  return kExitPassed;
}

}  // namespace furrow::cli
