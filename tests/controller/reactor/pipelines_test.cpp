#include "controller/reactor/pipelines.h"

#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

struct Places : ControllerFarm {
  // Returns the name of the run that a submission from this place starts.
  std::string Started(const std::string& name, const SourceInfo& info) {
    furrow::Submit request;
    request.request = Uuid{3, ++requests};
    request.text = "name: " + name + "\njobs: { a: { steps: [{ run: ls }] } }\n";
    request.info = info;
    Submit({kAlice, requests}, request);
    const auto answer = out.ToClient<Submitted>(kAlice, requests);
    note = answer.note;
    out.Clear();
    return answer.name;
  }
  std::uint64_t requests = 0;
  std::string note;
};

SourceInfo From(const std::string& repository, const std::string& file = "furrow.yaml",
                const std::string& origin = "") {
  SourceInfo info;
  info.repository = repository;
  info.file = file;
  info.origin = origin;
  return info;
}

}  // namespace

TEST_CASE("pipelines: a file of a repository is one pipeline, and its name is its own") {
  Places farm;
  CHECK(farm.Started("fashion", From("/a")) == "fashion#1");
  CHECK(farm.note.empty());
  CHECK(farm.Started("fashion", From("/b")) == "fashion-2#1");
  CHECK(farm.note.find("the name fashion belongs to furrow.yaml of /a") != std::string::npos);
  CHECK(farm.Started("fashion", From("/a")) == "fashion#2");
  CHECK(farm.Started("fashion", From("/b")) == "fashion-2#2");
  CHECK(farm.Started("fashion", From("/a", "train/furrow.yaml")) == "fashion-3#1");
  CHECK(farm.Started("other", From("/a")) == "other#1");  // The file took another name.
  CHECK(farm.Started("fashion-2", From("/c")) == "fashion-2-2#1");
  CHECK(farm.Started("fashion", {}) == "fashion#3");  // A place that is not known matches by name.
  const std::string longest(64, 'n');
  CHECK(farm.Started(longest, From("/a")) == longest + "#1");
  CHECK(farm.Started(longest, From("/b")) == longest.substr(0, 62) + "-2#1");
}

TEST_CASE("pipelines: a clone is of the pipeline of the repository that it was cloned from") {
  Places farm;
  CHECK(farm.Started("fashion", From("/srv/fashion.git")) == "fashion#1");  // a push
  CHECK(farm.Started("fashion", From("/home/ann/fashion", "furrow.yaml", "/srv/fashion.git")) == "fashion#2");
  CHECK(farm.Started("fashion", From("/home/bob/work", "furrow.yaml", "/srv/fashion.git")) == "fashion#3");
  // A clone that is watched for pushes itself is a repository of its own.
  farm.state.repositories["/home/eve/fork"];
  CHECK(farm.Started("fashion", From("/home/eve/fork", "furrow.yaml", "/srv/fashion.git")) == "fashion-2#1");
}

TEST_CASE("pipelines: the first run of a name that no place has yet takes it") {
  Places farm;
  CHECK(farm.Started("fashion", {}) == "fashion#1");
  CHECK(farm.Started("fashion", From("/a")) == "fashion#2");
  CHECK(farm.Started("fashion", From("/b")) == "fashion-2#1");
}

TEST_CASE("pipelines: every number, name and event of an accepted run is in its turn") {
  Places farm;
  furrow::Submit request;
  request.request = Uuid{3, 1};
  request.text = "name: m\njobs: { a: { shards: 3, steps: [{ run: ls }] } }\n";
  request.info = From("/a");
  farm.Submit({kAlice, 1, "ann"}, request);
  const std::vector<EventRecord> events = farm.out.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].kind == EventKind::kPipelineMade);
  CHECK(events[1].kind == EventKind::kRunAccepted);
  CHECK(events[1].by == "ann");
  CHECK(events[1].project == kDefaultProject);
  CHECK(events[1].run == RunId{1});
  CHECK(farm.out.Stored<PipelineRecord>().last_number == 0);
  farm.out.Clear();
  CHECK(farm.state.counters.run == RunId{1});
  CHECK(farm.state.counters.job == JobId{3});
  CHECK(farm.state.pipelines.FindNamed(kDefaultProject, "m")->last_number == 1);
}
