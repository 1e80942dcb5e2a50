#include "controller/reactor/pushes.h"

#include "controller/reactor/restore.h"
#include "tests/controller/reactor/push_farm.h"

using namespace furrow;
using namespace furrow::testing;

TEST_CASE("pushes: a push is recorded, imported, and becomes a run that is answered") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  const auto run = farm.out.Stored<RunRecord>();
  CHECK(run.name == "fashion");
  CHECK(run.source == HashOf(kA));
  CHECK(run.request == Uuid{7, 1});
  CHECK(run.info == SourceInfo{kRepository, kMain, "main", kA, "Wider layers", "Ada", false, "", "furrow.yaml"});
  farm.out.Stored<ErasePush>();
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).name == "fashion#1");
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.empty());
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: one push told twice is one run, and both tellers hear of it") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.Tell(1, kMain, kZero, kA, 2);
  farm.Tell(2, kMain, kZero, kA, 3);
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  for (std::uint64_t number : {1, 2, 3}) CHECK(farm.out.ToClient<Submitted>(kAlice, number).name == "fashion#1");
  farm.out.Clear();
  farm.Tell(1, kMain, kZero, kA, 4);  // the same request
  CHECK(farm.out.ToClient<Submitted>(kAlice, 4).repeated);
  farm.Tell(3, kMain, kZero, kA, 5);  // the same push
  const auto answer = farm.out.ToClient<Submitted>(kAlice, 5);
  CHECK(answer.repeated);
  CHECK(answer.name == "fashion#1");
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: a deleted branch and a tag start nothing") {
  Pushes farm;
  farm.Tell(1, kMain, kA, kZero, 1);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).note == "a deleted branch starts nothing");
  farm.Tell(2, "refs/tags/v1", kZero, kA, 2);
  const auto answer = farm.out.ToClient<Submitted>(kAlice, 2);
  CHECK(answer.run == RunId{});
  CHECK(answer.note == "only pushes to branches start runs");
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.empty());
}

TEST_CASE("pushes: what the file does not ask for, and a commit without a file, start nothing") {
  Pushes farm;
  On(farm.state, farm.out, farm.now, Imported(farm.Told(1, kZero, kA), farm.Commit(kA, "")));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).note == "there is no furrow.yaml at aaaaaaaaaa");
  farm.out.Stored<ErasePush>();
  On(farm.state, farm.out, farm.now,
     Imported(farm.Told(2, kA, kB),
              farm.Commit(kB, "on: { push: { branches: [release] } }\njobs: { t: { steps: [{ run: x }] } }\n")));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 2).note.find("starts nothing") != std::string::npos);
  farm.out.Stored<ErasePush>();
  CHECK(farm.out.empty());
  CHECK(farm.state.runs.empty());
}

TEST_CASE("pushes: a broken furrow.yaml is answered with every mistake and its place") {
  Pushes farm;
  const std::string broken = "jobs:\n  train:\n    setps: []\n  test:\n    needs: [trian]\n";
  On(farm.state, farm.out, farm.now, Imported(farm.Told(1, kZero, kA), farm.Commit(kA, broken)));
  const auto failure = farm.out.ToClient<Failure>(kAlice, 1);
  CHECK(failure.code == Errc::kInvalid);
  CHECK(failure.message == "furrow.yaml at aaaaaaaaaa has mistakes");
  CHECK(failure.file == "furrow.yaml");
  CHECK(failure.diagnostics == ParsePipeline(broken, "fashion").diagnostics);
  CHECK(failure.diagnostics.size() >= 2);
  farm.out.Stored<ErasePush>();
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: an import that may pass later is kept and tried again after a pause, whatever the looks find") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  On(farm.state, farm.out, farm.now, Imported(ticket, Fail(Errc::kUnavailable, "timeout")));
  const auto failure = farm.out.ToClient<Failure>(kAlice, 1);
  CHECK(failure.code == Errc::kUnavailable);
  CHECK(failure.message == "timeout; it is tried again in 30 s");
  CHECK(farm.out.Warning() == kRepository + ": " + kMain + " " + kA + ": timeout; it is tried again in 30 s");
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.size() == 1);
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}}});
  CHECK(farm.out->repositories.empty());
  farm.out.Clear();
  farm.Waits(seconds(30), ticket, 2);
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  CHECK(farm.out.Stored<RunRecord>().request == Uuid{7, 1});
  farm.out.Clear();
}

TEST_CASE("pushes: the pauses double up to an hour, and after twenty tries the push is dropped and its reason told") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  Duration pause = seconds(30);
  for (std::uint32_t tries = 1; tries < 20; ++tries) {
    farm.Fails(ticket, Errc::kUnavailable);
    farm.Waits(pause, ticket, tries + 1);
    pause = std::min<Duration>(2 * pause, std::chrono::hours(1));
  }
  CHECK(pause == std::chrono::hours(1));
  farm.Tell(1, kMain, kZero, kA, 9);
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Imported(ticket, Fail(Errc::kUnavailable, "no memory")));
  const std::string reason = "given up after 20 tries that got no further: no memory; push again when that is mended";
  const auto failure = farm.out.ToClient<Failure>(kAlice, 9);
  CHECK(failure.code == Errc::kRejected);  // else the hook would note the push for ever
  CHECK(failure.message == reason);
  CHECK(farm.out.Stored<ErasePush>().key == Uuid{7, 1});
  const auto events = farm.out.Events();
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == EventKind::kPushSettled);
  CHECK(events[0].subject == kRepository);
  CHECK(events[0].detail == kMain + " " + kA + ": " + reason);
  CHECK(farm.out.Warning() == "a push to " + kRepository + " starts nothing: " + events[0].detail);
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.empty());
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}}});
  farm.out.Stored<RepositoryRecord>();
  CHECK(farm.out.empty());  // A look does not find it again.
  farm.Told(2, kZero, kA);  // But it may be pushed again.
}

