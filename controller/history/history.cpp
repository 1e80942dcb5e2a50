#include "controller/history/history.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <thread>

#include "common/base/mailbox.h"
#include "common/base/overloaded.h"
#include "common/wire/selector.h"
#include "controller/views/runs.h"

namespace furrow {
namespace {

constexpr std::size_t kMaxSeries = 10'000;                            // series in one answer
constexpr std::size_t kAnswerPoints = kMaxClientReplyFrame / 4 / 16;  // points in an answer: a step and a value

Result<RunRecord> Find(const Store& store, PipelineId pipeline, std::uint64_t number) {
  FURROW_ASSIGN(const RunId id, store.FindRun(pipeline, number));
  return store.GetRun(id);
}

// Puts this run alone into a state, so that the views show it like a live run. A job of which a record is damaged is
// shown with the reason.
Result<const Run*> Rebuild(State& state, const Store& store, RunRecord record) {
  FURROW_ASSIGN(auto pipeline, store.GetSpec(record.spec));
  FURROW_ASSIGN(RunJobs stored, store.GetJobs(record.id));
  Run& run = InsertRun(state, std::move(record), std::move(pipeline));
  for (const JobRecord& job : stored.jobs) ApplyRecord(run, job);
  for (AttemptRecord& attempt : stored.attempts) {
    Job* job = state.FindJob(attempt.job).second;
    if (job == nullptr) continue;
    job->metrics = attempt.metrics;  // Attempts come in order, so the newest one stays.
    job->attempts.push_back(std::move(attempt));
  }
  const Outcome damaged{OutcomeKind::kLost, 0, 0, "a record of it is damaged; see the log"};
  for (const JobId id : stored.unreadable_jobs) {
    Job* job = state.FindJob(id).second;
    if (job == nullptr) continue;
    job->state = JobState::kFailed;
    job->attempts.emplace_back().outcome = damaged;
  }
  for (const AttemptRef& attempt : stored.unreadable_attempts) {
    Job* job = state.FindJob(attempt.job).second;
    if (job != nullptr && job->epoch == attempt.epoch) job->attempts.emplace_back().outcome = damaged;
  }
  CountJobs(run);
  return &run;
}

ClientReply FailureOf(const Error& error) {
  return Failure{error.code, error.message, "", {}};
}

ClientReply List(const Store& store, PipelineId pipeline, const ListRuns& list, const std::vector<RunSummary>& live) {
  RunList answer{live};
  const Result<RunPage> page = store.ListRuns(pipeline, list.before, list.limit + live.size());
  if (!page) return FailureOf(page.error());
  for (const RunRecord& record : page->runs) {
    const bool known =
        std::any_of(live.begin(), live.end(), [&](const RunSummary& run) { return run.id == record.id; });
    if (known) continue;
    answer.runs.push_back(SummaryOf(record));
  }
  std::sort(answer.runs.begin(), answer.runs.end(),
            [](const RunSummary& a, const RunSummary& b) { return a.id > b.id; });
  if (answer.runs.size() > list.limit) answer.runs.resize(list.limit);
  return answer;
}

// Thins a series that is too long: keeps the extremes of each stretch, so that no spike is lost, and the last point.
// Values that are not finite count as the most extreme.
void Thin(MetricSeries& series, std::size_t most_points) {
  const std::size_t size = series.values.size();
  if (size <= most_points) return;
  const std::size_t stretches = most_points / 2 - 1;
  const std::size_t length = (size + stretches - 1) / stretches;
  const auto below = [&](std::size_t a, std::size_t b) {
    const double x = series.values[a], y = series.values[b];
    return std::isnan(x) ? false : std::isnan(y) || x < y;
  };
  std::size_t kept = 0;
  const auto keep = [&](std::size_t i) {
    series.steps[kept] = series.steps[i];
    series.values[kept++] = series.values[i];
  };
  for (std::size_t begin = 0; begin < size; begin += length) {
    const std::size_t end = std::min(begin + length, size);
    std::size_t least = begin, most = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (below(i, least)) least = i;
      if (below(most, i)) most = i;
    }
    // The value at `last` is read before any value is moved to or behind its index.
    const std::size_t last = std::max(least, most);
    keep(std::min(least, most));
    if (least != most) keep(last);
    if (end == size && last != size - 1) keep(size - 1);
  }
  series.steps.resize(kept);
  series.values.resize(kept);
}

ClientReply SeriesOf(const Store& store, const Run& run, const GetMetrics& get) {
  MetricsAnswer answer;
  std::size_t found = 0;
  bool matched = false;
  for (const Job& job : run.jobs) {
    if (!Matches(run, job, get.what)) continue;
    matched = true;
    const bool reused = Raw(job.reused_job) != 0;
    const AttemptRef attempt{reused ? job.reused_job : job.id, reused ? job.attempts.back().epoch : job.epoch};
    if (Raw(attempt.epoch) == 0) continue;
    std::map<std::string, MetricSeries> by_name;
    std::int64_t index = 0;
    const auto lines = store.GetMetrics(reused ? job.reused_run : run.record.id, attempt);
    if (!lines) return FailureOf(lines.error());
    for (const MetricLine& line : *lines) {
      const std::int64_t step = line.step >= 0 ? line.step : index;
      ++index;
      for (const auto& [name, value] : line.values) {
        if (!get.name.empty() && name != get.name) continue;
        MetricSeries& series = by_name[name];
        series.steps.push_back(step);
        series.values.push_back(value);
      }
    }
    found += by_name.size();
    if (found > kMaxSeries) continue;
    for (auto& [name, series] : by_name) {
      series.job = run.JobName(job);
      series.name = name;
      series.reported = series.values.size();
      Thin(series, kMaxPoints);
      answer.series.push_back(std::move(series));
    }
  }
  if (!matched) return NoSuchJob(run, get.what);
  if (found > kMaxSeries)
    return Failure{Errc::kRejected,
                   std::to_string(found) + " metrics of " + run.Name() + " are more than one answer holds (" +
                       std::to_string(kMaxSeries) + "); name a job, or a metric",
                   "",
                   {}};
  const std::size_t share = kAnswerPoints / std::max<std::size_t>(found, 1);
  for (MetricSeries& series : answer.series) Thin(series, share);
  return answer;
}

std::vector<ClientReply> Watched(const State& state, const Run& run) {
  std::vector<JobId> jobs;
  for (const Job& job : run.jobs) jobs.push_back(job.id);
  std::vector<ClientReply> replies;
  for (RunUpdate& update : UpdatesOf(state, run, jobs)) replies.emplace_back(std::move(update));
  return replies;
}

Result<RetryFound> Retried(const Store& store, const Asker& asker, const Retry& retry, RunRecord record) {
  FURROW_ASSIGN(auto pipeline, store.GetSpec(record.spec));
  FURROW_ASSIGN(RunJobs stored, store.GetJobs(record.id));
  const SharedSpec spec{record.spec, std::move(pipeline)};
  return RetryFound{asker, retry, std::move(record), spec, std::move(stored.jobs), std::move(stored.attempts)};
}

const Selector* SelectorOf(const ClientRequest& request) {
  return std::visit(Overloaded{
                        [](const ShowRun& show) { return &show.what; },
                        [](const Watch& watch) { return &watch.run; },
                        [](const Why& why) { return &why.what; },
                        [](const GetMetrics& get) { return &get.what; },
                        [](const Retry& retry) { return &retry.run; },
                        [](const auto&) -> const Selector* { return nullptr; },
                    },
                    request);
}

}  // namespace

