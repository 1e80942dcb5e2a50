// What is known of repositories, and the words about pushes that start nothing.
#include "controller/reactor/repositories.h"

#include <functional>

#include "common/pipeline/pipeline.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/turn.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

const std::string kOne = "/srv/git/one.git";
const std::string kMain = "refs/heads/main";
const std::string kZero(40, '0');
const std::string kA(40, 'a');
const std::string kB(40, 'b');
constexpr const char* kFile = "on: { push: {} }\njobs: { t: { steps: [{ run: x }] } }\n";

using Refs = std::map<std::string, std::string>;

struct Watched : ControllerFarm {
  void Look(const std::string& repository, RefsListed listed) {
    listed.repository = repository;
    if (!state.repositories.contains(repository)) {
      On(state, out, now, {kAlice, 90}, WatchRepository{repository});
      out.Git<LookAtRefs>();
      out.Clear();
      On(state, out, now, listed);
      out->to_clients.clear();
      return;
    }
    On(state, out, now, listed);
  }
  RefsListed Found(const std::string& identity, bool hooked = true) const {
    RefsListed listed;
    listed.refs = Refs{{kMain, kA}};
    listed.identity = identity;
    listed.hooked = hooked;
    return listed;
  }
  RefsListed Lost() const { return {"", Fail(Errc::kNotFound, "there is no repository")}; }

  // Tells of a push, and answers its import.
  void Push(const std::string& repository, ImportedCommit commit, std::uint64_t number) {
    commit.repository = repository;
    commit.commit = kB;
    On(state, out, now, {kAlice, number}, Trigger{Uuid{9, number}, repository, kMain, kA, kB});
    const auto import = out.Git<ImportCommit>();
    PreparedPipeline file;
    if (commit.has_pipeline) file = PrepareFile(commit.pipeline_text, "one");
    out->records.clear();
    On(state, out, now, CommitImported{import.ticket, std::move(commit), std::move(file)});
  }
  static ImportedCommit With(const std::string& text) {
    ImportedCommit commit;
    commit.pipeline_text = text;
    commit.has_pipeline = !text.empty();
    return commit;
  }
  RepositoryView View() {
    out.Clear();
    On(state, out, now, {kAlice, 99}, ListRepositories{});
    const auto list = out.ToClient<RepositoryList>(kAlice, 99);
    REQUIRE(list.repositories.size() == 1);
    return list.repositories.front();
  }
};

}  // namespace

TEST_CASE("repositories: each push that starts nothing says why, to its author and in the list") {
  const std::pair<ImportedCommit, const char*> cases[] = {
      {Watched::With(""), "there is no furrow.yaml"},
      {Watched::With("jobs: { t: { steps: [{ run: x }] } }\n"), "has no `on: push`"},
      {Watched::With("on: { push: { branches: [dev, \"rel/*\"] } }\njobs: { t: { steps: [{ run: x }] } }\n"),
       "[dev, rel/*], do not take main"},
      {Watched::With("on: { push: { paths: [src] } }\njobs: { t: { steps: [{ run: x }] } }\n"),
       "[src], take none of it, for it changes no file"},
      {Watched::With("jobs: { t: { setps: [] } }\n"), "furrow.yaml:1:14"}};
  for (const auto& [commit, words] : cases) {
    const auto& shown = words;  // a lambda cannot take a part of a binding
    CAPTURE(shown);
    Watched farm;
    farm.Look(kOne, farm.Found("1:1"));
    farm.Push(kOne, commit, 1);
    REQUIRE(farm.out->to_clients.size() == 1);
    const ClientReply& reply = farm.out->to_clients[0].message;
    const std::string said = std::holds_alternative<Submitted>(reply)
                                 ? std::get<Submitted>(reply).note
                                 : FormatDiagnostics("furrow.yaml", std::get<Failure>(reply).diagnostics);
    CHECK(said.find(words) != std::string::npos);
    const auto view = farm.View();
    REQUIRE(view.last_push);
    CHECK(view.last_push->ref == kMain);
    CHECK(view.last_push->commit == kB);
    CHECK(view.last_push->run.empty());
    CHECK(view.last_push->note.find(words) != std::string::npos);
    CHECK(view.pushes_waiting == 0);
  }
}

