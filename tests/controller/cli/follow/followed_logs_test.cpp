#include "controller/cli/follow/followed_logs.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/logs/frames.h"
#include "tests/support/data_farm.h"

namespace furrow::cli {
namespace {

using test::BulkPeer;
using test::DataFarm;

// Follows the logs of jobs that the test makes up, from a real bulk endpoint.
struct Rig : DataFarm {
  explicit Rig(FollowOptions options) {
    const std::string address = Options(client).address;
    farm = FarmClient::Open([this, address]() -> Result<FarmAddress> {
             return FarmAddress{address, address, server_keys.public_key, client, "the test"};
           }).value();
    followed = std::make_unique<FollowedLogs>(
        *farm, std::move(options),
        FollowedLogs::Handlers{
            [this](const JobView& job, std::string_view bytes) { Note(job.job, std::string(bytes)); },
            [this](const JobView& job) { Note(job.job, "|"); }},
        jobs);
  }
  // A job that runs and was started at `start`; its attempt is the first.
  void Add(const std::string& name, int start, std::vector<std::string> needs = {}) {
    JobView job;
    job.id = JobId{jobs.size() + 1};
    job.job = name;
    job.state = JobState::kRunning;
    job.started = WallTime{start};
    job.log_run = run;
    job.log_attempt = {job.id, Epoch{1}};
    job.needs = std::move(needs);
    jobs.push_back(std::move(job));
  }
  // The agent has printed `text` in the newest attempt of the job at `index`.
  void Print(std::size_t index, const std::string& text) {
    static FrameEncoder encoder;
    const AttemptRef attempt = jobs[index].log_attempt;
    const std::uint64_t offset = logs->Length(run, attempt).value();
    LogAppend append{attempt, offset, static_cast<std::uint32_t>(text.size()), {}};
    encoder.Append(attempt, offset, AsBytes(text), append.compressed);
    BulkPeer peer(*this, agent);
    peer.Say(append);
    for (int i = 0; i < 1000; ++i) {
      const auto reply = peer.Hear();
      REQUIRE(reply);
      const auto* ack = std::get_if<LogAck>(&*reply);
      if (ack != nullptr && ack->durable >= offset + text.size()) return;
      if (ack == nullptr) peer.Say(append);  // the grant has not arrived yet
    }
    FAIL("the log was not taken");
  }
  // Its log is over for the controller, though the job may not say so yet.
  void Revoke(std::size_t index) {
    SetHistory(jobs[index].log_attempt, LogRecord{});
    server->Post(BulkRevoke{jobs[index].log_attempt});
  }
  void SayEnded(std::size_t index, std::uint64_t length) {
    jobs[index].state = JobState::kPassed;
    jobs[index].log_length = length;
    followed->OnJob(index);
  }
  // Takes turns until `text` was seen, all of it.
  void Await(const std::string& text) {
    for (int i = 0; i < 1000 && seen.size() < text.size(); ++i) {
      followed->Turn();
      farm->Wait(std::chrono::milliseconds(10));
    }
    CHECK(seen == text);
  }
  // Takes turns until the log at `index` is there.
  void AwaitState(std::size_t index, FollowedState state) {
    for (int i = 0; i < 1000 && followed->state(index) != state; ++i) {
      followed->Turn();
      farm->Wait(std::chrono::milliseconds(10));
    }
    REQUIRE(followed->state(index) == state);
  }
  void Note(const std::string& job, const std::string& text) {
    if (last != job) seen += "[" + job + "]";
    last = job;
    seen += text;
  }