TEST_CASE("pushes: trouble that may be the commit's own is tried three times") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.Fails(ticket, Errc::kUnavailable);  // is not counted as one of them
  farm.Waits(seconds(30), ticket, 2);
  for (const std::uint32_t faults : {1u, 2u}) {
    farm.Fails(ticket, Errc::kInternal);
    const auto record = farm.out.Stored<TriggerRecord>();
    CHECK(record.faults == faults);
    farm.Waits(seconds(30) * (1 << faults), ticket, faults + 2);
  }
  On(farm.state, farm.out, farm.now, Imported(ticket, Fail(Errc::kInternal, "over the memory limit")));
  farm.out.Stored<ErasePush>();
  CHECK(farm.out.Warning().find("given up after 4 tries that got no further: over the memory limit") !=
        std::string::npos);
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.empty());
}

TEST_CASE("pushes: a try that stored something makes the count begin anew") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.Fails(ticket, Errc::kInternal);
  CHECK(farm.out.Stored<TriggerRecord>().faults == 1);
  farm.Waits(seconds(30), ticket, 2);
  for (int i = 0; i < 50; ++i) {
    CommitImported event = Imported(ticket, Fail(i % 2 == 0 ? Errc::kUnavailable : Errc::kInternal, "timeout"));
    event.progressed = true;
    On(farm.state, farm.out, farm.now, event);
    farm.out.Warning();
    farm.out->to_clients.clear();
    const auto record = farm.out.Stored<TriggerRecord>();
    CHECK(record.tries == 0);
    CHECK(record.faults == 0);
    farm.Waits(seconds(30), ticket, 1);
  }
}

TEST_CASE("pushes: a restart counts on, and pauses before it tries again") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.Fails(ticket, Errc::kInternal);
  farm.out.Clear();
  farm.Waits(seconds(30), ticket, 2);
  Restored restored;
  restored.boot = 2;
  restored.triggers = {farm.state.pushes.at(ticket).record};
  farm.state = RestoreState(farm.state.settings, restored, farm.now, farm.out);
  REQUIRE(farm.state.pushes.size() == 1);
  const std::uint64_t again = farm.state.pushes.begin()->first;
  farm.Waits(seconds(60), again, 3);
  CHECK(farm.state.pushes.begin()->second.record.faults == 1);

  restored.triggers[0].tries = 20;  // Each of them ended the controller.
  farm.state = RestoreState(farm.state.settings, restored, farm.now, farm.out);
  CHECK(farm.out.Stored<ErasePush>().key == Uuid{7, 1});
  CHECK(farm.out.Warning().find("given up after 20 tries that got no further: the controller ended") !=
        std::string::npos);
  CHECK(farm.out.empty());
  CHECK(farm.state.pushes.empty());
}

TEST_CASE("pushes: a push that waits for another try is tried at once when it is told again, and counted") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.Fails(ticket, Errc::kUnavailable);
  farm.Tell(1, kMain, kZero, kA, 2);
  CHECK(farm.out.Stored<TriggerRecord>().tries == 2);
  CHECK(farm.out.Git<ImportCommit>().ticket == ticket);
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: an import that can never pass is dropped with its reason") {
  Pushes farm;
  for (const Errc code : {Errc::kRejected, Errc::kInvalid, Errc::kNotFound, Errc::kCorrupt}) {
    const std::uint64_t ticket = farm.Told(1, kZero, kA);
    On(farm.state, farm.out, farm.now, Imported(ticket, Fail(code, "no such commit")));
    CHECK(farm.out.ToClient<Failure>(kAlice, 1).message == "no such commit");
    farm.out.Stored<ErasePush>();
    CHECK(farm.out.Warning().ends_with(kA + ": no such commit"));
    CHECK(farm.out.empty());
    CHECK(farm.state.pushes.empty());
  }
}

TEST_CASE("pushes: while no work is accepted a push is refused, and one under way stays noted") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  farm.state.refusing = "the disk is full";
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).message == "noted; no new work is accepted: the disk is full");
  CHECK(farm.state.pushes.size() == 1);
  farm.Tell(2, kMain, kA, kB, 2);
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).code == Errc::kUnavailable);
  CHECK(farm.out.empty());
  farm.Pass(seconds(1));
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());
  farm.state.refusing.clear();
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.Stored<TriggerRecord>().tries == 1);
  CHECK(farm.out.Git<ImportCommit>().ticket == ticket);
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: a client that is gone is not answered") {
  Pushes farm;
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  ForgetClient(farm.state, kAlice);
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  CHECK(farm.out->to_clients.empty());
  farm.out.Clear();
}