TEST_CASE("repositories: the hint at another file, tags and deleted branches are told, too") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  ImportedCommit commit;
  commit.hint = "there is furrow.yml; call it furrow.yaml";
  farm.Push(kOne, commit, 1);
  CHECK(farm.View().last_push->note.find("but there is furrow.yml") != std::string::npos);
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Trigger{Uuid{9, 2}, kOne, "refs/tags/v1", kZero, kA});
  CHECK(farm.View().last_push->note == "only pushes to branches start runs");
  On(farm.state, farm.out, farm.now, {kAlice, 3}, Trigger{Uuid{9, 3}, kOne, kMain, kA, kZero});
  CHECK(farm.View().last_push->note == "a deleted branch starts nothing");
  CHECK(farm.View().branches == 0);
}

TEST_CASE("repositories: a run says how its sources differ from a checkout") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  ImportedCommit commit = Watched::With(kFile);
  commit.notes = {"submodule lib left out", std::string(10'000, 'x') + "\xff"};
  farm.Push(kOne, commit, 1);
  const auto answer = farm.out.ToClient<Submitted>(kAlice, 1);
  CHECK(answer.name == "one#1");
  CHECK(answer.note.find("submodule lib left out") != std::string::npos);
  const SourceInfo& info = farm.state.runs.begin()->second.record.info;
  REQUIRE(info.notes.size() == 2);
  CHECK(info.notes[0] == "submodule lib left out");
  CHECK(info.notes[1].size() <= kMaxSourceNoteBytes);
  CHECK(farm.View().last_push->run == "one#1");
}

TEST_CASE("repositories: more changed paths than are listed start what any of them may ask for") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  ImportedCommit commit = Watched::With("on: { push: { paths: [src] } }\njobs: { t: { steps: [{ run: x }] } }\n");
  commit.changed_paths = {"doc/a"};
  commit.all_paths = false;
  farm.Push(kOne, commit, 1);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).name == "one#1");
  farm.out.Clear();
}

TEST_CASE("repositories: one that cannot be read, or lost its hook, is told once, and looked at less and less often") {
  Watched farm;
  farm.state.settings.repository_poll = std::chrono::seconds(30);
  farm.Look(kOne, farm.Found("1:1"));
  farm.out.Clear();
  CHECK(farm.View().hooked);
  CHECK(farm.View().problem.empty());

  Duration waited{};
  for (int i = 0; i < 12; ++i) {
    farm.Look(kOne, farm.Lost());
    if (i == 0) CHECK(farm.out.Warning().find("there is no repository") != std::string::npos);
    CHECK(farm.out->warnings.empty());
    CHECK(farm.View().problem.find("furrow repos rm " + kOne) != std::string::npos);
    waited = Duration{};
    while (farm.out->repositories.empty()) {
      farm.now.mono = farm.now.mono + std::chrono::seconds(15);
      waited += std::chrono::seconds(15);
      LookAtRepositories(farm.state, farm.out, farm.now);
    }
    farm.out.Clear();
    CHECK(waited >= std::min<Duration>(std::chrono::seconds(30) * (1 << i), std::chrono::hours(1)));
    CHECK(waited <= std::chrono::hours(1));
  }
  CHECK(waited == std::chrono::hours(1));
  farm.Look(kOne, farm.Found("1:1", false));
  CHECK(farm.out.Warning().find("its hook is gone") != std::string::npos);
  CHECK_FALSE(farm.View().hooked);
  farm.Look(kOne, farm.Found("1:1"));
  CHECK(farm.out.Warning().find("well again") != std::string::npos);
  CHECK(farm.View().problem.empty());
  farm.out.Clear();
}

TEST_CASE("repositories: one under two paths is one, whoever tells of it") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  farm.out.Clear();
  CHECK(KnownPath(farm.state, kOne + "/") == kOne);
  CHECK(KnownPath(farm.state, "/srv/work/.git") == "/srv/work");

  // A look at another path, such as a bind mount.
  farm.Look("/mnt/one.git", farm.Found("1:1"));
  CHECK(farm.state.repositories.size() == 1);
  CHECK(farm.out.Stored<EraseRepository>().key == "/mnt/one.git");
  CHECK(farm.out.Warning().find("by another path") != std::string::npos);
  farm.out.Clear();

  // A push by it is one of the watched path, and has one run though a look finds it, too.
  ImportedCommit commit = Watched::With(kFile);
  commit.identity = "1:1";
  farm.Push("/mnt/one.git", commit, 1);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).name == "one#1");
  farm.out.Clear();
  CHECK(farm.state.runs.begin()->second.record.info.repository == kOne);
  CHECK(farm.state.repositories.size() == 1);
  farm.Push("/mnt/one.git", commit, 2);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 2).repeated);
  farm.out.Clear();
  CHECK(farm.state.runs.size() == 1);
}