  std::vector<JobView> jobs;
  std::string seen, last;
  std::unique_ptr<FarmClient> farm;
  std::unique_ptr<FollowedLogs> followed;
};

FollowOptions Whole(std::uint32_t tail_lines = 0) {
  return {{}, FollowLogs::kWhole, tail_lines, false};
}

TEST_CASE("followed logs: from the first byte until the job says that this was all") {
  Rig rig(Whole());
  rig.Add("a", 1);
  rig.jobs[0].state = JobState::kReady;
  rig.followed->Begin(rig.run);
  CHECK(rig.followed->state(0) == FollowedState::kNone);
  CHECK(rig.followed->unfinished() == 0);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.jobs[0].state = JobState::kRunning;
  rig.followed->OnJob(0);
  CHECK(rig.followed->state(0) == FollowedState::kQueued);
  CHECK(rig.followed->unfinished() == 1);
  rig.Print(0, "one\n");
  rig.Await("[a]one\n");
  rig.Print(0, "two\n");
  rig.Await("[a]one\ntwo\n");
  rig.SayEnded(0, 8);
  CHECK(rig.followed->state(0) == FollowedState::kReading);
  rig.Revoke(0);
  rig.Await("[a]one\ntwo\n|");
  CHECK(rig.followed->state(0) == FollowedState::kWhole);
  CHECK(rig.followed->unfinished() == 0);
  rig.followed->OnJob(0);
  CHECK(rig.followed->unfinished() == 0);
}

TEST_CASE("followed logs: a stream that ends too early is opened again, and goes on where it was") {
  Rig rig(Whole());
  rig.Add("a", 1);
  rig.followed->Begin(rig.run);  // the controller does not know the attempt yet
  rig.AwaitState(0, FollowedState::kPausing);
  CHECK(rig.followed->unfinished() == 1);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "one\n");
  rig.Await("[a]one\n");
  rig.Revoke(0);
  rig.AwaitState(0, FollowedState::kPausing);
  rig.followed->OnJob(0);  // that says nothing new
  CHECK(rig.followed->state(0) == FollowedState::kPausing);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "two\n");
  rig.Await("[a]one\ntwo\n");
  rig.SayEnded(0, 8);
  rig.Revoke(0);
  rig.Await("[a]one\ntwo\n|");
}

TEST_CASE("followed logs: while a stream is to be opened again, the job may say that this was all") {
  Rig rig(Whole());
  rig.Add("a", 1);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "one\n");
  rig.followed->Begin(rig.run);
  rig.Await("[a]one\n");
  rig.Revoke(0);
  rig.AwaitState(0, FollowedState::kPausing);
  SUBCASE("it has ended") {
    rig.SayEnded(0, 4);
    CHECK(rig.seen == "[a]one\n|");
    CHECK(rig.followed->state(0) == FollowedState::kWhole);
    CHECK(rig.followed->unfinished() == 0);
  }
  SUBCASE("it is tried again") {
    rig.jobs[0].log_attempt.epoch = Epoch{2};
    rig.followed->OnJob(0);
    CHECK(rig.seen == "[a]one\n|");
    CHECK(rig.followed->state(0) == FollowedState::kQueued);
    CHECK(rig.followed->unfinished() == 1);
    rig.Grant(rig.jobs[0].log_attempt);
    rig.Print(0, "again\n");
    rig.Await("[a]one\n|again\n");
    rig.SayEnded(0, 6);
    rig.Revoke(0);
    rig.Await("[a]one\n|again\n|");
  }
}

TEST_CASE("followed logs: a log comes after those of the jobs that its job needs") {
  Rig rig(Whole());
  rig.Add("second", 2, {"first"});
  rig.Add("first", 9);  // by a clock that is ahead
  for (const std::size_t index : {0, 1}) {
    rig.Grant(rig.jobs[index].log_attempt);
    rig.Print(index, std::to_string(index));
  }
  rig.followed->Begin(rig.run);
  rig.Await("[first]1");
  CHECK(rig.followed->state(0) == FollowedState::kHeld);
  CHECK(rig.followed->unfinished() == 2);
  rig.Revoke(1);
  rig.SayEnded(1, 1);
  rig.Await("[first]1|[second]0");
  rig.Revoke(0);
  rig.SayEnded(0, 1);
  rig.Await("[first]1|[second]0|");
  CHECK(rig.followed->unfinished() == 0);
}

