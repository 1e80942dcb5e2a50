#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

bool Rejected(const Status& status) {
  return !status && status.error().code == Errc::kRejected;
}

}  // namespace

TEST_CASE("session: a new connection is used at once, with what the one before may have lost") {
  AgentFarm farm;
  farm.Join();
  farm.out.Clear();
  OnConnected(farm.state, farm.out, farm.now);
  const auto heartbeat = farm.out.Sent<Heartbeat>();
  CHECK(heartbeat.session == kSession);
  farm.out.Clear();

  REQUIRE(farm.Hear(Reregister{kSession}));
  farm.Pass(std::chrono::seconds(1));
  farm.Tick();
  farm.out.Sent<Register>();
  farm.out.Clear();
  farm.Pass(std::chrono::milliseconds(1));
  farm.Tick();
  CHECK(farm.out.empty());  // It waits for an answer,
  OnConnected(farm.state, farm.out, farm.now);
  farm.Tick();
  const auto again = farm.out.Sent<Register>();  // and not over a connection that is gone.
  farm.out.Clear();

  static_cast<void>(farm.Hear(Refused{again.nonce, "full", 60'000}));
  OnConnected(farm.state, farm.out, farm.now);
  farm.Tick();
  CHECK(farm.out.empty());  // The controller has said how long to wait.
}

TEST_CASE("session: an agent registers when it knows what its runner holds, and not before") {
  AgentFarm farm;
  farm.Tick();
  CHECK(farm.out.empty());
  runner::Attempt running;
  running.ref = Attempt(3);
  running.running = true;
  running.blob = std::string(4, '\0') + Encode(ToAgent{MakeAssign(Attempt(3))}).value();  // slot 0
  On(farm.state, farm.out, farm.now, runner::Listing{{running}});
  CHECK(farm.out.Upload<Follow>().resumed);
  farm.Tick();
  const auto message = farm.out.Sent<Register>();
  CHECK(message.held == std::vector<HeldAttempt>{{Attempt(3), Phase::kRunning}});
  CHECK(message.incarnation == Uuid{1, 2});
  CHECK(message.oldest_version == kOldestProtocol);
  CHECK(message.newest_version == kNewestProtocol);
  CHECK(message.offer == farm.state.offer);
  CHECK(farm.out.empty());
}

TEST_CASE("session: a registration is repeated, less and less often, under a new nonce each time") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{});
  std::uint64_t nonce = 0;
  for (const Duration least : {seconds(1), seconds(2), seconds(4), seconds(4)}) {
    const Duration idle = farm.Tick();
    CHECK(farm.out.Sent<Register>().nonce == ++nonce);
    CHECK(idle <= seconds(1));
    farm.Pass(least - milliseconds(1));
    farm.Tick();
    CHECK(farm.out.empty());
    farm.Pass(least / 2 + milliseconds(1));
  }
}

TEST_CASE("session: only the answer to the newest registration counts") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{});
  farm.Tick();
  farm.Pass(seconds(2));
  farm.Tick();
  farm.out.Clear();
  CHECK(Rejected(farm.Hear(Welcome{kSession, 1, 1, 2000, 30000})));
  CHECK(Rejected(farm.Hear(Refused{1, "no", 1000})));
  CHECK_FALSE(farm.state.session.has_value());
  const TimePoint sent = farm.now.mono;
  farm.Pass(milliseconds(100));
  CHECK(farm.Hear(Welcome{kSession, 2, 1, 2000, 30000}).has_value());
  CHECK(farm.out.Lease() == sent + kLease);  // counted from the sending, not from the answer
  CHECK(farm.out.empty());
  CHECK(Rejected(farm.Hear(Welcome{kSession, 2, 1, 2000, 30000})));  // doubled
  CHECK(farm.out.empty());
}

TEST_CASE("session: a refused agent waits as long as it is told and remembers why") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{});
  farm.Tick();
  farm.out.Sent<Register>();
  CHECK(Rejected(farm.Hear(Refused{1, "another agent has this name", 60000})));
  CHECK(farm.state.refused == "another agent has this name");
  farm.Pass(seconds(59));
  farm.Tick();
  CHECK(farm.out.empty());
  farm.Pass(seconds(17));
  farm.Tick();
  farm.out.Sent<Register>();
  CHECK(farm.out.empty());
}

