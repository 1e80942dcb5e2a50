#include "controller/store/store.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <rocksdb/db.h>

#include "common/base/hash.h"
#include "common/base/run_program.h"
#include "controller/state/pipelines.h"
#include "controller/store/disk_guard.h"
#include "controller/store/store.h"

extern char** environ;

namespace furrow {
namespace {

namespace fs = std::filesystem;

struct TempDir {
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "furrow-store-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path); }
  fs::path path;
};

// What OnCommitted was told.
class Acks {
 public:
  Store::OnCommitted Callback() {
    return [this](Committed committed) {
      std::lock_guard lock(mutex_);
      (committed.status ? acknowledged_ : failed_) = committed.number;
      if (!committed.status) error_ = committed.status.error();
      ++calls_;
      changed_.notify_all();
    };
  }
  // Waits until turn `number` has met its fate; false: a minute has passed.
  bool WaitFor(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return acknowledged_ >= number || failed_ >= number; });
  }
  std::uint64_t acknowledged() {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::uint64_t failed() {
    std::lock_guard lock(mutex_);
    return failed_;
  }
  std::uint64_t calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  Error error() {
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t calls_ = 0;
  Error error_;
};

Result<std::vector<LogLocation>> NoSmallLogs(std::span<const SmallLog>) {
  return Fail(Errc::kInternal, "no small log was expected");
}

std::unique_ptr<Store> MustOpen(const fs::path& dir, DiskGuard* guard = nullptr) {
  auto store = Store::Open(dir, guard);
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

SharedSpec MakeSpec() {
  JobSpec job;
  job.name = "train";
  job.shards = 10;
  job.steps.push_back({"true", ExecStep{{"/bin/true"}}});
  return {HashOf("spec"), std::make_shared<const Pipeline>(Pipeline{"fashion", std::nullopt, {job}})};
}

RunRecord MakeRun(std::uint64_t id, std::uint64_t pipeline, std::uint64_t number) {
  RunRecord run;
  run.id = RunId{id};
  run.number = number;
  run.request = {7, id};
  run.pipeline = PipelineId{pipeline};
  run.name = "fashion";
  run.spec = MakeSpec().hash;
  run.first_job = JobId{id * 10};
  return run;
}

JobRecord MakeJob(std::uint64_t run, std::uint64_t id) {
  JobRecord job;
  job.id = JobId{id};
  job.run = RunId{run};
  job.state = JobState::kRunning;
  job.epoch = Epoch{1};
  job.agent = "alpha";
  return job;
}

AttemptRecord MakeAttempt(std::uint64_t epoch, std::uint64_t run = 1, std::uint64_t job = 11) {
  AttemptRecord attempt;
  attempt.run = RunId{run};
  attempt.job = JobId{job};
  attempt.epoch = Epoch{epoch};
  attempt.agent = "alpha";
  attempt.log.length = 3;
  return attempt;
}

// A copy of the folder of an open store: what a killed process leaves behind.
void CopyAsKilled(const fs::path& from, const fs::path& to) {
  fs::copy(from, to, fs::copy_options::recursive);
}

fs::path NewestLog(const fs::path& dir) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(dir / "db")) {
    if (entry.path().extension() == ".log" && entry.path() > newest) newest = entry.path();
  }
  return newest;
}

// Offset of the last byte that is not zero: the end of the last batch.
std::uint64_t EndOfLog(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  return bytes.find_last_not_of('\0');
}

void Overwrite(const fs::path& file, std::uint64_t offset, const std::string& bytes) {
  std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
  out.seekp(static_cast<std::streamoff>(offset));
  out << bytes;
}

// Commits ten turns, one by one, and leaves in `copy` what a kill at that moment would.
void CommitTenAndCopy(const fs::path& dir, const fs::path& copy) {
  auto store = MustOpen(dir);
  Acks acks;
  store->Start(NoSmallLogs, acks.Callback());
  for (std::uint64_t i = 1; i <= 10; ++i) {
    store->Commit({.number = i, .records = {MakeJob(1, i)}, .small_logs = {}});
    REQUIRE(acks.WaitFor(i));
  }
  CopyAsKilled(dir, copy);
}

// The database of a store that is closed, past the store.
class RawDatabase {
 public:
  static constexpr std::array kFamilies{"default", "runs", "jobs", "metrics", "attempts", "shared", "events"};

