#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// One job on one agent.
struct OneJob : ControllerFarm {
  explicit OneJob(JobSpec spec = MakeJob("test")) {
    peer = Connect("a");
    run = &Accept(MakePipeline({std::move(spec)}));
    Plan();
    job = &run->jobs[0];
  }
  PeerId peer = 0;
  Run* run = nullptr;
  Job* job = nullptr;
};

MetricLine Line(double loss) {
  return {0, WallTime{5}, {{"loss", loss}}};
}

}  // namespace

TEST_CASE("reactor: Started makes a job running, twice as well as once") {
  OneJob farm;
  const Started message{farm.Session("a"), farm.job->attempt(), WallTime{77}};
  CHECK(On(farm.state, farm.out, farm.now, {farm.peer, "a"}, message).has_value());
  CHECK(farm.job->state == JobState::kRunning);
  CHECK(farm.job->started == WallTime{77});
  CHECK(farm.out.Stored<JobRecord>().started == WallTime{77});
  CHECK(On(farm.state, farm.out, farm.now, {farm.peer, "a"}, {message.session, message.attempt, WallTime{99}}));
  CHECK(farm.job->started == WallTime{77});
  CHECK(farm.out.empty());
}

TEST_CASE("reactor: every message about a stale epoch is refused, and answered where the agent waits for it") {
  OneJob farm;
  farm.End(*farm.job, OutcomeKind::kLost);
  farm.Plan();
  REQUIRE(farm.job->epoch == Epoch{2});
  const AttemptRef stale{farm.job->id, Epoch{1}};
  const SessionId session = farm.Session("a");
  const auto code = [](const Status& status) { return status ? Errc::kInternal : status.error().code; };

  CHECK(code(On(farm.state, farm.out, farm.now, {farm.peer, "a"}, {session, stale, WallTime{1}})) == Errc::kRejected);
  CHECK(farm.out.empty());
  CHECK(code(On(farm.state, farm.out, farm.now, {farm.peer, "a"}, {session, stale, 3, {Line(1)}})) == Errc::kRejected);
  CHECK(farm.out.ToAgent<MetricsAck>(farm.peer).count == 4);
  Finished finished = farm.Report(*farm.job);
  finished.attempt = stale;
  CHECK(code(farm.Tell("a", finished)) == Errc::kRejected);
  CHECK(farm.out.ToAgent<FinishedAck>(farm.peer).attempt == stale);
  On(farm.state, farm.out, farm.now, BulkLogSealed{stale, LogRecord{5, HashOf("x"), {}}});
  CHECK(farm.out.Bulk<BulkSealDurable>().attempt == stale);
  CHECK_FALSE(farm.job->sealed.has_value());
  CHECK(farm.job->state == JobState::kAssigned);
  CHECK(farm.job->epoch == Epoch{2});
  CHECK(farm.out.empty());
}

TEST_CASE("reactor: an agent cannot speak about another's job, nor about one that does not exist") {
  OneJob farm;
  const PeerId other = farm.Connect("b");
  Finished message = farm.Report(*farm.job);
  message.session = farm.Session("b");
  CHECK_FALSE(On(farm.state, farm.out, farm.now, {other, "b"}, message).has_value());
  farm.out.ToAgent<FinishedAck>(other);
  CHECK(farm.job->OnAgent());
  message.attempt = {JobId{12345}, Epoch{1}};
  CHECK_FALSE(On(farm.state, farm.out, farm.now, {other, "b"}, message).has_value());
  farm.out.ToAgent<FinishedAck>(other);
  CHECK(farm.out.empty());
}