TEST_CASE("repositories: one that was renamed is the same one, whoever finds out first") {
  const std::string renamed = "/srv/git/renamed.git";
  ImportedCommit commit = Watched::With(kFile);
  commit.identity = "1:1";
  const std::pair<const char*, std::function<void(Watched&)>> ways[] = {
      {"a look misses it, then a push comes from the new path",
       [&](Watched& farm) {
         farm.Look(kOne, farm.Lost());
         farm.out.Clear();
         farm.Push(renamed, commit, 2);
       }},
      {"a push comes from the new path, then a look misses it",
       [&](Watched& farm) {
         farm.Push(renamed, commit, 2);
         farm.out.Clear();
         farm.Look(kOne, farm.Lost());
       }},
      {"a look misses it, then somebody watches the new path",
       [&](Watched& farm) {
         farm.Look(kOne, farm.Lost());
         farm.out.Clear();
         farm.Look(renamed, farm.Found("1:1"));
       }},
      {"somebody watches the new path, then a look misses it",
       [&](Watched& farm) {
         farm.Look(renamed, farm.Found("1:1"));
         farm.out.Clear();
         farm.Look(kOne, farm.Lost());
       }},
      {"the controller was restarted before anybody looked",
       [&](Watched& farm) {
         Repository& repository = farm.state.repositories.at(kOne);
         RepositoryRecord record = repository.record;
         repository = Repository{};
         repository.record = std::move(record);
         farm.Look(kOne, farm.Lost());
         farm.Push(renamed, commit, 2);
       }},
  };
  for (const auto& way : ways) {
    CAPTURE(way.first);
    Watched farm;
    farm.Look(kOne, farm.Found("1:1"));
    farm.Push(kOne, commit, 1);
    CHECK(farm.out.ToClient<Submitted>(kAlice, 1).name == "one#1");
    farm.out.Clear();
    way.second(farm);
    farm.out.Clear();
    REQUIRE(farm.state.repositories.size() == 1);
    CHECK(farm.state.repositories.begin()->first == renamed);
    const auto view = farm.View();
    CHECK(view.repository == renamed);
    CHECK(view.problem.empty());
    farm.Look(renamed, farm.Found("1:1"));
    farm.out.Clear();
    ImportedCommit next = commit;
    farm.Push(renamed, next, 3);  // one repository, one sequence of numbers
    const std::string name = farm.out.ToClient<Submitted>(kAlice, 3).name;
    CHECK((name == "one#2" || name == "one#3"));
    farm.out.Clear();
    for (const auto& [id, pipeline] : farm.state.pipelines.all()) CHECK(pipeline.origin == renamed);
    CHECK(farm.state.pipelines.all().size() == 1);
  }
}

TEST_CASE("repositories: another one in the place of one that is gone is another one") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  farm.Look(kOne, farm.Lost());
  farm.out.Clear();
  farm.Look("/srv/git/other.git", farm.Found("1:2"));
  CHECK(farm.state.repositories.size() == 2);
  farm.out.Clear();
}

TEST_CASE("repositories: one is forgotten with its pushes, and those who wait for it hear of it") {
  Watched farm;
  farm.Look(kOne, farm.Found("1:1"));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Trigger{Uuid{9, 1}, kOne, kMain, kA, kB});
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, {kAlice, 2}, ForgetRepository{kOne + "/"});
  CHECK(farm.out.Stored<EraseRepository>().key == kOne);
  farm.out.Stored<ErasePush>();
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).code == Errc::kRejected);
  CHECK(farm.out.ToClient<Done>(kAlice, 2).text.find("its hook still tells of pushes") != std::string::npos);
  CHECK(farm.state.repositories.empty());
  CHECK(farm.state.pushes.empty());
  On(farm.state, farm.out, farm.now, {kAlice, 3}, ForgetRepository{kOne});
  CHECK(farm.out.ToClient<Failure>(kAlice, 3).code == Errc::kNotFound);
  CHECK(farm.out.empty());
}