  explicit RawDatabase(const fs::path& dir) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : kFamilies) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    REQUIRE(rocksdb::DB::Open(rocksdb::DBOptions(), (dir / "db").string(), families, &handles, &raw).ok());
  }
  ~RawDatabase() {
    for (rocksdb::ColumnFamilyHandle* handle : handles) raw->DestroyColumnFamilyHandle(handle);
    delete raw;
  }

  // The keys of every record: what lies in family "default" beside records are numbers and names.
  std::vector<std::pair<std::size_t, std::string>> Records() const {
    std::vector<std::pair<std::size_t, std::string>> records;
    for (std::size_t family = 0; family < 5; ++family) {
      const std::unique_ptr<rocksdb::Iterator> at(raw->NewIterator(rocksdb::ReadOptions(), handles[family]));
      for (at->SeekToFirst(); at->Valid(); at->Next())
        if (family != 0 || std::string_view("satrekd").find(at->key()[0]) != std::string_view::npos)
          records.emplace_back(family, at->key().ToString());
    }
    return records;
  }
  std::string Get(std::size_t family, const std::string& key) const {
    std::string value;
    REQUIRE(raw->Get(rocksdb::ReadOptions(), handles[family], key, &value).ok());
    return value;
  }
  void Put(std::size_t family, const std::string& key, const std::string& value) {
    REQUIRE(raw->Put(rocksdb::WriteOptions(), handles[family], key, value).ok());
  }

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
};

std::string ReadWhole(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

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

TEST_CASE("store: a record that cannot be read stops no start; it is set aside, and everything else is there") {
  TempDir temp;
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    AgentRecord agent;
    agent.name = "alpha";
    TriggerRecord trigger{{3, 4}, "/srv/git/a.git", "refs/heads/main", "0", "1"};
    RepositoryRecord repository{"/srv/git/a.git", {{"refs/heads/main", "abc"}}};
    EnrolmentRecord enrolment;
    enrolment.id = EnrolmentId{5};
    enrolment.uses = 1;
    KeyRecord key;
    key.public_key = std::string(40, 'k');
    store->Commit({1,
                   {MakeSpec(), MakeRun(1, 1, 1), MakeJob(1, 10), MakeRun(2, 1, 2), MakeJob(2, 20),
                    MakeAttempt(1, 2, 20), PipelineRecord{PipelineId{1}, kDefaultProject, "fashion"}},
                   {}});
    store->Commit({2,
                   {MetricsRecord{{JobId{10}, Epoch{1}}, 0, std::vector<MetricLine>(2), RunId{1}},
                    SealRecord{{JobId{10}, Epoch{1}}, {5, {}, {LogStorage::kOwnFile, 0, 0}}}},
                   {}});
    store->Commit({3, {agent, trigger, repository, enrolment, key}, {}});
    REQUIRE(acks.WaitFor(3));
  }
  const auto count = [](const Restored& restored) {
    return restored.runs.size() + restored.jobs.size() + restored.metrics.size() + restored.seals.size() +
           restored.agents.size() + restored.triggers.size() + restored.repositories.size() +
           restored.enrolments.size() + restored.keys.size() + restored.attempts.size() + restored.pipelines.size();
  };
  const auto records = RawDatabase(temp.path).Records();
  REQUIRE(records.size() == 13);
  const std::size_t all = count(*MustOpen(temp.path)->Load());
  CHECK(all == 13);
  std::set<std::string> names;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& [family, key] = records[i];
    CAPTURE(i);
    std::string value, other;
    {
      RawDatabase database(temp.path);
      value = database.Get(family, key);
      other = database.Get(records[(i + 3) % records.size()].first, records[(i + 3) % records.size()].second);
    }
    for (const std::string& damaged :
         {std::string(), value.substr(0, value.size() / 16 * 8), std::string(64, '\xff'), other}) {
      RawDatabase(temp.path).Put(family, key, damaged);
      auto restored = MustOpen(temp.path)->Load();
      REQUIRE(restored);
      // With a run its job goes, and with a job its attempt's metrics.
      if (key[0] == 'd') {  // It is made anew from its runs: no number comes twice, and the name goes to nobody else.
        REQUIRE(restored->pipelines.size() == 1);
        CHECK(restored->pipelines[0].id == PipelineId{1});
        CHECK(restored->pipelines[0].name == "fashion");
        CHECK(restored->pipelines[0].last_number == 1002);
      } else {
        CHECK(count(*restored) < all);
      }
      CHECK(count(*restored) >= all - (family == 1 ? 3 : family == 2 ? 2 : 1));
      CHECK(restored->seals.size() + restored->unreadable_seals.size() == 1);
      CHECK(restored->agents.size() + restored->unreadable_agents.size() == 1);
      for (const std::string& name : restored->unreadable_agents) CHECK(name == "alpha");
      for (const AttemptRef& attempt : restored->unreadable_seals) CHECK(attempt == AttemptRef{JobId{10}, Epoch{1}});
      std::size_t found = 0;
      for (const auto& entry : fs::directory_iterator(temp.path / "set-aside"))
        if (ReadWhole(entry.path()) == damaged) ++found, names.insert(entry.path().filename().string());
      CHECK(found == 1);
      fs::remove_all(temp.path / "set-aside");
    }
    RawDatabase(temp.path).Put(family, key, value);
  }
  CHECK(count(*MustOpen(temp.path)->Load()) == all);
  CHECK_FALSE(fs::exists(temp.path / "set-aside"));
  CHECK(names == std::set<std::string>{"agent-alpha", "attempt-20-1", "enrolment-0000000000000005", "job-1-10",
                                       "job-2-20", "key-" + std::string(40, 'k'), "metrics-10-1-0",
                                       "pipeline-0000000000000001", "repository-2f7372762f6769742f612e676974", "run-1",
                                       "run-2", "seal-000000000000000a0000000000000001",
                                       "trigger-00000000000000030000000000000004"});
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
    store->Start([](auto) { return Fail(Errc::kUnavailable, "the pack is broken"); }, acks.Callback());
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