HistoryEvent AnswerFromHistory(const Store& store, const HistoryQuery& query) {
  const auto answer = [&](ClientReply reply) { return HistoryAnswer{query.asker, {std::move(reply)}}; };
  const auto refuse = [&](Errc code, const std::string& message) { return answer(Failure{code, message, "", {}}); };
  if (const auto* list = std::get_if<ListRuns>(&query.request))
    return answer(List(store, query.pipeline, *list, query.live));
  const Selector* what = SelectorOf(query.request);
  if (what == nullptr) return refuse(Errc::kInternal, "history cannot answer this");
  Result<RunRecord> record = Find(store, query.pipeline, what->number);
  if (!record && record.error().code == Errc::kNotFound)
    return refuse(Errc::kNotFound, "there is no run " + FormatRun(*what) + "; `furrow runs` lists them");
  if (!record) return answer(FailureOf(record.error()));
  if (const auto* retry = std::get_if<Retry>(&query.request)) {
    auto found = Retried(store, query.asker, *retry, std::move(*record));
    return found ? HistoryEvent(std::move(*found)) : answer(FailureOf(found.error()));
  }
  State state;
  const auto rebuilt = Rebuild(state, store, std::move(*record));
  if (!rebuilt) return answer(FailureOf(rebuilt.error()));
  const Run& run = **rebuilt;
  if (std::holds_alternative<Watch>(query.request)) return HistoryAnswer{query.asker, Watched(state, run)};
  return answer(std::visit(Overloaded{
                               [&](const ShowRun& show) { return Show(state, run, show); },
                               [&](const Why& why) { return Explain(state, run, why); },
                               [&](const GetMetrics& get) { return SeriesOf(store, run, get); },
                               [](const auto&) { return ClientReply{}; },
                           },
                           query.request));
}

struct History::Impl {
  const Store& store;
  std::function<void(HistoryEvent)> on_event;
  Mailbox<HistoryQuery> queries;
  std::atomic<bool> stopping{false};
  std::thread thread;

  void Work() {
    while (!stopping) {
      pollfd ready{queries.fd(), POLLIN, 0};
      ::poll(&ready, 1, -1);
      for (const HistoryQuery& query : queries.TakeAll()) {
        if (stopping) return;
        on_event(AnswerFromHistory(store, query));
      }
    }
  }
};

History::History(const Store& store, std::function<void(HistoryEvent)> on_event)
    : impl_(new Impl{store, std::move(on_event), {}, {}, {}}) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->Work(); });
}

History::~History() {
  impl_->stopping = true;
  impl_->queries.Post({});
  impl_->thread.join();
}

void History::Ask(HistoryQuery query) {
  impl_->queries.Post(std::move(query));
}

}  // namespace furrow