TEST_CASE("session: heartbeats go out on time with everything held, and acknowledged ones renew the lease") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  farm.Pass(seconds(2));
  const TimePoint sent = farm.now.mono;
  farm.Tick();
  farm.out.Upload<Follow>();
  farm.out.Sent<Started>();
  const auto beat = farm.out.Sent<Heartbeat>();
  CHECK(beat.session == kSession);
  CHECK(beat.sequence == 1);
  CHECK(beat.held == std::vector<HeldAttempt>{{Attempt(1), Phase::kRunning}});
  farm.Tick();
  CHECK(farm.out.empty());
  farm.Pass(seconds(2));
  farm.Tick();
  CHECK(farm.out.Sent<Heartbeat>().sequence == 2);
  farm.Pass(seconds(1));
  CHECK(farm.Hear(HeartbeatAck{kSession, 2}).has_value());
  CHECK(farm.out.Lease() == sent + seconds(2) + kLease);
  CHECK(farm.Hear(HeartbeatAck{kSession, 1}).has_value());  // overtaken: the lease does not shrink
  CHECK(farm.Hear(HeartbeatAck{kSession, 2}).has_value());
  CHECK(farm.Hear(HeartbeatAck{kSession, 99}).has_value());
  CHECK(farm.out.empty());
}

TEST_CASE("session: every message of another session is refused") {
  AgentFarm farm;
  farm.Join();
  farm.RunToReport(MakeAssign(Attempt(1)));
  const SessionId old{5};
  Assign assign = MakeAssign(Attempt(2));
  assign.session = old;
  for (const ToAgent& message :
       {ToAgent{HeartbeatAck{old, 1}}, ToAgent{assign}, ToAgent{Kill{old, Attempt(1), "", true}},
        ToAgent{FinishedAck{old, Attempt(1)}}, ToAgent{MetricsAck{old, Attempt(1), 5}}, ToAgent{Reregister{old}}})
    CHECK(Rejected(farm.Hear(message)));
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.size() == 1);
  CHECK(farm.state.session.has_value());
}

TEST_CASE("session: a disk that gets full, or has room again, is told at once and after each Welcome") {
  AgentFarm farm;
  farm.Join();
  farm.state.settings.disk_low_bytes = 1 << 30;
  OnDiskSpace(farm.state, farm.out, farm.now, {1 << 30});
  CHECK(farm.out.empty());
  OnDiskSpace(farm.state, farm.out, farm.now, {900 << 20});
  CHECK(farm.out.Sent<Heartbeat>().condition == "its disk is nearly full: 900 MiB free, less than disk.low (1024 MiB)");
  OnDiskSpace(farm.state, farm.out, farm.now, {1 << 30});  // not yet enough
  CHECK(farm.out.empty());

  farm.state.session.reset();
  farm.state.register_next = farm.now.mono;
  farm.Tick();
  farm.out.Clear();
  REQUIRE(farm.Hear(Welcome{kSession, farm.state.nonce, 1, 2000, 30000}).has_value());
  CHECK_FALSE(farm.out.Sent<Heartbeat>().condition.empty());
  CHECK(farm.out.empty());

  OnDiskSpace(farm.state, farm.out, farm.now, {2ull << 30});
  CHECK(farm.out.Sent<Heartbeat>().condition.empty());
  farm.state.settings.disk_low_bytes = 0;
  OnDiskSpace(farm.state, farm.out, farm.now, {8 << 20});
  CHECK(farm.out.empty());
  OnDiskSpace(farm.state, farm.out, farm.now, {1 << 20});  // full, whatever the limit
  CHECK(farm.out.Sent<Heartbeat>().condition == "its disk is full: 1024 KiB free");
  OnDiskSpace(farm.state, farm.out, farm.now, {2ull << 30});
  CHECK(farm.out.empty());
  farm.Pass(seconds(10));
  OnDiskSpace(farm.state, farm.out, farm.now, {2ull << 30});  // It was full long enough ago.
  CHECK(farm.out.Sent<Heartbeat>().condition.empty());
  OnDiskSpace(farm.state, farm.out, farm.now, {0, false});
  CHECK(farm.out.Sent<Heartbeat>().condition == "its disk is full: no free inodes: it takes no further file");
}

TEST_CASE("session: Reregister ends the session and leaves jobs and lease as they are") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  const auto lease = farm.state.lease_until;
  CHECK(farm.Hear(Reregister{kSession}).has_value());
  CHECK(farm.out.empty());
  farm.Pass(milliseconds(200));
  farm.Tick();
  CHECK(farm.out.Upload<Follow>().attempt == Attempt(1));
  CHECK(farm.out.Sent<Register>().held.size() == 1);
  CHECK(farm.state.lease_until == lease);
  CHECK(farm.out.empty());
}