TEST_CASE("store: events have one order over all commits, and the oldest days go") {
  TempDir temp;
  constexpr std::int64_t kDay = 24 * 60 * 60 * 1000;
  const auto event = [](std::int64_t at, std::uint64_t run) {
    EventRecord one;
    one.kind = EventKind::kRunAccepted;
    one.at = WallTime{at};
    one.run = RunId{run};
    return one;
  };
  const auto runs = [](const Store& store, const EventId& after, std::size_t limit) {
    std::vector<std::uint64_t> found;
    const auto events = store.GetEvents(after, limit);
    for (const StoredEvent& one : *events) found.push_back(Raw(one.event.run));
    return found;
  };
  auto store = MustOpen(temp.path);
  Acks acks;
  store->KeepEvents(3);
  store->Start(NoSmallLogs, acks.Callback());
  store->Commit({1, {}, {}, {event(kDay, 1), event(kDay, 2)}});
  store->Commit({2, {}, {}, {event(kDay + 1, 3)}});
  REQUIRE(acks.WaitFor(2));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{1, 2, 3});
  const auto first = store->GetEvents({}, 1);
  REQUIRE(first->size() == 1);
  CHECK(first->front().id.timeline == 1);
  CHECK(runs(*store, first->front().id, 1) == std::vector<std::uint64_t>{2});

  // The clock goes back for a day, far ahead, and on: each change is a day, and no clock makes younger events go.
  std::uint64_t number = 2;
  for (const std::int64_t day : {2, 1, 9000, 3}) {
    store->Commit({++number, {}, {}, {event(day * kDay, number)}});
    REQUIRE(acks.WaitFor(number));
  }
  store->Commit({++number, {}, {}, {}});  // what is too old went with the commit before
  REQUIRE(acks.WaitFor(number));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{4, 5, 6});

  store.reset();
  store = MustOpen(temp.path);
  Acks more;
  store->KeepEvents(3);
  store->Start(NoSmallLogs, more.Callback());
  store->Commit({1, {}, {}, {event(3 * kDay, 20)}});  // still the same day
  REQUIRE(more.WaitFor(1));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{4, 5, 6, 20});
}

