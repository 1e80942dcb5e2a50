#include "controller/store/store.h"

#include <unistd.h>

#include "controller/state/pipelines.h"
#include "tests/controller/store/store_farm.h"

namespace furrow {

using namespace testing;

TEST_CASE("store: an empty store has no history and counts its starts") {
  TempDir temp;
  for (std::uint64_t boot = 1; boot <= 3; ++boot) {
    auto store = MustOpen(temp.path);
    auto restored = store->Load();
    REQUIRE(restored);
    CHECK(restored->boot == boot);
    CHECK(restored->runs.empty());
    CHECK(restored->counters == CountersRecord{.project = kDefaultProject, .person = kDefaultPerson});
    CHECK(restored->farm.timeline == 1);
    CHECK_FALSE(restored->farm.id.IsZero());
    CHECK(store->GetRun(RunId{1}).error().code == Errc::kNotFound);
    CHECK(store->FindRun(PipelineId{1}, 0).error().code == Errc::kNotFound);
    CHECK(store->ListRuns(PipelineId{}, RunId{0}, 10)->runs.empty());
    CHECK(store->GetMetrics(RunId{1}, {JobId{1}, Epoch{1}})->empty());
    CHECK(store->GetEvents({}, 10)->empty());
  }
}

TEST_CASE("store: a start brings back what is unfinished, and only that") {
  TempDir temp;
  const RunRecord live = MakeRun(2, 1, 2);
  RunRecord ended = MakeRun(1, 1, 1);
  const CountersRecord counters{RunId{2}, JobId{29}, PipelineId{1}, kDefaultProject, kDefaultPerson};
  const PipelineRecord pipeline{PipelineId{1}, kDefaultProject, "fashion", "/srv/git/a.git", "furrow.yaml", 2};
  ended.state = RunState::kPassed;
  const SealRecord seal{{JobId{20}, Epoch{1}}, {5, {}, {LogStorage::kOwnFile, 0, 0}}};
  SealRecord gone = seal;
  gone.attempt.epoch = Epoch{2};
  const TriggerRecord trigger{{3, 4}, "/srv/git/a.git", "refs/heads/main", "0", "1"};
  TriggerRecord done = trigger;
  done.request.low = 5;
  RepositoryRecord repository{"/srv/git/a.git", {{"refs/heads/main", "abc"}}};
  AgentRecord agent;
  agent.name = "alpha";
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    RunRecord first = ended;
    first.state = RunState::kRunning;
    MetricsRecord early{{JobId{20}, Epoch{1}}, 0, std::vector<MetricLine>(2), RunId{2}};
    MetricsRecord late{{JobId{20}, Epoch{1}}, 2, std::vector<MetricLine>(3), RunId{2}};
    MetricsRecord other{{JobId{20}, Epoch{2}}, 9, std::vector<MetricLine>(1), RunId{2}};
    early.lines[0].values = {{"loss", 3}, {"accuracy", 0.5}};
    late.lines[2].values = {{"loss", 1}};
    store->Commit({1, {MakeSpec(), first, MakeJob(1, 10), live, MakeJob(2, 20), early, late, other}, {}});
    store->Commit({2,
                   {seal, gone, trigger, done, repository, agent, counters, pipeline, MakeAttempt(1, 1, 10),
                    MakeAttempt(1, 2, 20), MakeSpec()},
                   {}});
    store->Commit({3, {ended, EraseSeal{gone.attempt}, ErasePush{done.request}}, {}});
    REQUIRE(acks.WaitFor(3));
  }
  auto store = MustOpen(temp.path);
  auto restored = store->Load();
  REQUIRE(restored);
  REQUIRE(restored->runs.size() == 1);
  CHECK(restored->runs[0].record == live);
  CHECK(*restored->runs[0].pipeline == *MakeSpec().pipeline);
  CHECK(restored->attempts == std::vector{MakeAttempt(1, 2, 20)});
  CHECK(restored->pipelines == std::vector{pipeline});
  CHECK(restored->counters == counters);
  CHECK(restored->jobs == std::vector{MakeJob(2, 20)});
  REQUIRE(restored->metrics.size() == 1);
  CHECK(restored->metrics[0].lines == 5);
  CHECK(restored->metrics[0].newest == Metrics{{"loss", 1}, {"accuracy", 0.5}});
  CHECK(restored->seals == std::vector{seal});
  CHECK(restored->triggers == std::vector{trigger});
  CHECK(restored->repositories == std::vector{repository});
  CHECK(restored->agents == std::vector{agent});
  CHECK(restored->requests == std::vector<std::pair<Uuid, RunId>>{{{7, 2}, RunId{2}}, {{7, 1}, RunId{1}}});
  CHECK(store->GetRun(RunId{1}) == ended);
  CHECK(store->GetMetrics(RunId{2}, {JobId{20}, Epoch{1}})->size() == 5);
  CHECK(*store->GetSeal(seal.attempt) == seal);
  CHECK_FALSE(store->GetSeal(gone.attempt)->has_value());
  CHECK(*store->GetAttempt(RunId{1}, {JobId{10}, Epoch{1}}) == MakeAttempt(1, 1, 10));
  CHECK_FALSE(store->GetAttempt(RunId{2}, {JobId{10}, Epoch{1}})->has_value());
}