TEST_CASE("session: a new session hears again what was not acknowledged") {
  AgentFarm farm;
  farm.Join();
  farm.RunToReport(MakeAssign(Attempt(1)));
  farm.Run(MakeAssign(Attempt(2)));
  farm.Pass(milliseconds(50));
  farm.Tick();  // shows attempt 2
  On(farm.state, farm.out, farm.now, MetricsRead{Attempt(2), 0, {{0, WallTime{}, {{"loss", 1}}}}, ""});
  CHECK(farm.Hear(Reregister{kSession}).has_value());
  farm.Pass(seconds(1));
  farm.Tick();
  farm.out.Clear();
  const SessionId next{77};
  CHECK(farm.Hear(Welcome{next, farm.state.nonce, 1, 2000, 30000}).has_value());
  farm.out.Lease();
  CHECK(farm.out.Sent<Started>().attempt == Attempt(2));
  const auto finished = farm.out.Sent<Finished>();
  CHECK(finished.attempt == Attempt(1));
  CHECK(finished.session == next);
  CHECK(farm.out.Sent<MetricsReport>().attempt == Attempt(2));
  CHECK(farm.out.empty());
}

TEST_CASE("session: when the lease runs out every attempt ends as lost, and no other is accepted") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  REQUIRE(farm.Hear(MakeAssign(Attempt(2), {HashOf("tree")})).has_value());
  farm.RunToReport(MakeAssign(Attempt(3)));
  farm.out.Clear();
  farm.now.mono = *farm.state.lease_until - milliseconds(1);
  farm.Tick();
  farm.out.Clear();
  CHECK_FALSE(farm.Job(Attempt(1)).killing);
  farm.Pass(milliseconds(1));
  farm.Tick();
  CHECK(farm.out.Runner<runner::Kill>().ref == Attempt(1));
  CHECK(farm.out.Workspace<CancelPrepare>().attempt == Attempt(2));
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
  farm.Tick();
  CHECK(farm.out.empty());  // once
  CHECK(Rejected(farm.Hear(MakeAssign(Attempt(4)))));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1), 0, runner::OutcomeKind::kKilled));
  CHECK(farm.Job(Attempt(1)).report.outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
}

TEST_CASE("session: what was prepared is not started once the lease is out") {
  AgentFarm farm;
  farm.Join();
  REQUIRE(farm.Hear(MakeAssign(Attempt(1), {HashOf("tree")})).has_value());
  farm.out.Clear();
  farm.now.mono = *farm.state.lease_until;  // the process was stopped, say: this comes before the next tick
  On(farm.state, farm.out, farm.now, Prepared{Attempt(1)});
  CHECK(farm.out.empty());
  farm.Tick();
  const auto finished = farm.out.Sent<Finished>();
  CHECK(finished.outcome.kind == OutcomeKind::kLost);
  CHECK(finished.outcome.detail == kLeaseOut);
  CHECK(finished.started == WallTime{});
  farm.out.Sent<Heartbeat>();
  CHECK(farm.out.empty());
}

TEST_CASE("session: jobs that end within 20 ms are not announced") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  farm.Run(MakeAssign(Attempt(2)));
  farm.Pass(milliseconds(10));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  farm.out.Clear();
  farm.Pass(milliseconds(10));
  farm.Tick();
  CHECK(farm.out.Upload<Follow>().attempt == Attempt(2));
  CHECK(farm.out.Sent<Started>().attempt == Attempt(2));
  CHECK(farm.out.empty());
}

TEST_CASE("session: a stopping agent offers nothing and reports as lost what it held and what still comes") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  REQUIRE(farm.Hear(MakeAssign(Attempt(2), {HashOf("tree")})).has_value());
  farm.out.Clear();
  OnStop(farm.state, farm.out, farm.now);
  CHECK(farm.out.Workspace<CancelPrepare>().attempt == Attempt(2));
  farm.Tick();
  const auto message = farm.out.Sent<Register>();
  CHECK(message.offer == Offer{});
  CHECK(message.held == std::vector<HeldAttempt>{{Attempt(1), Phase::kRunning}, {Attempt(2), Phase::kReporting}});
  REQUIRE(farm.Hear(Welcome{kSession, farm.state.nonce, 1, 2000, 30000}).has_value());
  CHECK(farm.out.Sent<Finished>().outcome == Outcome{OutcomeKind::kLost, 0, 0, kStopped});
  farm.out.Clear();
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  CHECK(farm.out.Sent<Finished>().attempt == Attempt(3));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1), 0, runner::OutcomeKind::kKilled));
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "hello", HashOf("hello")});
  farm.out.Upload<Follow>();
  farm.out.Upload<FinishLog>();
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kLost);
}

