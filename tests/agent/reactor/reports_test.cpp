#include "common/wire/job_state.h"
#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

using Stage = HeldJob::Stage;

MetricsRead Lines(AttemptRef attempt, std::uint64_t first, std::size_t count) {
  MetricsRead read{attempt, first, {}, ""};
  for (std::size_t i = 0; i < count; ++i)
    read.lines.push_back({static_cast<std::int64_t>(first + i), WallTime{}, {{"loss", 1.0}}});
  return read;
}

}  // namespace

TEST_CASE("reports: from exit to report: log, artifacts, Finished, and everything removed once it is acknowledged") {
  AgentFarm farm;
  farm.Join();
  farm.Run(With(MakeAssign(Attempt(1)), [](JobSpec& spec) { spec.artifacts = {"model.pt"}; }));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  CHECK(farm.out.Upload<Follow>().spool == "/state/spool/0.log");
  CHECK(farm.out.Upload<FinishLog>().length == 5);
  CHECK(farm.out.Upload<Collect>().patterns == std::vector<std::string>{"model.pt"});
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, LogStreamed{Attempt(1), 5, HashOf("hello")});
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, ArtifactsCommitted{Attempt(1), HashOf("tree"), "", ""});
  const auto report = farm.out.Sent<Finished>();
  CHECK(report.session == kSession);
  CHECK(Passed(report.outcome));
  CHECK(report.log_length == 5);
  CHECK(report.log_hash == HashOf("hello"));
  CHECK_FALSE(report.small_log.has_value());
  CHECK(report.artifacts == HashOf("tree"));
  CHECK(report.cpu_ms == 7);
  CHECK(report.max_rss_bytes == 4096);
  CHECK(report.started == WallTime{900});
  CHECK(report.ended == WallTime{950});
  CHECK(farm.out.empty());
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(1));
  CHECK(farm.out.Upload<Clear>() == Clear{Attempt(1), "/state/work/0", "/state/spool/0.log", "/state/spool/0.metrics"});
  CHECK(farm.out.empty());
}

TEST_CASE("reports: a report is repeated, ever less often, until it is acknowledged") {
  AgentFarm farm;
  farm.Join();
  farm.RunToReport(MakeAssign(Attempt(1)));
  for (const Duration wait : {seconds(1), seconds(2), seconds(4), seconds(8), seconds(10)}) {
    farm.Pass(wait - milliseconds(1));
    farm.Tick();
    farm.out.Clear();  // heartbeats
    farm.state.lease_until = farm.now.mono + seconds(30);
    farm.Pass(milliseconds(1));
    farm.state.session->heartbeat_sent = farm.now.mono;
    farm.Tick();
    CHECK(farm.out.Sent<Finished>().attempt == Attempt(1));
    CHECK(farm.out.empty());
  }
}

TEST_CASE("reports: a FinishedAck before the report changes nothing") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(9)}).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.size() == 1);
}

