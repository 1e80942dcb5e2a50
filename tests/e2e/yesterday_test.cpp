// What older versions stored is there, whole, in the version that opens it. golden/format-1.tar.gz is the state folder
// of a busy farm, killed under its work, and what the command line of that time said of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>

#include "common/base/run_program.h"
#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A farm whose controller goes on with the state folder of yesterday.
class Yesterday {
 public:
  Yesterday() : farm({.agents = 0}) {
    farm.StopController();
    for (const char* part : {"/db", "/logs", "/blobs"}) fs::remove_all(farm.State() + part);
    const auto unpacked = RunProgram({"tar", "-xzf", GOLDEN_FOLDER "/format-1.tar.gz", "-C", farm.Folder()});
    REQUIRE(unpacked);
    REQUIRE_MESSAGE(unpacked->status == 0, unpacked->err);
  }

  Farm farm;
};

// The names of the runs of which there is an expected answer: "show-fashion-1.json" is of fashion#1.
std::vector<std::string> ExpectedRuns(const Farm& farm) {
  std::vector<std::string> runs;
  const json listed = json::parse(farm.Read("expected/runs.json"));
  for (const json& run : listed["runs"]) runs.push_back(run["name"]);
  REQUIRE(runs.size() == 13);
  return runs;
}

std::string FileOf(const char* kind, const std::string& run, const char* ending) {
  return "expected/" + (std::string(kind) + "-" + std::regex_replace(run, std::regex("#"), "-") + ending);
}

// Why a job waits is told from the agents, which are away now; a job that was never assigned waits anew.
json WithoutReasons(json shown) {
  if (!shown.contains("jobs")) return shown;
  for (json& job : shown["jobs"]) {
    job.erase("waits_for");
    if (job["state"] == "ready") job.erase("ready_ms");
  }
  return shown;
}

// Leaves of an answer what yesterday's answer had: a document grows by fields, and a reader passes over what it does
// not know.
json AsOfYesterday(json now, const json& then) {
  if (now.is_object() && then.is_object()) {
    for (auto field = now.begin(); field != now.end();)
      field = then.contains(field.key()) ? std::next(field) : now.erase(field);
    for (auto& [key, value] : now.items()) value = AsOfYesterday(std::move(value), then[key]);
  } else if (now.is_array() && then.is_array()) {
    for (std::size_t i = 0; i < std::min(now.size(), then.size()); ++i)
      now[i] = AsOfYesterday(std::move(now[i]), then[i]);
  }
  return now;
}

void CheckAnswer(Farm& farm, const std::vector<std::string>& command, const std::string& expected) {
  const json then = WithoutReasons(json::parse(farm.Read(expected)));
  CHECK(AsOfYesterday(WithoutReasons(json::parse(farm.Furrow(command).out)), then) == then);
}

void CheckEverything(Farm& farm) {
  CheckAnswer(farm, {"--json", "runs"}, "expected/runs.json");
  for (const std::string& run : ExpectedRuns(farm)) {
    CAPTURE(run);
    CheckAnswer(farm, {"--json", "show", run}, FileOf("show", run, ".json"));
    CheckAnswer(farm, {"--json", "metrics", run}, FileOf("metrics", run, ".json"));
    if (run != "long#1") CHECK(farm.Furrow({"logs", run}).out == farm.Read(FileOf("logs", run, ".txt")));
  }
  CHECK(json::parse(farm.Furrow({"--json", "artifacts", "fashion#4"}).out) ==
        json::parse(farm.Read("expected/artifacts.json")));
  CHECK(farm.Furrow({"artifacts", "fashion#4/train", "--get", "model.bin", "-o", farm / "got"}).status == 0);
  CHECK(farm.Read("got/model.bin") == "line 1\nline 2\nline 3\nline 4\nline 5\n");
  const json enrolments = json::parse(farm.Furrow({"--json", "enrol", "list"}).out)["enrolments"];
  REQUIRE(enrolments.size() == 1);
  CHECK(enrolments[0]["id"] == json::parse(farm.Read("expected/enrol.json"))["enrolments"][0]["id"]);
}

}  // namespace