TEST_CASE("session: other settings keep the session; another offer is registered anew, and jobs run on") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  farm.out.Clear();
  AgentSettings settings = farm.state.settings;
  settings.kill_grace = seconds(3);

  OnSettings(farm.state, farm.out, farm.now, settings, farm.state.offer, 7 << 20);
  CHECK(farm.out.Workspace<LimitCache>().bytes == 7 << 20);
  CHECK(farm.state.settings.kill_grace == seconds(3));
  CHECK(farm.state.session.has_value());
  CHECK(farm.out.empty());

  Offer offer = farm.state.offer;
  offer.labels = {"a100"};
  OnSettings(farm.state, farm.out, farm.now, settings, offer, 7 << 20);
  farm.out.Workspace<LimitCache>();
  farm.Tick();
  const auto message = farm.out.Sent<Register>();
  CHECK(message.offer.labels == std::vector<std::string>{"a100"});
  CHECK(message.held == std::vector<HeldAttempt>{{Attempt(1), Phase::kRunning}});
}

TEST_CASE("session: an agent that stops does not offer again because its configuration changed") {
  AgentFarm farm;
  farm.Join();
  OnStop(farm.state, farm.out, farm.now);
  Offer offer;
  offer.cpu_milli = 9000;
  OnSettings(farm.state, farm.out, farm.now, farm.state.settings, offer, 1 << 20);
  farm.out.Workspace<LimitCache>();
  CHECK(farm.state.offer == Offer{});
}

TEST_CASE("session: an agent speaks older versions of the protocol, and no other than it offered") {
  AgentFarm farm;
  farm.state.settings.protocol = {1, 2};
  On(farm.state, farm.out, farm.now, runner::Listing{});
  farm.Tick();
  const auto message = farm.out.Sent<Register>();
  CHECK(message.oldest_version == 1);
  CHECK(message.newest_version == 2);
  const Status newer = farm.Hear(Welcome{kSession, message.nonce, 3, 2000, 30000});
  CHECK(Rejected(newer));
  CHECK(newer.error().message.find("upgrade") != std::string::npos);
  CHECK_FALSE(farm.state.session.has_value());
  CHECK(farm.Hear(Welcome{kSession, message.nonce, 1, 2000, 30000}).has_value());
  CHECK(farm.state.session.has_value());
  farm.out.Clear();
}

TEST_CASE("session: a registration says which machine, boot and process it comes from") {
  AgentFarm farm;
  farm.state.identity = {{1, 2}, {3, 4}, {5, 6}};
  On(farm.state, farm.out, farm.now, runner::Listing{});
  farm.Tick();
  const auto message = farm.out.Sent<Register>();
  CHECK(message.machine == Uuid{1, 2});
  CHECK(message.boot == Uuid{3, 4});
  CHECK(message.process == Uuid{5, 6});
}

TEST_CASE("session: the clocks are compared at the Welcome, doubt taken off, and heartbeats tell") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{});
  farm.Tick();
  farm.out.Clear();
  const auto sent = static_cast<std::int64_t>(farm.now.wall);
  farm.Pass(milliseconds(200));  // the controller read its clock within these
  const WallTime theirs{sent + 100 - 5'000};
  REQUIRE(farm.Hear(Welcome{kSession, farm.state.nonce, 1, 2000, 30000, theirs}).has_value());
  farm.out.Clear();
  CHECK(farm.state.session->clock_ahead_ms == 4'900);
  farm.Pass(seconds(2));
  farm.Tick();
  CHECK(farm.out.Sent<Heartbeat>().clock_ahead_ms == 4'900);
}

TEST_CASE("session: a clock that may be the same, or is not told, is not ahead") {
  for (const std::int64_t theirs : {0, 1, 2, 3}) {
    AgentFarm farm;
    On(farm.state, farm.out, farm.now, runner::Listing{});
    farm.Tick();
    farm.out.Clear();
    const auto sent = static_cast<std::int64_t>(farm.now.wall);
    farm.Pass(milliseconds(200));
    const WallTime wall{theirs == 0 ? 0 : sent + 50 * theirs};
    REQUIRE(farm.Hear(Welcome{kSession, farm.state.nonce, 1, 2000, 30000, wall}).has_value());
    farm.out.Clear();
    CHECK(farm.state.session->clock_ahead_ms == 0);
  }
}