TEST_CASE("store: history is found by number, by page and by request") {
  TempDir temp;
  auto store = MustOpen(temp.path);
  Acks acks;
  store->Start(NoSmallLogs, acks.Callback());
  Turn turn{.number = 1, .records = {}, .small_logs = {}};
  for (std::uint64_t id = 1; id <= 30; ++id) {
    turn.records.push_back(MakeRun(id, id % 3 == 0 ? 1 : 256, id % 3 == 0 ? id / 3 : id));
  }
  store->Commit(turn);
  REQUIRE(acks.WaitFor(1));
  CHECK(store->FindRun(PipelineId{1}, 10) == RunId{30});
  CHECK(store->FindRun(PipelineId{1}, 0) == RunId{30});
  CHECK(store->FindRun(PipelineId{256}, 0) == RunId{29});
  CHECK(store->FindRun(PipelineId{256}, 3).error().code == Errc::kNotFound);
  CHECK(store->FindRun(PipelineId{2}, 0).error().code == Errc::kNotFound);
  CHECK(*store->FindRequest({7, 12}) == RunId{12});
  CHECK_FALSE(store->FindRequest({7, 31})->has_value());
  const auto ids = [&](std::uint64_t pipeline, std::uint64_t before, std::size_t limit) {
    std::vector<std::uint64_t> found;
    const auto page = store->ListRuns(PipelineId{pipeline}, RunId{before}, limit);
    for (const RunRecord& run : page->runs) found.push_back(Raw(run.id));
    return found;
  };
  CHECK(ids(0, 0, 3) == std::vector<std::uint64_t>{30, 29, 28});
  CHECK(ids(0, 28, 2) == std::vector<std::uint64_t>{27, 26});
  CHECK(ids(1, 0, 2) == std::vector<std::uint64_t>{30, 27});
  CHECK(ids(1, 8, 5) == std::vector<std::uint64_t>{6, 3});
  CHECK(ids(2, 0, 5).empty());
}

TEST_CASE("store: waiting turns are committed together and the last record of a key wins") {
  TempDir temp;
  auto store = MustOpen(temp.path);
  Acks acks;
  constexpr std::uint64_t kTurns = 2000;
  for (std::uint64_t i = 1; i <= kTurns; ++i) {
    JobRecord job = MakeJob(1, i % 100);
    job.retries = static_cast<std::uint32_t>(i);
    store->Commit({.number = i, .records = {job}, .small_logs = {}});
  }
  store->Start(NoSmallLogs, acks.Callback());
  REQUIRE(acks.WaitFor(kTurns));
  CHECK(acks.calls() == 1);
  const std::vector<JobRecord> jobs = store->GetJobs(RunId{1})->jobs;
  REQUIRE(jobs.size() == 100);
  CHECK(jobs[0].retries == 2000);
  CHECK(jobs[99].retries == 1999);
  CHECK(jobs[7].retries == 1907);
}

