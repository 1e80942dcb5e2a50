// The store after damage: records, logs and tables that cannot be read, and processes that are killed.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>

#include "controller/state/pipelines.h"
#include "tests/controller/store/store_farm.h"

extern char** environ;

namespace furrow {

using namespace testing;

namespace {

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

}  // namespace

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
  SUBCASE("a mark of zeros") {
    Overwrite(copy / "high-water", 0, std::string(64, '\0'));
  }
  SUBCASE("a mark whose commit is zeros") {
    Overwrite(copy / "high-water", 0, std::string(16, '\0'));
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