TEST_CASE("reactor: a Finished sent twice changes nothing") {
  OneJob farm;
  Finished message = farm.Report(*farm.job);
  message.small_log = "hello\n";
  message.log_length = 6;
  message.log_hash = HashOf("hello\n");
  message.artifacts = HashOf("tree");
  message.cpu_ms = 12;
  message.max_rss_bytes = 4096;
  REQUIRE(farm.Tell("a", message).has_value());
  const auto attempt = farm.out.Stored<AttemptRecord>();
  CHECK(attempt.run == farm.job->run);
  CHECK(attempt.job == farm.job->id);
  CHECK(attempt.agent == "a");
  CHECK(attempt.epoch == Epoch{1});
  CHECK(attempt.artifacts == HashOf("tree"));
  CHECK(attempt.log.length == 6);
  CHECK(farm.out.Stored<JobRecord>().state == JobState::kPassed);
  CHECK(farm.out.Stored<RunRecord>().state == RunState::kPassed);
  REQUIRE(farm.out->small_logs.size() == 1);
  CHECK(farm.out->small_logs[0].bytes == "hello\n");
  farm.out->small_logs.clear();
  CHECK(farm.out.Bulk<BulkLogFinal>().log.length == 6);
  CHECK(farm.out.Bulk<BulkRevoke>().attempt == message.attempt);
  CHECK(farm.out.ToAgent<FinishedAck>(farm.peer).attempt == message.attempt);
  CHECK(farm.out.empty());

  CHECK_FALSE(farm.Tell("a", message).has_value());
  CHECK(farm.out.ToAgent<FinishedAck>(farm.peer).attempt == message.attempt);
  CHECK(farm.out.empty());
  CHECK(farm.job->attempts.size() == 1);
}

TEST_CASE("reactor: a Finished before its log is sealed waits, also over a seal of another length or hash") {
  OneJob farm;
  Finished message = farm.Report(*farm.job);
  message.log_length = 5000;
  message.log_hash = HashOf("log");
  CHECK_FALSE(farm.Tell("a", message).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.job->OnAgent());

  On(farm.state, farm.out, farm.now, BulkLogSealed{farm.job->attempt(), LogRecord{5000, HashOf("log"), {}}});
  const auto seal = farm.out.Stored<SealRecord>();
  CHECK(seal.attempt == farm.job->attempt());
  farm.out.Bulk<BulkSealDurable>();
  message.log_hash = HashOf("other");
  CHECK_FALSE(farm.Tell("a", message).has_value());
  message.log_hash = HashOf("log");
  message.log_length = 4999;
  CHECK_FALSE(farm.Tell("a", message).has_value());
  CHECK(farm.out.empty());
  message.log_length = 5000;
  CHECK(farm.Tell("a", message).has_value());
  CHECK(farm.out.Stored<EraseSeal>().key == seal.attempt);
  CHECK(farm.out.Stored<AttemptRecord>().log.length == 5000);
  farm.out.Clear();
}

TEST_CASE("reactor: whatever times an agent gives, a job's usual duration stays one") {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const auto& [started, ended] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {kLeast, kMost}, {kMost, kLeast}, {1, kMost}, {kLeast, -1}, {5, 5}, {kMost, 1}}) {
    CAPTURE(started);
    ControllerFarm farm;
    farm.Connect("a");
    Run& run = farm.Accept(MakePipeline({MakeJob("one", {}, 2)}));
    farm.Plan();
    for (Job& job : run.jobs) {
      Finished message = farm.Report(job);
      message.started = WallTime{started};
      message.ended = WallTime{ended};
      REQUIRE(farm.Tell("a", message).has_value());
      farm.out.Clear();
      CHECK(run.groups[0].mean_duration > Duration::zero());
      CHECK(run.groups[0].mean_duration <= std::chrono::hours(365 * 24));
    }
  }
}

TEST_CASE("reactor: a log is sealed once, and sealing it again is answered again") {
  OneJob farm;
  On(farm.state, farm.out, farm.now, BulkLogSealed{farm.job->attempt(), LogRecord{10, HashOf("log"), {}}});
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, BulkLogSealed{farm.job->attempt(), LogRecord{10, HashOf("log"), {}}});
  farm.out.Bulk<BulkSealDurable>();
  CHECK(farm.out.empty());
}

TEST_CASE("reactor: a log in a Finished has the length and hash that it states") {
  OneJob farm;
  Finished message = farm.Report(*farm.job);
  message.small_log = "hello";
  message.log_length = 5;
  message.log_hash = HashOf("hallo");
  CHECK_FALSE(farm.Tell("a", message).has_value());
  message.log_hash = HashOf("hello");
  message.log_length = 4;
  CHECK_FALSE(farm.Tell("a", message).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.job->OnAgent());
}