TEST_CASE("reports: failed preparation, a missing artifact and a failed upload each have their outcome") {
  AgentFarm farm;
  farm.Join();
  REQUIRE(farm.Hear(MakeAssign(Attempt(1), {HashOf("a")})).has_value());
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, PrepareFailed{Attempt(1), "no such chunk"});
  auto report = farm.out.Sent<Finished>();
  CHECK(report.outcome.kind == OutcomeKind::kInputFailed);
  CHECK(report.outcome.detail == "no such chunk");
  CHECK(report.log_length == 0);
  CHECK(farm.out.empty());

  const auto promises = [](std::uint64_t job) {
    return With(MakeAssign(Attempt(job)), [](JobSpec& spec) { spec.artifacts = {"model.pt"}; });
  };
  for (std::uint64_t job : {2, 3}) {
    farm.Run(promises(job));
    On(farm.state, farm.out, farm.now, farm.Exit(Attempt(job)));
    On(farm.state, farm.out, farm.now, LogInline{Attempt(job), "said\n", HashOf("said\n")});
    farm.out.Clear();
  }
  On(farm.state, farm.out, farm.now, ArtifactsCommitted{Attempt(2), HashOf("tree"), "nothing matches", "a pipe"});
  report = farm.out.Sent<Finished>();
  CHECK(report.outcome ==
        Outcome{OutcomeKind::kArtifactMissing, 0, 0, "the steps passed, but nothing matches\na pipe"});
  CHECK(report.artifacts == HashOf("tree"));
  On(farm.state, farm.out, farm.now, ArtifactsFailed{Attempt(3), "disk full"});
  CHECK(farm.out.Sent<Finished>().outcome ==
        Outcome{OutcomeKind::kUploadFailed, 0, 0, "the steps passed, but disk full"});
  CHECK(farm.out.empty());

  // A log with a hole passes for whole in no case.
  for (const std::string left : {"", "sai"}) {
    const std::uint64_t job = 6 + left.size();
    farm.Run(MakeAssign(Attempt(job)));
    On(farm.state, farm.out, farm.now, farm.Exit(Attempt(job)));
    farm.out.Clear();
    On(farm.state, farm.out, farm.now, LogInline{Attempt(job), left, HashOf(left)});
    report = farm.out.Sent<Finished>();
    CHECK(report.outcome.kind == OutcomeKind::kLost);
    CHECK(report.outcome.detail.starts_with("of the 5 bytes that it printed " + std::to_string(left.size())));
  }

  // What another try would not mend is none of the farm's own failures, which are tried again by default.
  REQUIRE(farm.Hear(MakeAssign(Attempt(4), {HashOf("a")})).has_value());
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, PrepareFailed{Attempt(4), "a folder is in the way", true});
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kStartFailed);
  farm.Run(promises(5));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(5)));
  On(farm.state, farm.out, farm.now, LogInline{Attempt(5), "said\n", HashOf("said\n")});
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, ArtifactsFailed{Attempt(5), "a link leaves the workspace", true});
  CHECK(farm.out.Sent<Finished>().outcome ==
        Outcome{OutcomeKind::kArtifactMissing, 0, 0, "the steps passed, but a link leaves the workspace"});
  CHECK(farm.out.empty());
}

TEST_CASE("reports: however a job ended, what it made is kept, and what is lacking changes no outcome but success") {
  using Kind = runner::OutcomeKind;
  std::uint64_t job = 0;
  for (const auto& [ended, kind] :
       {std::pair{Kind::kExited, OutcomeKind::kExited}, std::pair{Kind::kSignaled, OutcomeKind::kExited},
        std::pair{Kind::kTimedOut, OutcomeKind::kTimedOut}, std::pair{Kind::kLogQuota, OutcomeKind::kLogQuota},
        std::pair{Kind::kStartFailed, OutcomeKind::kStartFailed}, std::pair{Kind::kKilled, OutcomeKind::kKilled}}) {
    AgentFarm farm;
    farm.Join();
    const AttemptRef ref = Attempt(++job);
    farm.Run(With(MakeAssign(ref), [](JobSpec& spec) { spec.artifacts = {"model.pt"}; }));
    if (ended == Kind::kKilled) {
      REQUIRE(farm.Hear(Kill{kSession, ref, "cancelled", false}).has_value());
      farm.out.Clear();
    }
    runner::Exited exited = farm.Exit(ref, 3);
    exited.outcome = {ended, 3, "why"};
    On(farm.state, farm.out, farm.now, exited);
    farm.out.Upload<Follow>();
    farm.out.Upload<FinishLog>();
    CHECK(farm.out.Upload<Collect>().patterns == std::vector<std::string>{"model.pt"});
    On(farm.state, farm.out, farm.now, LogInline{ref, "hello", HashOf("hello")});
    CHECK(farm.out.empty());
    const bool committed = job % 2 == 0;
    if (committed)
      On(farm.state, farm.out, farm.now, ArtifactsCommitted{ref, HashOf("tree"), "no `a`", ""});
    else
      On(farm.state, farm.out, farm.now, ArtifactsFailed{ref, "no `a`"});
    const auto report = farm.out.Sent<Finished>();
    const std::int32_t code = ended == Kind::kSignaled ? 128 + 3 : 3;  // as a shell says it
    CHECK(report.outcome == Outcome{kind, code, 0, "why\nof its artifacts: no `a`"});
    CHECK(report.artifacts == (committed ? HashOf("tree") : Hash{}));
    CHECK(farm.out.empty());
  }
}

