// What a person does to a running farm: changes its configuration, looks at its log, asks the doctor.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/run_program.h"
#include "tests/support/farm.h"

namespace furrow {
namespace {

using nlohmann::json;

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

std::string AgentYaml(const Farm& farm) {
  return farm.AgentFolder(1) + "/agent.yaml";
}

void Append(const std::string& file, const std::string& text) {
  std::ofstream(file, std::ios::app) << text;
}

std::string Read(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// `text` with the rest of the line behind `key` replaced.
std::string WithKey(const std::string& text, const std::string& key, const std::string& value) {
  const std::size_t at = text.find(key + ":");
  REQUIRE(at != std::string::npos);
  return text.substr(0, at) + key + ": " + value + text.substr(text.find('\n', at));
}

struct Examined {
  int status = 0;
  json findings;

  // The grade and the cure of the first finding about `subject`; "none" where there is none.
  std::string Grade(const std::string& subject) const {
    for (const auto& one : findings)
      if (one["subject"] == subject) return one["grade"];
    return "none";
  }
  std::string Words(const std::string& subject) const {
    for (const auto& one : findings)
      if (one["subject"] == subject) return std::string(one["found"]) + " / " + std::string(one["cure"]);
    return "none";
  }
};

Examined Doctor(const std::string& program, const std::string& config) {
  const auto said = RunProgram({ProgramFolder() + "/" + program, "--config", config, "doctor", "--json"});
  REQUIRE(said);
  INFO(said->err);
  return {said->status, json::parse(said->out)["reports"][0]["findings"]};
}

}  // namespace

TEST_CASE("SIGHUP: an agent's new labels are seen by the controller, and what needs a restart is said") {
  Farm farm;
  Append(AgentYaml(farm), "offer:\n  labels: [nvme]\nkey: other.key\nlog:\n  level: debug\n");
  ::kill(farm.AgentPid(1), SIGHUP);
  REQUIRE(Farm::Until([&] {
    return json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["labels"] == json{"nvme"};
  }));
  CHECK(Says(farm.AgentLog(1), "key has changed in"));
  CHECK(Says(farm.AgentLog(1), "changed: offer.labels, log.level"));

  std::filesystem::rename(AgentYaml(farm), AgentYaml(farm) + ".away");
  ::kill(farm.AgentPid(1), SIGHUP);
  CHECK(Farm::Until([&] { return Says(farm.AgentLog(1), "the configuration stays as it is"); }));
  CHECK(farm.AgentRuns(1));
}

TEST_CASE("an agent whose disk is nearly full takes no new jobs, says so, and takes them again when there is room") {
  Farm farm;
  Append(AgentYaml(farm), "disk:\n  low: 1000000TiB\n");
  ::kill(farm.AgentPid(1), SIGHUP);
  const auto note = [&] { return json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["note"].dump(); };
  REQUIRE(Farm::Until([&] { return Says(note(), "it gets no new jobs: its disk is nearly full"); }));
  farm.Write("work/furrow.yaml", "name: d\njobs:\n  a:\n    steps: [{run: echo begun}]\n");
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).status == 0);
  CHECK(Says(farm.Furrow({"why", "d#1"}).out, "its disk is nearly full"));

  const std::string roomy = WithKey(Read(AgentYaml(farm)), "  low", "0");
  std::ofstream(AgentYaml(farm), std::ios::trunc) << roomy;
  ::kill(farm.AgentPid(1), SIGHUP);
  CHECK(farm.Furrow({"show", "d#1", "-f"}).status == 0);
  CHECK(note() == "\"\"");
  CHECK(Says(farm.AgentLog(1), "has room again"));
}

TEST_CASE("SIGHUP: a controller's broken file is reported and changes nothing; its log goes over to a new file") {
  Farm farm;
  const std::string config = farm.State() + "/controller.yaml";
  const std::string good = Read(config);
  Append(config, "nonsense: 1\n");
  ::kill(farm.ControllerPid(), SIGHUP);
  REQUIRE(Farm::Until([&] { return Says(farm.ControllerLog(), "unknown key `nonsense`"); }));
  std::ofstream(config) << good << "agents:\n  lease: 20m\n  max: 5\nlog:\n  file: " << farm / "controller.log"
                        << "\n";
  ::kill(farm.ControllerPid(), SIGHUP);
  REQUIRE(Farm::Until([&] { return Says(farm.ControllerLog(), "agents.lease has changed in"); }));
  REQUIRE(Farm::Until([&] { return std::filesystem::exists(farm / "controller.log"); }));
  CHECK(Says(farm.ControllerLog(), "changed: agents.max, log.file"));
  farm.StopController();
  CHECK(Says(farm.Read("controller.log"), "stopped"));
}