TEST_CASE("reactor: metrics are taken once, in order, without gaps, and their newest values are on record") {
  OneJob farm;
  const auto report = [&](std::uint64_t first, std::vector<MetricLine> lines) {
    CHECK(On(farm.state, farm.out, farm.now, {farm.peer, "a"},
             {farm.Session("a"), farm.job->attempt(), first, std::move(lines)}));
    return farm.out.ToAgent<MetricsAck>(farm.peer).count;
  };
  CHECK(report(0, {Line(3), Line(2)}) == 2);
  CHECK(farm.out.Stored<MetricsRecord>().lines.size() == 2);
  CHECK(farm.job->metrics == std::vector<Metric>{{"loss", 2}});
  CHECK(farm.out.empty());

  CHECK(report(0, {Line(3), Line(2)}) == 2);  // doubled
  CHECK(farm.out.empty());
  CHECK(report(5, {Line(1)}) == 2);  // a gap: asks for what is missing
  CHECK(farm.out.empty());
  CHECK(report(1, {Line(2), Line(1)}) == 3);  // overlaps
  const auto rest = farm.out.Stored<MetricsRecord>();
  CHECK(rest.first == 2);
  CHECK(rest.lines == std::vector<MetricLine>{Line(1)});
  farm.out.Clear();

  Finished message = farm.Report(*farm.job);
  message.metrics_first = 4;
  message.metrics = {Line(0.5)};
  CHECK_FALSE(farm.Tell("a", message).has_value());
  CHECK(farm.out.ToAgent<MetricsAck>(farm.peer).count == 3);
  CHECK(farm.out.empty());
  CHECK(farm.job->OnAgent());
  message.metrics_first = 3;
  CHECK(farm.Tell("a", message).has_value());
  CHECK(farm.out.Stored<MetricsRecord>().first == 3);
  CHECK(farm.out.Stored<AttemptRecord>().metrics[0].value == 0.5);
  farm.out.Clear();
}

namespace {

// A line as long as a line may be.
MetricLine WideLine() {
  MetricLine line;
  for (std::size_t i = 0; i < kMaxMetricsPerLine; ++i) {
    std::string name = std::to_string(i);
    name.resize(kMaxMetricNameBytes, 'n');
    line.values.push_back({std::move(name), 1});
  }
  return line;
}

// Has an agent that keeps no quota report `line` until `fit` lines are on record, and then goes on.
void OverrunQuota(const MetricLine& line, std::size_t fit, std::size_t at_once) {
  OneJob farm;
  State* state = &farm.state;
  std::optional<State> restarted;
  SessionId session = farm.Session("a");
  std::size_t recorded = 0;
  Restored stored;
  stored.metrics.resize(1);
  const auto report = [&](std::uint64_t first, std::size_t count) {
    REQUIRE(On(*state, farm.out, farm.now, {farm.peer, "a"},
               MetricsReport{session, farm.job->attempt(), first, std::vector<MetricLine>(count, line)}));
    for (const RecordChange& change : farm.out->records) {
      if (const auto* metrics = std::get_if<MetricsRecord>(&change)) {
        recorded += metrics->lines.size();
        AttemptMetrics& known = stored.metrics.front();
        known.attempt = metrics->attempt;
        known.lines = metrics->first + metrics->lines.size();
        for (const MetricLine& one : metrics->lines) known.bytes += WireBytes(one);
        KeepNewest(known.newest, metrics->lines, kMaxJobMetrics);
      }
      if (const auto* job = std::get_if<JobRecord>(&change)) stored.jobs = {*job};
    }
    const std::uint64_t count_acknowledged = farm.out.ToAgent<MetricsAck>(farm.peer).count;
    farm.out.Clear();
    return count_acknowledged;
  };
  std::uint64_t sent = 0;
  for (; sent + at_once <= fit; sent += at_once) REQUIRE(report(sent, at_once) == sent + at_once);
  CHECK(recorded == sent);
  CHECK(report(sent, at_once) == sent + at_once);
  CHECK(recorded == fit);
  sent += at_once;
  // One that is short enough for the rest of the quota comes too late.
  CHECK(On(*state, farm.out, farm.now, {farm.peer, "a"}, {session, farm.job->attempt(), sent, {Line(7)}}));
  CHECK(farm.out.ToAgent<MetricsAck>(farm.peer).count == sent + 1);
  stored.jobs = {farm.out.Stored<JobRecord>()};
  CHECK(farm.out.empty());
  ++sent;

  stored.boot = 2;
  const Run& run = farm.state.runs.begin()->second;
  stored.runs = {{run.record, run.pipeline}};
  restarted = RestoreState(farm.state.settings, std::move(stored), farm.now, farm.out);
  state = &*restarted;
  On(*state, farm.out, farm.now, {farm.peer, "a"},
     farm.Registration("a", Cpus(8), {{farm.job->attempt(), Phase::kRunning}}));
  farm.out.Clear();
  session = state->agents.at("a").link.session->id;
  CHECK(report(sent, at_once) == sent + at_once);
  CHECK(recorded == fit);
  sent += at_once;

  Finished message = farm.Report(*farm.job);
  message.session = session;
  message.metrics_first = sent;
  message.metrics = {Line(0.5)};
  REQUIRE(On(*state, farm.out, farm.now, {farm.peer, "a"}, message).has_value());
  farm.out.Stored<JobRecord>();  // counts the lines that are left out
  const auto attempt = farm.out.Stored<AttemptRecord>();
  CHECK(attempt.metrics[0].value == line.values[0].value);
  CHECK(attempt.outcome.detail ==
        std::to_string(sent + 1 - fit) +
            " lines of its metrics are not kept: an attempt may report 1000000 lines and 128 MiB of metrics");
  CHECK(farm.out.Stored<JobRecord>().state == JobState::kPassed);
  farm.out.Clear();
}

}  // namespace