TEST_CASE("reports: an attempt that was lost does not wait for its artifacts") {
  AgentFarm farm;
  farm.Join();
  farm.Run(With(MakeAssign(Attempt(1)), [](JobSpec& spec) { spec.artifacts = {"model.pt"}; }));
  runner::Exited exited = farm.Exit(Attempt(1));
  exited.outcome = {runner::OutcomeKind::kLost, 0, "the runner ended"};
  On(farm.state, farm.out, farm.now, exited);
  farm.out.Upload<Follow>();
  farm.out.Upload<FinishLog>();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "hello", HashOf("hello")});
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kLost);
  CHECK(farm.out.empty());
}

TEST_CASE("reports: metrics travel in order, and those that nobody acknowledged travel again with the report") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 0, 2));
  auto report = farm.out.Sent<MetricsReport>();
  CHECK(report.first == 0);
  CHECK(report.lines.size() == 2);
  CHECK(report.lines[0].at == farm.now.wall);
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 1}).has_value());
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 1, 2));  // overlaps by one
  report = farm.out.Sent<MetricsReport>();
  CHECK(report.first == 1);
  CHECK(report.lines.size() == 2);
  farm.Pass(seconds(1));
  farm.state.just_started.clear();
  farm.Tick();
  CHECK(farm.out.Sent<MetricsReport>().lines.size() == 2);
  CHECK(farm.out.empty());

  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 3, 1));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "", HashOf("")});
  const auto finished = farm.out.Sent<Finished>();
  CHECK(finished.metrics_first == 1);
  CHECK(finished.metrics.size() == 3);
  CHECK(farm.out.empty());
}

TEST_CASE("reports: in the report's turn an acknowledgement that brings nothing new is not answered") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 0, 4));
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 2}).has_value());
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "", HashOf("")});
  farm.out.Clear();
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 2}).has_value());
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 0}).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 3}).has_value());
  CHECK(farm.out.Sent<Finished>().metrics_first == 3);
  CHECK(farm.out.empty());
}

TEST_CASE("reports: more metrics than a report holds go before it, in parts") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 0, 1500));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "", HashOf("")});
  CHECK(farm.out.Sent<MetricsReport>().lines.size() == 1000);
  CHECK(farm.out.empty());
  CHECK(farm.Hear(MetricsAck{kSession, Attempt(1), 1000}).has_value());
  const auto finished = farm.out.Sent<Finished>();
  CHECK(finished.metrics_first == 1000);
  CHECK(finished.metrics.size() == 500);
  CHECK(farm.out.empty());
}

TEST_CASE("reports: metrics that cannot be sent are left out, in words, and those behind them arrive") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  On(farm.state, farm.out, farm.now, Lines(Attempt(1), 0, 3));
  auto report = farm.out.Sent<MetricsReport>();
  OnUnsendable(farm.state, farm.out, farm.now, report, "a name is not UTF-8");
  report = farm.out.Sent<MetricsReport>();
  REQUIRE(report.lines.size() == 3);
  for (const MetricLine& line : report.lines) CHECK(line.values.empty());
  REQUIRE(farm.Hear(MetricsAck{kSession, Attempt(1), 3}).has_value());
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "hello", HashOf("hello")});
  CHECK(farm.out.Sent<Finished>().outcome.detail == "metrics could not be sent: a name is not UTF-8");
}

TEST_CASE("reports: what of its metrics a job could not keep stands in its outcome") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  MetricsRead read = Lines(Attempt(1), 0, 0);
  read.left_out = "1 line was left out";
  On(farm.state, farm.out, farm.now, read);
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1), 3));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "hello", HashOf("hello")});
  CHECK(farm.out.Sent<Finished>().outcome.detail == "1 line was left out");
}
