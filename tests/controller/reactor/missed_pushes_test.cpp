// Pushes that no hook has told, or late: looks at the refs find them.
#include "controller/reactor/pushes.h"
#include "tests/controller/reactor/push_farm.h"

using namespace furrow;
using namespace furrow::testing;

TEST_CASE("pushes: who has a repository watched hears whether it can be read, each time it is asked") {
  Pushes farm;
  const auto watch = [&](std::uint64_t number) {
    On(farm.state, farm.out, farm.now, {kAlice, number}, WatchRepository{kRepository});
  };
  watch(1);
  watch(1);  // asked again since its answer did not come
  farm.out.Stored<RepositoryRecord>();
  farm.out.Git<LookAtRefs>();
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Fail(Errc::kInvalid, "it belongs to root")});
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).message == "it belongs to root");
  CHECK(farm.out.Warning().find("it belongs to root") != std::string::npos);
  CHECK(farm.out.empty());
  watch(2);
  farm.out.Git<LookAtRefs>();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}}});
  CHECK(farm.out.ToClient<Done>(kAlice, 2).text == "watching " + kRepository);
  CHECK(farm.out.Stored<RepositoryRecord>().looked);
  CHECK(farm.out.Warning() == "the repository " + kRepository + " is well again");
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: what was there at the first look is no push; what moves later is a missed one") {
  Pushes farm;
  On(farm.state, farm.out, farm.now, {kAlice, 1}, WatchRepository{kRepository});
  CHECK_FALSE(farm.out.Stored<RepositoryRecord>().looked);
  farm.out.Git<LookAtRefs>();
  CHECK(farm.out.empty());  // nothing is known of it yet
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}, {"refs/heads/old", kA}}});
  CHECK(farm.out.ToClient<Done>(kAlice, 1).text == "watching " + kRepository);
  CHECK(farm.out.Stored<RepositoryRecord>().looked);
  CHECK(farm.out.empty());

  farm.LookAgain();
  On(farm.state, farm.out, farm.now,
     RefsListed{kRepository, Refs{{kMain, kB}, {"refs/heads/new", kA}, {"refs/tags/v1", kB}}});
  const auto moved = farm.out.Stored<TriggerRecord>();
  CHECK(moved.ref == kMain);
  CHECK(moved.old_commit == kA);
  CHECK(moved.new_commit == kB);
  CHECK_FALSE(moved.request.IsZero());
  const auto fresh = farm.out.Stored<TriggerRecord>();
  CHECK(fresh.ref == "refs/heads/new");
  CHECK(fresh.old_commit == kZero);
  CHECK(farm.out.Stored<RepositoryRecord>().refs == Refs{{kMain, kB}, {"refs/heads/new", kA}});
  CHECK(farm.out->repositories.size() == 2);
  farm.out->repositories.clear();
  CHECK(farm.out.empty());

  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kB}, {"refs/heads/new", kA}}});
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: a look that began before a push was told does not take the push back") {
  Pushes farm;
  farm.Watched({{kMain, kA}});
  farm.LookAgain();
  farm.Told(1, kA, kB);
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}}});
  CHECK(farm.out.empty());
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kB}}});
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: a push that the first look saw before the hook told it is a push") {
  Pushes farm;
  farm.Watched({{kMain, kA}});  // pushed between `hook install` and the look
  const std::uint64_t ticket = farm.Told(1, kZero, kA);
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  farm.out.Clear();
  farm.Tell(2, kMain, kZero, kA, 3);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 3).repeated);
  CHECK(farm.out.empty());
}

TEST_CASE("pushes: a missed push is found at the first look if an earlier push of the ref was told") {
  Pushes farm;
  On(farm.state, farm.out, farm.now, Imported(farm.Told(1, kZero, kA), farm.Commit(kA)));
  farm.out.Clear();
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kB}}});
  CHECK(farm.out.Stored<TriggerRecord>().new_commit == kB);
  farm.out.Clear();
}

TEST_CASE("pushes: a missed push that the hook tells after all is one run") {
  Pushes farm;
  farm.Watched({{kMain, kA}});
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kB}}});
  const std::uint64_t ticket = farm.out.Git<ImportCommit>().ticket;
  farm.out.Clear();
  farm.Tell(1, kMain, kA, kB, 1);
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kB)));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).name == "fashion#1");
  farm.out.Clear();
  CHECK(farm.state.runs.size() == 1);
}

TEST_CASE("pushes: an old push that the hook tells late does not make newer ones run again") {
  Pushes farm;
  On(farm.state, farm.out, farm.now, Imported(farm.Told(1, kZero, kA), farm.Commit(kA)));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, Imported(farm.Told(2, kA, kB), farm.Commit(kB)));
  farm.out.Clear();
  farm.Tell(3, kMain, kZero, kA, 3);  // found by a look and told only now, under another request
  const auto answer = farm.out.ToClient<Submitted>(kAlice, 3);
  CHECK(answer.repeated);
  CHECK(answer.name == "fashion#1");
  CHECK(farm.out.empty());
  farm.Told(4, kB, kA);  // but this one moves the branch back
}

TEST_CASE(
    "pushes: an older push that is told late runs, and no newer one runs again, found by a look or told once more") {
  Pushes farm;
  On(farm.state, farm.out, farm.now, Imported(farm.Told(1, kZero, kB), farm.Commit(kB)));
  farm.out.Clear();
  farm.Tell(2, kMain, kZero, kA, 2);
  CHECK(farm.out.Stored<RepositoryRecord>().refs.at(kMain) == kB);
  const std::uint64_t ticket = farm.out.Git<ImportCommit>().ticket;
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, Imported(ticket, farm.Commit(kA)));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 2).name == "fashion#2");
  farm.out.Clear();
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kB}}});
  farm.Tell(3, kMain, kA, kB, 3);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 3).repeated);
  farm.out.Clear();
  CHECK(farm.state.runs.size() == 2);
}

TEST_CASE("pushes: a branch that is deleted and comes back is a push again") {
  Pushes farm;
  farm.Watched({{kMain, kA}});
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{}});
  CHECK(farm.out.Stored<RepositoryRecord>().refs.empty());
  CHECK(farm.out.empty());
  farm.LookAgain();
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{{kMain, kA}}});
  CHECK(farm.out.Stored<TriggerRecord>().old_commit == kZero);
  farm.out.Clear();
}

TEST_CASE("pushes: a client that goes while a repository is looked at for it gets no answer") {
  ControllerFarm farm;
  On(farm.state, farm.out, farm.now, {kAlice, 1}, WatchRepository{kRepository});
  farm.out.Clear();
  ForgetClient(farm.state, kAlice);
  On(farm.state, farm.out, farm.now, RefsListed{kRepository, Refs{}});
  CHECK(farm.out->to_clients.empty());
  farm.out.Clear();
}