TEST_CASE("store: a small log's location goes into its attempt") {
  TempDir temp;
  const LogLocation location{LogStorage::kPack, 3, 4096};
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    std::string seen;
    store->Start(
        [&](std::span<const SmallLog> logs) -> Result<std::vector<LogLocation>> {
          for (const SmallLog& log : logs) seen += log.bytes;
          return std::vector<LogLocation>(logs.size(), location);
        },
        acks.Callback());
    store->Commit({1, {MakeAttempt(1)}, {{RunId{1}, {JobId{11}, Epoch{1}}, "log"}}});
    store->Commit({2, {MakeAttempt(2)}, {}});
    REQUIRE(acks.WaitFor(2));
    CHECK(seen == "log");
  }
  const std::vector<AttemptRecord> attempts = MustOpen(temp.path)->GetJobs(RunId{1})->attempts;
  REQUIRE(attempts.size() == 2);
  CHECK(attempts[0].log.location == location);
  CHECK(attempts[1].log.location == LogLocation{});
}

TEST_CASE("store: after a failed commit nothing more goes in until it is reopened") {
  TempDir temp;
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    store->Start([](auto) { return Fail(Errc::kInternal, "the pack is broken"); }, acks.Callback());
    store->Commit({1, {MakeJob(1, 1)}, {}});
    REQUIRE(acks.WaitFor(1));
    store->Commit({2, {MakeJob(1, 2)}, {{RunId{1}, {JobId{2}, Epoch{1}}, "log"}}});
    store->Commit({3, {MakeJob(1, 3)}, {}});
    REQUIRE(acks.WaitFor(3));
    CHECK(acks.acknowledged() == 1);
    CHECK(acks.failed() == 3);
    CHECK(acks.error().message == "the pack is broken");
  }
  auto store = MustOpen(temp.path);
  CHECK(store->GetJobs(RunId{1})->jobs == std::vector{MakeJob(1, 1)});
}

TEST_CASE("store: a second opener is refused, and told who has it") {
  TempDir temp;
  auto store = MustOpen(temp.path);
  auto second = Store::Open(temp.path);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::kRejected);
  CHECK(second.error().message.find("already in use by another controller (process " + std::to_string(::getpid())) !=
        std::string::npos);
  store.reset();
  CHECK(Store::Open(temp.path));
}

TEST_CASE("store: a folder of a newer version is refused and left as it was") {
  TempDir temp;
  { auto store = MustOpen(temp.path); }
  auto database = std::make_unique<RawDatabase>(temp.path);
  rocksdb::DB* raw = database->raw;
  std::string expected;
  SUBCASE("by its number") {
    REQUIRE(raw->Put(rocksdb::WriteOptions(), "mversion", std::string("\0\0\0\0\0\0\0\x03", 8)).ok());
    expected = "newer version of Furrow (format 3, this one knows 2)";
  }
  SUBCASE("by a family that this version does not have") {
    rocksdb::ColumnFamilyHandle* models = nullptr;
    REQUIRE(raw->CreateColumnFamily(rocksdb::ColumnFamilyOptions(), "models", &models).ok());
    database->handles.push_back(models);
    expected = "newer version of Furrow (it has models";
  }
  database.reset();
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto store = Store::Open(temp.path);
    REQUIRE_FALSE(store);
    CHECK(store.error().code == Errc::kRejected);
    CHECK(store.error().message.find(expected) != std::string::npos);
  }
}

}  // namespace furrow