TEST_CASE("reactor: metrics beyond an attempt's quota are acknowledged, left out and told of, whoever sends them") {
  OverrunQuota(Line(3), kMaxAttemptMetricLines, 7000);
  const MetricLine wide = WideLine();
  OverrunQuota(wide, kMaxAttemptMetricBytes / WireBytes(wide), 2);
}

TEST_CASE("reactor: the next attempt has the whole quota of metrics again") {
  OneJob farm;
  farm.job->metrics_left_out = 5;
  farm.job->metrics_bytes = kMaxAttemptMetricBytes;
  farm.End(*farm.job, OutcomeKind::kLost);
  farm.Plan();
  CHECK(farm.job->metrics_left_out == 0);
  CHECK(farm.job->metrics_bytes == 0);
}

TEST_CASE("reactor: the metrics of an attempt that is retried are not those of the next") {
  OneJob farm;
  CHECK(On(farm.state, farm.out, farm.now, {farm.peer, "a"},
           {farm.Session("a"), farm.job->attempt(), 0, {Line(3), Line(2)}}));
  farm.out.Clear();
  farm.End(*farm.job, OutcomeKind::kLost);
  farm.Plan();
  CHECK(farm.job->metrics_count == 0);
  CHECK(farm.job->metrics.empty());
}

TEST_CASE("jobs: an attempt that no message can assign fails in words, and only that") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(8));
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 2)}));
  farm.Plan();
  Job& job = farm.JobOf(run, "test", 0);
  Assign assign;
  assign.attempt = job.attempt();
  OnUnsendable(farm.state, farm.out, farm.now, {farm.Peer("a"), assign}, "a frame of 17 MB");
  CHECK(job.state == JobState::kFailed);
  CHECK(job.attempts.back().outcome.detail == "the job cannot be assigned: a frame of 17 MB");
  CHECK(farm.StateOf(run, "test", 1) == JobState::kAssigned);
  farm.out.Clear();
  OnUnsendable(farm.state, farm.out, farm.now, {farm.Peer("a"), assign}, "again");  // it is over
  OnUnsendable(farm.state, farm.out, farm.now, {farm.Peer("a"), Kill{}}, "a kill");
  CHECK(farm.out.empty());
}