TEST_CASE("yesterday: a controller goes on with all that an older one stored, however often it is started") {
  Yesterday yesterday;
  Farm& farm = yesterday.farm;
  for (int start = 0; start < 2; ++start) {
    CAPTURE(start);
    farm.StartController();
    CheckEverything(farm);
    farm.KillController();
  }
  farm.StartController();
  const std::string log = farm.ControllerLog();
  CHECK(log.find("from format 1 to format 2") == log.rfind("from format 1 to format 2"));
  CHECK_FALSE(fs::exists(farm.State() + "/db/set-aside"));

  // Numbers go on where they were, and a retry of an old run finds its jobs and its pipeline.
  farm.Write("work/furrow.yaml", "name: wide\njobs: { a: { steps: [{ run: ls }] } }\n");
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).out == "wide#3\n");
  CHECK(farm.Furrow({"retry", "broken#2", "--failed", "--detach"}).out == "broken#5\n");
  const json retried = json::parse(farm.Furrow({"--json", "show", "broken#5"}).out);
  CHECK(retried["run"]["jobs"]["passed"] == 1);
  CHECK(farm.Furrow({"logs", "broken#5/good"}).out == farm.Furrow({"logs", "broken#2/good"}).out);
}

TEST_CASE("yesterday: without its high-water mark an old folder begins a new timeline, and no number comes twice") {
  Yesterday yesterday;
  Farm& farm = yesterday.farm;
  fs::remove(farm.State() + "/db/high-water");
  farm.StartController();
  CHECK(farm.ControllerLog().find("timeline 2 of the farm begins") != std::string::npos);
  CheckEverything(farm);
  farm.Write("work/furrow.yaml", "name: wide\njobs: { a: { steps: [{ run: ls }] } }\n");
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).out == "wide#1003\n");
}

TEST_CASE("yesterday: a copy that is put back ends what agents still run of the lost time, and runs it again, once") {
  Farm farm;
  // Each attempt says in a file of its run that it begins, and holds a lock of its run as long as it lives.
  farm.Write("work/furrow.yaml", "name: w\njobs:\n  a:\n    steps:\n      - run: |\n          cd " + farm / "." +
                                     "\n          exec 9>>\"$FURROW_RUN.lock\""
                                     "\n          flock -n 9 || { echo two at once >> fault; exit 1; }"
                                     "\n          echo $FURROW_ATTEMPT >> \"$FURROW_RUN.begun\""
                                     "\n          while [ ! -e go ]; do sleep 0.05; done\n");
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).out == "w#1\n");
  REQUIRE(Farm::Until([&] { return farm.Read("w#1.begun") == "1\n"; }));
  farm.StopController();
  fs::copy(farm.State() + "/db", farm / "copy", fs::copy_options::recursive);
  farm.StartController();
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).out == "w#2\n");  // of the time that is lost
  REQUIRE(Farm::Until([&] { return farm.Read("w#2.begun") == "1\n"; }));
  farm.StopController();

  fs::remove_all(farm.State() + "/db");
  fs::copy(farm / "copy", farm.State() + "/db", fs::copy_options::recursive);
  fs::remove(farm.State() + "/db/high-water");
  farm.StartController();
  const std::string again = std::to_string((1 << 20) + 1);
  CHECK(Farm::Until([&] { return farm.Read("w#1.begun") == "1\n" + again + "\n"; }));
  CHECK(Farm::Until([&] {
    const auto locked = RunProgram({"flock", "-n", farm / "w#2.lock", "true"});
    return locked && locked->status == 0;
  }));
  farm.Write("go", "");
  CHECK(farm.AwaitJob("w#1/a", "passed"));
  CHECK(farm.Read("fault").empty());
  CHECK(farm.Read("w#2.begun") == "1\n");
  CHECK(farm.Furrow({"show", "w#2"}).status == 4);
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).out == "w#1002\n");
}

}  // namespace furrow