TEST_CASE("store: a new timeline gives no number again that an old one may have given") {
  TempDir temp;
  const PipelineRecord pipeline{PipelineId{4}, kDefaultProject, "fashion", "/srv/a", "furrow.yaml", 7};
  const CountersRecord counters{RunId{5}, JobId{60}, PipelineId{4}, kDefaultProject, kDefaultPerson};
  Uuid farm;
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    store->Commit({1, {pipeline, counters}, {}});
    REQUIRE(acks.WaitFor(1));
    farm = MustOpen(temp.path / "other")->Load()->farm.id;
    CHECK(store->Load()->farm.id != farm);  // each farm has its own
    farm = store->Load()->farm.id;
  }
  for (std::uint64_t timeline = 2; timeline <= 3; ++timeline) {
    const Restored before = *MustOpen(temp.path)->Load();
    fs::remove(temp.path / "high-water");
    const auto store = MustOpen(temp.path);
    const Restored restored = *store->Load();
    CHECK(restored.farm.id == farm);
    CHECK(restored.farm.timeline == timeline);
    CHECK(Raw(restored.counters.run) >= Raw(before.counters.run) + 1'000'000);
    CHECK(Raw(restored.counters.job) >= Raw(before.counters.job) + 1'000'000 * kMaxShards);
    CHECK(restored.counters.pipeline > before.counters.pipeline);
    CHECK(restored.boot >= before.boot + 65'536);
    REQUIRE(restored.pipelines.size() == 1);
    CHECK(restored.pipelines[0].last_number == before.pipelines[0].last_number + 1000);
    const auto events = store->GetEvents({timeline, 0, 0}, 10);
    REQUIRE(events->size() == 1);
    CHECK(events->front().event.kind == EventKind::kTimelineBegan);
  }
  CHECK(MustOpen(temp.path)->Load()->farm.timeline == 3);
}

// The state in between is that of a kill right before the last commit of the move.
TEST_CASE("store: a move from format 1 that was killed goes on at the next start") {
  TempDir temp;
  const auto unpacked = RunProgram({"tar", "-xzf", GOLDEN_FOLDER "/format-1.tar.gz", "-C", temp.path.string()});
  REQUIRE(unpacked);
  REQUIRE_MESSAGE(unpacked->status == 0, unpacked->err);
  const fs::path dir = temp.path / "state" / "db";
  std::map<std::string, std::string> indexes;  // of format 1
  {
    rocksdb::DB* raw = nullptr;
    REQUIRE(rocksdb::DB::OpenForReadOnly(rocksdb::Options(), (dir / "db").string(), &raw).ok());
    const std::unique_ptr<rocksdb::DB> database(raw);
    const std::unique_ptr<rocksdb::Iterator> at(raw->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next())
      if (at->key()[0] == 'n' || at->key()[0] == 'p') indexes[at->key().ToString()] = at->value().ToString();
  }
  REQUIRE(indexes.size() == 26);
  const Restored whole = *MustOpen(dir)->Load();
  CHECK(whole.pipelines.size() == 5);
  {
    RawDatabase database(dir);
    for (const auto& [key, value] : indexes) database.Put(0, key, value);
    database.Put(0, "mversion", std::string("\0\0\0\0\0\0\0\x01", 8));
    for (const char* gone : {"f", "c"}) REQUIRE(database.raw->Delete(rocksdb::WriteOptions(), gone).ok());
    REQUIRE(database.raw->DeleteRange(rocksdb::WriteOptions(), database.handles[0], "d", "e").ok());
  }
  const auto store = MustOpen(dir);
  const Restored again = *store->Load();
  CHECK(again.counters == whole.counters);
  CHECK(again.pipelines == whole.pipelines);
  CHECK(again.jobs == whole.jobs);
  CHECK(again.attempts == whole.attempts);
  REQUIRE(again.runs.size() == whole.runs.size());
  CHECK(again.runs[0].record == whole.runs[0].record);
  CHECK(*again.runs[0].pipeline == *whole.runs[0].pipeline);
  const auto page = store->ListRuns(PipelineId{}, RunId{}, 100);
  CHECK(page->runs.size() == 13);
  CHECK(page->unreadable == 0);
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

TEST_CASE("store: the log of a killed process may end torn, and loses nothing acknowledged") {
  TempDir temp;
  const fs::path copy = temp.path / "copy";
  CommitTenAndCopy(temp.path / "store", copy);
  const fs::path log = NewestLog(copy);
  Overwrite(log, EndOfLog(log) + 1, std::string(300, '\xAB'));
  auto store = MustOpen(copy);
  CHECK(store->GetJobs(RunId{1})->jobs.size() == 10);
}

TEST_CASE("store: acknowledged turns that are missing are noticed") {
  TempDir temp;
  const fs::path copy = temp.path / "copy";
  CommitTenAndCopy(temp.path / "store", copy);
  const fs::path log = NewestLog(copy);
  SUBCASE("a damaged end") {
    Overwrite(log, EndOfLog(log) - 4, "damage");
  }
  SUBCASE("damage in the middle") {
    Overwrite(log, EndOfLog(log) / 2, "damage");
  }
  SUBCASE("a shortened log") {
    fs::resize_file(log, EndOfLog(log) - 4);
  }
  SUBCASE("no log at all") {
    fs::remove(log);
  }
  auto store = Store::Open(copy);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Errc::kCorrupt);
  CHECK(store.error().message.find("high-water") != std::string::npos);
  fs::remove(copy / "high-water");
  CHECK(Store::Open(copy));
}

