// Disks that fill up under the real programs: small tmpfs mounts, so only root runs these tests.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/run_program.h"
#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

bool MayMount() {
  const bool root = ::geteuid() == 0;
  if (!root) MESSAGE("skipped: only root can mount");
  return root;
}

// A small filesystem over a folder, which keeps what the folder held. Nobody may write there meanwhile. The agents of a
// controller's state folder stay on the disk where they are.
class SmallDisk {
 public:
  SmallDisk(std::string folder, const std::string& size) : folder_(std::move(folder)) {
    const std::string aside = folder_ + ".aside";
    fs::rename(folder_, aside);
    fs::create_directory(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("mode=0700,size=" + size).c_str()) == 0;
    for (const auto& entry : fs::directory_iterator(aside)) {
      const std::string there = folder_ / entry.path().filename();
      if (entry.path().filename() != "agents") {
        REQUIRE(RunProgram({"cp", "-a", entry.path(), there})->status == 0);
        continue;
      }
      fs::create_directory(there);
      REQUIRE(::mount(entry.path().c_str(), there.c_str(), "", MS_BIND, nullptr) == 0);
      agents_ = there;
    }
  }
  ~SmallDisk() {
    if (!agents_.empty()) ::umount2(agents_.c_str(), MNT_DETACH);
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Takes all the space there is.
  void Fill() const {
    const int fd = ::open((folder_ + "/fill").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    const std::string block(4096, 'x');
    while (fd >= 0 && ::write(fd, block.data(), block.size()) > 0) {
    }
    ::close(fd);
  }
  void Free() const { fs::remove(folder_ + "/fill"); }

 private:
  const std::string folder_;
  std::string agents_;
  bool mounted_ = false;
};

constexpr const char* kSmallJob = "name: s\njobs: { a: { steps: [{ run: echo said }] } }\n";
constexpr const char* kControllerYaml = "disk:\n  low: 4MiB\n  ballast: 2MiB\n";

}  // namespace

TEST_CASE("disk: a controller starts on a full disk, or says what is full and goes on when there is room") {
  if (!MayMount()) return;
  for (const std::string part : {"", "/db", "/logs", "/blobs"}) {
    CAPTURE(part);
    Farm farm({.controller_yaml = kControllerYaml});
    farm.Write("work/furrow.yaml", kSmallJob);
    REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
    farm.StopController();
    const SmallDisk disk(farm.State() + part, "64m");
    fs::remove(farm.State() + part + "/ballast");
    disk.Fill();
    const bool needs_room = part.empty() || part == "/db";
    // The farm's processes end with the thread that starts them, so another one makes room.
    auto room = std::async(std::launch::async, [&] {
      if (!needs_room) return true;
      const bool said = Farm::Until([&] { return Says(farm.ControllerLog(), "waiting for room"); });
      disk.Free();
      return said;
    });
    farm.StartController();
    CHECK(room.get());
    if (needs_room) {
      CHECK(Says(farm.ControllerLog(), "the disk of " + farm.State() + part + " is full: a start needs"));
      CHECK(Says(farm.ControllerLog(), "Delete something on that disk"));
    }
    CHECK(Says(farm.Furrow({"show", "s#1"}).out, "passed"));
    CHECK(farm.Furrow({"logs", "s#1"}).out == "said\n");
    if (!needs_room) {
      CHECK(Says(farm.Furrow({"run", farm / "work"}).err, "no new work is accepted: the controller's disk is full"));
      disk.Free();
    }
    CHECK(Farm::Until([&] { return farm.Furrow({"run", farm / "work"}).status == 0; }));
  }
}

TEST_CASE("disk: of a controller's disks any one may fill up: new work is refused with a word, what is there is read") {
  if (!MayMount()) return;
  for (const std::string part : {"", "/db", "/logs", "/blobs", "/mirrors"}) {
    CAPTURE(part);
    Farm farm({.controller_yaml = kControllerYaml});
    farm.Write("work/furrow.yaml", kSmallJob);
    farm.StopController();
    const SmallDisk disk(farm.State() + part, "64m");
    farm.StartController();
    REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
    REQUIRE(Farm::Until([&] { return fs::exists(farm.State() + part + "/ballast"); }));
    disk.Fill();
    // The controller has seen it when its ballast is gone.
    REQUIRE(Farm::Until([&] { return !fs::exists(farm.State() + part + "/ballast"); }));
    const CliResult refused = farm.Furrow({"run", farm / "work"});
    disk.Fill();  // what the ballast gave
    CHECK(Says(refused.err, "no new work is accepted: the controller's disk is"));
    CHECK(Says(refused.err, "free space on it, nothing need be restarted"));
    CHECK(Says(farm.Furrow({"show", "s#1"}).out, "passed"));
    CHECK(farm.Furrow({"logs", "s#1"}).out == "said\n");
    CHECK(farm.Furrow({"runs"}).status == 0);
    disk.Free();
    CHECK(Farm::Until([&] { return farm.Furrow({"run", farm / "work"}).status == 0; }));
  }
}

TEST_CASE("disk: what ends while a controller's disk is full waits, whole, and ends nothing else") {
  if (!MayMount()) return;
  for (const std::string part : {"/logs", "/db"}) {
    CAPTURE(part);
    Farm farm({.controller_yaml = kControllerYaml});
    farm.StopController();
    const SmallDisk disk(farm.State() + part, "64m");
    farm.StartController();
    // More than the database has room for in the files that it has.
    farm.Write("work/furrow.yaml", "name: w\njobs:\n  a:\n    steps:\n      - run: |\n          until test -e " +
                                       farm / "go" +
                                       "; do sleep 0.1; done\n          seq 500\n"
                                       "          seq -f '{\"value\": %.0f}' 30000 > $FURROW_METRICS\n");
    REQUIRE(farm.Furrow({"run", farm / "work", "--detach"}).status == 0);
    REQUIRE(farm.AwaitJob("w", "running"));
    disk.Fill();
    REQUIRE(Farm::Until([&] { return !fs::exists(farm.State() + part + "/ballast"); }));
    disk.Fill();
    farm.Write("go", "");
    REQUIRE(Farm::Until([&] { return Says(farm.ControllerLog(), "waits for space"); }));
    CHECK(farm.ControllerRuns());
    // Everything that is on the disk can be read, with a word about the rest.
    const CliResult shown = farm.Furrow({"show", "w"});
    CHECK(shown.status == 0);
    CHECK(Says(shown.out, "room to keep what it did: the controller's disk is full"));
    CHECK(Says(farm.Furrow({"runs"}).out, "w#1"));
    CHECK(Says(farm.Furrow({"agents"}).out, "agent-1"));
    for (const char* command : {"why", "metrics"}) CHECK(farm.Furrow({command, "w"}).status == 0);
    CHECK(Says(farm.Furrow({"run", farm / "work"}).err, "no new work is accepted"));
    disk.Free();
    CHECK(farm.AwaitJob("w", "passed"));
    CHECK(Says(farm.Furrow({"logs", "w"}).out, "\n499\n500\n"));
  }
}

TEST_CASE("disk: a job that fails or prints on an agent's full disk is lost, told as such and tried elsewhere") {
  if (!MayMount()) return;
  Farm farm({.agents = 2, .agent_yaml = "disk:\n  low: 8MiB\n"});
  farm.StopAgent(1, SIGINT);
  const SmallDisk disk(farm.AgentFolder(1), "64m");
  farm.StartAgent(1);
  const auto noted = [&](const std::string& name) {
    const json list = json::parse(farm.Furrow({"--json", "agents"}).out);
    for (const auto& agent : list["agents"])
      if (agent["name"] == name) return agent["note"].get<std::string>();
    return std::string("no such agent");
  };
  const std::string kManyFiles =
      "head -c 62M /dev/zero > big; for i in $(seq 300); do mkdir -p d$i && head -c 20000 /dev/zero > d$i/f || exit 9; "
      "done";
  // Each fills the disk that it is on, unless that is the larger one of the second agent.
  const std::vector<std::string> jobs = {
      "head -c 100M /dev/zero > big",
      "head -c 100M /dev/zero > big || { rm big; echo gave up: No space left on device; exit 3; }",
      "head -c 100M /dev/zero > big || true; for i in $(seq 80); do echo line $i of a longer text; done; seq 20000",
      "seq 12000000",
      "trap 'rm -f big; sleep 0.3' EXIT; head -c 100M /dev/zero > big && tail -c 1 big > /dev/null",
      kManyFiles,
  };
  for (const std::string& job : jobs) {
    CAPTURE(job);
    farm.Furrow({"drain", "agent-2"});
    farm.StopAgent(1, SIGINT);  // An agent rests after its disk was full; a new one does not.
    farm.StartAgent(1);
    REQUIRE(Farm::Until([&] { return noted("agent-1").empty(); }));
    farm.Write("work/furrow.yaml", "name: d\njobs:\n  a:\n    steps:\n      - run: |\n          " + job + "\n");
    const CliResult begun = farm.Furrow({"--json", "run", farm / "work", "--detach"});
    REQUIRE(begun.status == 0);
    REQUIRE(Farm::Until([&] { return Says(noted("agent-1"), "its disk is"); }));
    farm.Furrow({"resume", "agent-2"});
    const CliResult done = farm.Furrow({"show", "d", "-f"});
    const std::string shown = farm.Furrow({"--json", "show", "d"}).out;
    CAPTURE(shown);
    CHECK(done.status == 0);
    CHECK(json::parse(shown)["jobs"][0]["agent"] == "agent-2");
  }
  farm.Furrow({"drain", "agent-2"});
  REQUIRE(Farm::Until([&] { return noted("agent-1").empty(); }));
  farm.Write("work/furrow.yaml",
             "name: o\njobs: { a: { retry: { max: 0 }, steps: [{ run: head -c 100M /dev/zero > big }] } }\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
  const std::string shown = farm.Furrow({"show", "o"}).out;
  CHECK(Says(shown, "lost: "));
  const std::string full = "this agent's disk (" + farm.AgentFolder(1) + ") was full while it ran";
  CHECK(Says(shown, full));

  // What ends well as soon as the disk is full passes with a word, and is lost where an artifact is missing.
  struct Quick {
    std::string job;
    int status;
    std::string words;
  };
  for (const Quick& quick :
       {Quick{"steps: [{ run: head -c 100M /dev/zero > big 2> /dev/null || true }]", 0, full},
        Quick{"artifacts: [m], steps: [{ run: head -c 100M /dev/zero > big 2> /dev/null || true }]", 1,
              full + ": the steps passed, but"}}) {
    CAPTURE(quick.job);
    farm.StopAgent(1, SIGINT);
    farm.StartAgent(1);
    REQUIRE(Farm::Until([&] { return noted("agent-1").empty(); }));
    farm.Write("work/furrow.yaml", "name: q\njobs: { a: { retry: { max: 0 }, " + quick.job + " } }\n");
    const CliResult ran = farm.Furrow({"run", farm / "work"});
    const std::string said = farm.Furrow({"--json", "show", "q"}).out;
    CAPTURE(ran.err);
    CAPTURE(said);
    CHECK(ran.status == quick.status);
    CHECK(Says(said, quick.words));
  }
}

TEST_CASE("disk: one without free inodes is told as such, and what fails for it is lost") {
  if (!MayMount()) return;
  Farm farm({.agents = 1});
  farm.StopAgent(1, SIGINT);
  const SmallDisk disk(farm.AgentFolder(1), "4g,nr_inodes=300");
  farm.StartAgent(1);
  farm.Write(
      "work/furrow.yaml",
      "name: n\njobs: { a: { retry: { max: 0 }, steps: [{ run: for i in $(seq 400); do echo > f$i || exit 9; done }] "
      "} }\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
  CHECK(Says(farm.Furrow({"show", "n"}).out, "was full while it ran"));
  CHECK(Says(farm.Furrow({"--json", "agents"}).out, "its disk is full: no free inodes"));
}

}  // namespace furrow