TEST_CASE("doctor: a farm in order has no errors, and is found by the command line") {
  Farm farm;
  const Examined agent = Doctor("furrow-agent", AgentYaml(farm));
  CHECK(agent.status == 0);
  for (const char* subject : {"process", "state folder", "disk", "control port", "bulk port", "controller", "key",
                              "clock", "GPUs", "furrow-runner"}) {
    CAPTURE(agent.Words(subject));
    CHECK(agent.Grade(subject) == "ok");
  }
  const Examined controller = Doctor("furrow-controller", farm.State() + "/controller.yaml");
  for (const char* subject : {"process", "state folder", "key", "allowlist", "port", "controller", "clock"}) {
    CAPTURE(controller.Words(subject));
    CHECK(controller.Grade(subject) == "ok");
  }
  const CliResult all = farm.Furrow({"--json", "doctor"});
  CHECK(all.status == 0);
  CHECK(json::parse(all.out)["reports"].size() == 3);
}

TEST_CASE("doctor: what is wrong with a machine is found") {
  Farm farm;
  const std::string config = AgentYaml(farm);
  const std::string good = Read(config);

  ::chmod((farm.AgentFolder(1) + "/agent.key").c_str(), 0644);
  const Examined mode = Doctor("furrow-agent", config);
  CHECK(mode.status == 1);
  CHECK(Says(mode.Words("key"), "chmod 0600"));
  ::chmod((farm.AgentFolder(1) + "/agent.key").c_str(), 0600);

  std::ofstream(config) << WithKey(good, "control", "127.0.0.1:1");
  CHECK(Says(Doctor("furrow-agent", config).Words("control port"), "nothing listens on 127.0.0.1:1"));
  std::ofstream(config) << WithKey(good, "control", "no-such-host.invalid:7071");
  CHECK(Doctor("furrow-agent", config).Grade("control port") == "error");
  std::ofstream(config) << "nonsense: 1\n" << good;
  const Examined broken = Doctor("furrow-agent", config);
  CHECK(broken.status == 1);
  CHECK(Says(broken.Words("configuration"), "unknown key `nonsense`"));

  // Its key is no longer allowed in.
  std::ofstream(config) << good;
  const std::string allowlist = farm.State() + "/allowlist";
  std::string kept;
  std::ifstream lines(allowlist);
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("agent ")) kept += line + "\n";
  std::ofstream(allowlist) << kept;
  CHECK(Farm::Until([&] { return Says(Doctor("furrow-agent", config).Words("admission"), "furrow enrol new"); }));

  farm.KillController();
  const Examined away = Doctor("furrow-agent", config);
  CHECK(away.Grade("control port") == "error");
  CHECK(Doctor("furrow-controller", farm.State() + "/controller.yaml").Grade("process") == "warning");
}

TEST_CASE("doctor: a disk that is full") {
  if (::geteuid() != 0) return;  // cannot mount one
  const TempFolder folder;
  std::filesystem::create_directory(folder / "state");
  if (::mount("none", (folder / "state").c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0) return;
  folder.Write("agent.yaml", "state: state\n");
  const Examined full = Doctor("furrow-agent", folder / "agent.yaml");
  ::umount2((folder / "state").c_str(), MNT_DETACH);
  CHECK(full.Grade("disk") == "error");
  CHECK(Says(full.Words("disk"), "less than the 1.0 GiB"));
  CHECK(full.Grade("enrolment") == "warning");
}

TEST_CASE("a machine without a GPU that is meant to have one does not offer itself, and the doctor says why") {
  const TempFolder folder;
  folder.Write("agent.yaml",
               "state: state\noffer:\n  least_gpus: 1\nnvml: /no/such/nvml.so\ncontroller:\n  control: "
               "127.0.0.1:1\n  bulk: 127.0.0.1:2\n  key: \"" +
                   std::string(40, 'a') + "\"\n");
  const auto started = RunProgram({ProgramFolder() + "/furrow-agent", "--config", folder / "agent.yaml"});
  REQUIRE(started);
  CHECK(started->status == 1);
  CHECK(Says(started->err, "offer.least_gpus is 1, but no GPU can be offered"));
  CHECK(Says(Doctor("furrow-agent", folder / "agent.yaml").Words("GPUs"), "offer.least_gpus is 1"));
}

}  // namespace furrow
