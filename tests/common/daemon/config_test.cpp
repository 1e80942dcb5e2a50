#include "common/daemon/config.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace furrow {
namespace {

using std::chrono::milliseconds;

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string ControllerMistakes(const std::string& text) {
  const auto config = ParseControllerConfig(text, "controller.yaml");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Errc::kInvalid);
  return config.error().message;
}

std::string AgentMistakes(const std::string& text) {
  const auto config = ParseAgentConfig(text, "agent.yaml");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Errc::kInvalid);
  return config.error().message;
}

// Keys that may stand in `section` ("" for the file itself), from the message for one that may not.
template <class Parse>
std::vector<std::string> KeysOf(const std::string& section, Parse parse) {
  const std::string wrong = section.empty() ? "qqqqqqqqqqqq: 1\n" : section + ": { qqqqqqqqqqqq: 1 }\n";
  const auto config = parse(wrong, "f");
  REQUIRE_FALSE(config);
  const std::string message = config.error().message;
  std::vector<std::string> keys;
  std::size_t at = message.find("the keys here are ");
  REQUIRE(at != std::string::npos);
  while ((at = message.find('`', at)) != std::string::npos) {
    const std::size_t end = message.find('`', at + 1);
    keys.push_back(message.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return keys;
}

template <class Parse>
void CheckEveryKeyStandsIn(const std::string& text, const std::vector<std::string>& sections, Parse parse) {
  for (const std::string& section : sections) {
    const std::size_t from = section.empty() ? 0 : text.find("\n" + section + ":");
    REQUIRE(from != std::string::npos);
    for (const std::string& key : KeysOf(section, parse)) {
      CAPTURE(section);
      CAPTURE(key);
      CHECK(text.find((section.empty() ? "\n" : "\n  ") + key + ":", from) != std::string::npos);
    }
  }
}

TEST_CASE("config: controller.yaml as we ship it holds every key, each with its default") {
  const std::string path = std::string(CONFIG_FOLDER) + "/controller.yaml";
  const auto config = LoadControllerConfig(path);

  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(*config == ControllerConfig{});
  CheckEveryKeyStandsIn(Read(path), {"", "ports", "agents", "jobs", "runs", "disk", "repos", "log"},
                        ParseControllerConfig);
}

TEST_CASE("config: agent.yaml as we ship it holds every key, each with its default") {
  const std::string path = std::string(CONFIG_FOLDER) + "/agent.yaml";
  const auto config = LoadAgentConfig(path);

  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(*config == AgentConfig{});
  CheckEveryKeyStandsIn(Read(path), {"", "controller", "offer", "jobs", "log"}, ParseAgentConfig);
}

TEST_CASE("config: an empty file gives the defaults") {
  CHECK(*ParseControllerConfig("", "f") == ControllerConfig{});
  CHECK(*ParseControllerConfig("# nothing but words\n", "f") == ControllerConfig{});
  CHECK(*ParseAgentConfig("", "f") == AgentConfig{});
}

TEST_CASE("config: a key that an older version knew stops no start, and is said to mean nothing") {
  const auto config = ParseControllerConfig("frames: { from_agents: 1MiB, from_clients: 16MiB }\n", "f");
  REQUIRE_MESSAGE(config, config.error().message);
  REQUIRE(config->warnings.size() == 1);
  CHECK(config->warnings[0].find("`frames` means nothing any more") == 0);
  CHECK(ParseControllerConfig("", "f")->warnings.empty());
}

TEST_CASE("config: every key of the controller is read") {
  const auto config = ParseControllerConfig(R"(
listen: "[::1]"
ports: { control: 1, bulk: 0, enrol: 3 }
advertise: farm.example
state: /s
key: /k
allowlist: /a
agents: { heartbeat: 1s, lease: 3s, max: 7, prefetch: 0 }
jobs: { log_quota: 0 }
runs: { keep_in_memory: 0 }
events: { keep_days: 7 }
disk: { low: 2GiB, ballast: 1MiB }
repos: { poll: 0, timeout: 1m, allow: [/srv/git/, "https://git.example/"] }
log: { level: debug, file: /l }
)",
                                            "f");
  ControllerConfig want;
  want.listen = "[::1]";
  want.control_port = 1;
  want.bulk_port = 0;
  want.enrol_port = 3;
  want.advertise = "farm.example";
  want.state = "/s";
  want.key = "/k";
  want.allowlist = "/a";
  want.heartbeat = milliseconds(1000);
  want.lease = milliseconds(3000);
  want.max_agents = 7;
  want.event_days = 7;
  want.prefetch = milliseconds(0);
  want.log_quota_bytes = 0;
  want.keep_finished_runs = 0;
  want.disk_low_bytes = 2ULL << 30;
  want.ballast_bytes = 1 << 20;
  want.repos_poll = milliseconds(0);
  want.repos_timeout = milliseconds(60'000);
  want.repos_allow = {"/srv/git/", "https://git.example/"};
  want.log = {log::Level::kDebug, "/l"};

  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(*config == want);
}

TEST_CASE("config: every key of the agent is read") {
  const std::string key(40, 'k');
  const auto config = ParseAgentConfig(
      "name: gpu-7\n"
      "controller: { control: \"farm.example:1\", bulk: \"[::1]:2\", key: " +
          key +
          " }\n"
          "state: /s\n"
          "key: /k\n"
          "offer: { cpus: 0.5, memory: 8GiB, gpus: [GPU-1, MIG-2], least_gpus: 2, labels: [a100] }\n"
          "cache: 1TiB\n"
          "jobs: { kill_grace: 0, log_quota: 5MiB, env: [PATH] }\n"
          "torch: /opt/furrow-torch\n"
          "nvml: libfake.so\n"
          "log: { level: error }\n",
      "f");
  AgentConfig want;
  want.name = "gpu-7";
  want.controller_control = "farm.example:1";
  want.controller_bulk = "[::1]:2";
  want.controller_key = key;
  want.state = "/s";
  want.key = "/k";
  want.cpu_milli = 500;
  want.memory_bytes = 8ULL << 30;
  want.gpus = GpuChoice::kListed;
  want.gpu_uuids = {"GPU-1", "MIG-2"};
  want.least_gpus = 2;
  want.labels = {"a100"};
  want.cache_bytes = 1ULL << 40;
  want.kill_grace = milliseconds(0);
  want.log_quota_bytes = 5 << 20;
  want.env = {"PATH"};
  want.torch = "/opt/furrow-torch";
  want.nvml = "libfake.so";
  want.log.level = log::Level::kError;

  REQUIRE_MESSAGE(config, config.error().message);
  CHECK(*config == want);
}

TEST_CASE("config: what is no address is answered with the form that is one") {
  const std::pair<const char*, const char*> listen[] = {{"\"::1\"", "[::1]"},
                                                        {"\"::\"", "[::]"},
                                                        {"localhost", "127.0.0.1"},
                                                        {"\"*\"", "0.0.0.0"},
                                                        {"127.0.0.1:7071", "127.0.0.1"},
                                                        {"\"[::1]:7071\"", "[::1]"},
                                                        {"tcp://10.0.0.1", "10.0.0.1"},
                                                        {"tcp://0.0.0.0:7071", "0.0.0.0"},
                                                        {"localhost:7071", "127.0.0.1"},
                                                        {"fd00::1", "[fd00::1]"}};
  for (const auto& one : listen) {
    const auto& text = one.first;  // a lambda cannot take a part of a binding
    const auto& cure = one.second;
    CAPTURE(text);
    const std::string said = ControllerMistakes("listen: " + std::string(text) + "\n");
    CAPTURE(said);
    const bool quoted = *cure == '[';
    const std::string written = quoted ? "\"" + std::string(cure) + "\"" : cure;
    CHECK(Says(said, "; write " + written));
    const auto config = ParseControllerConfig("listen: " + written + "\n", "controller.yaml");
    REQUIRE(config);
    CHECK(config->listen == cure);
  }
  CHECK(Says(ControllerMistakes("listen: [::1]\n"), "a text that begins with `[` needs quotes"));
  CHECK(Says(ControllerMistakes("listen: 7071\n"), "a port belongs under `ports`"));
  CHECK_FALSE(Says(AgentMistakes("controller: { control: 7071 }\n"), "; write"));
  CHECK(Says(ControllerMistakes("listen: farm.example\n"), "write the address of this machine that it stands for"));

  const std::pair<const char*, const char*> control[] = {
      {"farm.example", "farm.example:7071"}, {"tcp://farm.example:7071", "farm.example:7071"},
      {"\"::1:7071\"", "\"[::1]:7071\""},    {"fd00::1", "\"[fd00::1]:7071\""},
      {"\"[::1]\"", "\"[::1]:7071\""},       {"10.0.0.1", "10.0.0.1:7071"}};
  for (const auto& one : control) {
    const auto& text = one.first;  // a lambda cannot take a part of a binding
    const auto& cure = one.second;
    CAPTURE(text);
    const std::string said = AgentMistakes("controller: { control: " + std::string(text) + " }\n");
    CAPTURE(said);
    CHECK(Says(said, "; write " + std::string(cure)));
    const auto config = ParseAgentConfig("controller: { control: " + std::string(cure) + " }\n", "agent.yaml");
    CHECK(config);
  }
}

TEST_CASE("config: all mistakes are named at once, each with line, column and cure") {
  CHECK(ControllerMistakes("listen: localhost\n"
                           "port: 7071\n"
                           "agents:\n"
                           "  hartbeat: 5s\n"
                           "  lease: soon\n"
                           "repos: [a]\n") ==
        "controller.yaml:1:9: `listen` must be an address such as 127.0.0.1, 0.0.0.0 or \"[::]\", not `localhost`; "
        "write 127.0.0.1\n"
        "controller.yaml:2:1: unknown key `port`; did you mean `ports`?\n"
        "controller.yaml:4:3: unknown key `agents.hartbeat`; did you mean `agents.heartbeat`?\n"
        "controller.yaml:5:10: `agents.lease` must be a duration such as 90s, 5m, 6h or 3d, not `soon`\n"
        "controller.yaml:6:8: `repos` must be a mapping of keys to values, not a list");
}

TEST_CASE("config: a key without a value, a duplicate key and a number in quotes are mistakes") {
  CHECK(Says(ControllerMistakes("state:\n"), "1:1: `state` has no value"));
  CHECK(Says(ControllerMistakes("listen: 0.0.0.0\nlisten: 127.0.0.1\n"), "2:1: duplicate key `listen`"));
  CHECK(Says(ControllerMistakes("ports: { control: \"7071\" }\n"), "in quotes"));
}

TEST_CASE("config: values out of range are refused with the range") {
  CHECK(Says(ControllerMistakes("ports: { control: 65536 }"), "`ports.control` must be a number from 0 to 65535"));
  CHECK(Says(ControllerMistakes("ports: { control: 5, bulk: 5 }"), "`ports.bulk` must differ"));
  CHECK(Says(ControllerMistakes("ports: { control: 5, bulk: 6, enrol: 5 }"), "`ports.enrol` must differ"));
  CHECK(Says(ControllerMistakes("advertise: farm.example:7073"), "`advertise` must be a host's name or address"));
  CHECK(Says(ControllerMistakes("agents: { max: 0 }"), "from 1 to 1000000"));
  CHECK(Says(ControllerMistakes("agents: { heartbeat: 10s, lease: 29s }"), "three times `agents.heartbeat`"));
  CHECK(Says(ControllerMistakes("agents: { heartbeat: 0 }"), "`agents.heartbeat`"));
  CHECK(Says(ControllerMistakes("repos: { allow: [git.example] }"), "holds `git.example`"));
  CHECK(Says(ControllerMistakes("log: { level: loud }"), "debug, info, warning or error, not `loud`"));
  CHECK(Says(ControllerMistakes("state: \"\""), "`state` must name a folder"));
  CHECK(Says(ControllerMistakes("state: ~/furrow"), "only a shell understands"));
}

TEST_CASE("config: an agent's wrong values are refused") {
  CHECK(Says(AgentMistakes("name: a b"), "`name` must be letters"));
  for (const std::string address : {"farm", "farm:", ":7071", "farm:70000", "tcp://farm:7071", "[::1:7071"}) {
    CAPTURE(address);
    CHECK(Says(AgentMistakes("controller: { control: \"" + address + "\" }"), "must be HOST:PORT"));
  }
  CHECK(Says(AgentMistakes("controller: { key: short }"), "40 characters"));
  CHECK(Says(AgentMistakes("controller: { key: " + std::string(40, 'k') + ", key_file: k }"), "leave one of them out"));
  CHECK(Says(AgentMistakes("offer: { cpus: many }"), "`offer.cpus` must be a number of CPUs"));
  CHECK(Says(AgentMistakes("offer: { memory: 8 }"), "`offer.memory` must be a size"));
  CHECK(Says(AgentMistakes("offer: { gpus: 2 }"), "auto, none or a list"));
  CHECK(Says(AgentMistakes("offer: { gpus: [0] }"), "holds `0`, which is no UUID"));
  CHECK(Says(AgentMistakes("offer: { labels: [a b] }"), "which is no label"));
  CHECK(Says(AgentMistakes("jobs: { env: [A=B] }"), "no name of an environment variable"));
}

TEST_CASE("config: `gpus` is auto, none or a list; an empty list is none") {
  CHECK(ParseAgentConfig("offer: { gpus: auto }", "f")->gpus == GpuChoice::kAuto);
  CHECK(ParseAgentConfig("offer: { gpus: none }", "f")->gpus == GpuChoice::kNone);
  CHECK(ParseAgentConfig("offer: { gpus: [] }", "f")->gpus == GpuChoice::kNone);
}

TEST_CASE("config: relative paths count from the file's folder") {
  const auto config =
      ParseAgentConfig("state: ../data\nkey: agent.key\nnvml: ./libfake.so\n", "/etc/furrow/agent.yaml");

  REQUIRE(config);
  CHECK(config->state == "/etc/data");
  CHECK(config->key == "/etc/furrow/agent.key");
  CHECK(config->nvml == "/etc/furrow/libfake.so");
}

TEST_CASE("config: a text that is no YAML is refused by its place") {
  CHECK(Says(ControllerMistakes("ports: {"), "controller.yaml:1:"));
  CHECK(Says(ControllerMistakes("- a\n"), "the file must be a mapping"));
  CHECK(Says(ControllerMistakes(std::string("listen: \xff\n")), "controller.yaml:1:9: "));
}

TEST_CASE("config: a file that cannot be read is named") {
  const auto missing = LoadControllerConfig("/no/such/controller.yaml");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::kNotFound);
  CHECK(Says(missing.error().message, "/no/such/controller.yaml"));

  const auto folder = LoadAgentConfig("/tmp");
  REQUIRE_FALSE(folder);
  CHECK(Says(folder.error().message, "it is a folder"));
}

TEST_CASE("config: GPUs cannot be both expected and not offered") {
  CHECK(Says(AgentMistakes("offer: { gpus: none, least_gpus: 1 }\n"), "`offer.least_gpus` asks for GPUs"));
  CHECK(Says(AgentMistakes("offer: { gpus: [GPU-1], least_gpus: 2 }\n"), "more than `offer.gpus` lists"));
}

}  // namespace
}  // namespace furrow