TEST_CASE("followed logs: so many at a time, in order of start, also of those that were held") {
  constexpr std::size_t kMost = 32;
  Rig rig(Whole());
  for (std::size_t index = 0; index <= kMost; ++index) {
    rig.Add("job" + std::to_string(index), 100 - static_cast<int>(index), {"first"});
    rig.Grant(rig.jobs[index].log_attempt);
  }
  rig.Add("first", 200);
  rig.Grant(rig.jobs.back().log_attempt);
  rig.followed->Begin(rig.run);
  rig.AwaitState(0, FollowedState::kHeld);
  rig.Revoke(kMost + 1);
  rig.SayEnded(kMost + 1, 0);
  for (std::size_t index = 1; index <= kMost; ++index) rig.AwaitState(index, FollowedState::kReading);
  CHECK(rig.followed->state(0) == FollowedState::kQueued);  // started last
  rig.Revoke(5);
  rig.SayEnded(5, 0);
  rig.AwaitState(0, FollowedState::kReading);
  CHECK(rig.followed->state(5) == FollowedState::kWhole);
}

TEST_CASE("followed logs: a held log stays held while another job that it needs has an unread one") {
  Rig rig(Whole());
  rig.Add("a", 1);
  rig.Add("b", 2);
  rig.Add("c", 3, {"a", "b"});
  for (std::size_t index = 0; index < 3; ++index) {
    rig.Grant(rig.jobs[index].log_attempt);
    rig.Print(index, std::to_string(index));
  }
  rig.followed->Begin(rig.run);
  rig.AwaitState(2, FollowedState::kHeld);
  rig.Revoke(0);
  rig.SayEnded(0, 1);
  rig.AwaitState(0, FollowedState::kWhole);
  rig.followed->Turn();
  CHECK(rig.followed->state(2) == FollowedState::kHeld);
  rig.Revoke(1);
  rig.SayEnded(1, 1);
  rig.AwaitState(2, FollowedState::kReading);
  CHECK(rig.followed->state(1) == FollowedState::kWhole);
}

TEST_CASE("followed logs: only the last lines of what is there at the beginning") {
  Rig rig(Whole(1));
  rig.Add("a", 1);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "one\ntwo\n");
  rig.followed->Begin(rig.run);
  rig.Await("[a]two\n");
  rig.Revoke(0);
  rig.AwaitState(0, FollowedState::kPausing);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "three\nfour\n");
  rig.Await("[a]two\nthree\nfour\n");  // it goes on behind what was read
}

TEST_CASE("followed logs: each byte once though the controller is killed") {
  Rig rig(Whole());
  rig.Add("a", 1);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "one\n");
  rig.followed->Begin(rig.run);
  rig.Await("[a]one\n");
  rig.Stop();
  rig.Start();
  rig.Print(0, "two\n");
  rig.Await("[a]one\ntwo\n");
}

TEST_CASE("followed logs: the last lines of the job that started last, while it runs") {
  Rig rig({{}, FollowLogs::kNewest, 1, false});
  rig.Add("a", 1);
  rig.Grant(rig.jobs[0].log_attempt);
  rig.Print(0, "one\ntwo\n");
  rig.followed->Begin(rig.run);
  CHECK(rig.followed->unfinished() == 0);
  rig.Await("[a]two\n");
  CHECK(rig.followed->state(0) == FollowedState::kReading);
  rig.Add("b", 2);
  rig.Grant(rig.jobs[1].log_attempt);
  rig.Print(1, "three\n");
  rig.followed->OnJob(1);
  rig.Await("[a]two\n[b]three\n");
  CHECK(rig.followed->state(0) == FollowedState::kNone);
  rig.Print(0, "unseen\n");
  rig.Revoke(1);
  rig.AwaitState(1, FollowedState::kWhole);
  rig.SayEnded(1, 6);
  rig.Await("[a]two\n[b]three\n[a]unseen\n");  // again the newest that runs
  CHECK(rig.followed->state(1) == FollowedState::kNone);
  rig.SayEnded(0, 15);
  rig.followed->Turn();
  CHECK(rig.followed->state(0) == FollowedState::kReading);  // what ended last stays in view
}

}  // namespace
}  // namespace furrow::cli