TEST_CASE("store: a damaged table is named with RocksDB's own words") {
  TempDir temp;
  { auto store = MustOpen(temp.path); }
  { auto store = MustOpen(temp.path); }  // what recovery replayed is in tables now
  int damaged = 0;
  for (const auto& entry : fs::directory_iterator(temp.path / "db")) {
    if (entry.path().filename().string().starts_with("MANIFEST")) {
      Overwrite(entry.path(), fs::file_size(entry.path()) / 2, "damage");
      ++damaged;
    }
  }
  REQUIRE(damaged == 1);
  auto store = Store::Open(temp.path);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Errc::kCorrupt);
  CHECK(store.error().message.find("restore") != std::string::npos);
}

// ---- a process that is killed ---------------------------------------------------------------------

namespace {

const char* Variable(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE(value != nullptr);
  return value != nullptr ? value : "";
}

}  // namespace

// The child: commits jobs from FURROW_STORE_FIRST on, writes each acknowledged number to FURROW_STORE_PIPE.
TEST_CASE("store child: commits until it is killed" * doctest::skip()) {
  auto store = MustOpen(Variable("FURROW_STORE_DIR"));
  const int pipe = std::atoi(Variable("FURROW_STORE_PIPE"));
  std::mutex mutex;
  std::condition_variable changed;
  std::uint64_t acknowledged = std::strtoull(Variable("FURROW_STORE_FIRST"), nullptr, 10) - 1;
  std::uint64_t next = acknowledged + 1;
  store->Start(NoSmallLogs, [&](Committed committed) {
    if (!committed.status || ::write(pipe, &committed.number, sizeof(committed.number)) < 0) std::abort();
    std::lock_guard lock(mutex);
    acknowledged = committed.number;
    changed.notify_all();
  });
  for (;;) {
    store->Commit({.number = next, .records = {MakeJob(1, next)}, .small_logs = {}});
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return next < acknowledged + 8; });
    ++next;
  }
}

TEST_CASE("store: kill -9 at any moment loses nothing that was acknowledged") {
  TempDir temp;
  std::mt19937 random(20240607);
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::setenv("FURROW_STORE_DIR", temp.path.c_str(), 1);
    ::setenv("FURROW_STORE_PIPE", "9", 1);
    ::setenv("FURROW_STORE_FIRST", std::to_string(acknowledged + 1).c_str(), 1);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 9);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    std::string program = "/proc/self/exe", filter = "-tc=store child*", all = "--no-skip";
    char* argv[] = {program.data(), filter.data(), all.data(), nullptr};
    pid_t child = 0;
    REQUIRE(::posix_spawn(&child, program.c_str(), &actions, nullptr, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    const std::uint64_t kill_at = acknowledged + std::uniform_int_distribution<std::uint64_t>(1, 200)(random);
    std::uint64_t number = 0;
    while (::read(ends[0], &number, sizeof(number)) == sizeof(number)) {
      acknowledged = number;
      if (number >= kill_at) ::kill(child, SIGKILL);  // what is in the pipe still counts as acknowledged
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);

    const std::vector<JobRecord> jobs = MustOpen(temp.path)->GetJobs(RunId{1})->jobs;
    REQUIRE(jobs.size() >= acknowledged);
    bool in_order = true;
    for (std::size_t i = 0; i < jobs.size(); ++i) in_order = in_order && Raw(jobs[i].id) == i + 1;
    CHECK(in_order);
    acknowledged = jobs.size();
  }
}

}  // namespace furrow
