// Peers that mean harm, at a real controller: strangers, an agent and a client that have keys. Whatever they do, the
// controller lives, takes a bounded amount of memory, answers others, and keeps its log short.
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "common/daemon/farm_file.h"
#include "common/transport/transport.h"
#include "common/wire/protocol_version.h"
#include "schemas/agent.h"
#include "schemas/bulk.h"
#include "schemas/client.h"
#include "tests/support/farm.h"
#include "tests/support/hostile_peer.h"

namespace furrow {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

std::uint64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

struct Attacked {
  Attacked() : farm({.agents = 1}), found(ReadFarmFile(farm.State()).value()) {
    allowlist = std::filesystem::path(farm.State()) / "allowlist";
    evil = Let({Role::kAgent, "evil"});
    mallory = Let({Role::kClient, "mallory"});
    resident = ResidentBytes(farm.ControllerPid());
    logged = farm.ControllerLog().size();
  }
  KeyPair Let(const Identity& who) const {
    KeyPair keys = GenerateKeyPair();
    REQUIRE(AddToAllowlist(allowlist, {who, keys.public_key}));
    return keys;
  }
  std::unique_ptr<Channel> Connect(const std::string& address, const KeyPair& keys) {
    ChannelOptions options{address, keys, found.public_key, 16u << 20};
    auto channel = Channel::Connect(context, options);
    REQUIRE(channel);
    return std::move(*channel);
  }
  // Another client is answered soon, the same controller lives, and neither memory nor log grew without bound.
  void CheckWell(std::uint64_t most_memory) {
    const auto begin = steady_clock::now();
    const CliResult agents = farm.Furrow({"agents"});
    CHECK(agents.status == 0);
    CHECK(steady_clock::now() - begin < seconds(5));
    REQUIRE(farm.ControllerRuns());
    const std::uint64_t now = ResidentBytes(farm.ControllerPid());
    CHECK(now < resident + most_memory);
    CHECK(farm.ControllerLog().size() - logged < 64u << 10);
  }

  Farm farm;
  const FarmFile found;
  std::filesystem::path allowlist;
  KeyPair evil, mallory;
  Context context;
  std::uint64_t resident = 0;
  std::size_t logged = 0;
};

// Waits for what a channel receives; fails after a while.
std::string Next(Channel& channel) {
  Poller poller;
  poller.Add(channel);
  const auto deadline = steady_clock::now() + seconds(30);
  for (;;) {
    if (auto frame = channel.Receive()) return std::move(*frame);
    REQUIRE(steady_clock::now() < deadline);
    poller.Wait(std::chrono::milliseconds(100));
  }
}

// Sends a frame as often as asked, waiting while the controller does not read; stops after `limit`.
template <class Frame>
int Flood(Channel& channel, int times, seconds limit, const Frame& frame) {
  Poller poller;
  poller.Add(channel);
  const auto deadline = steady_clock::now() + limit;
  int sent = 0;
  while (sent < times && steady_clock::now() < deadline) {
    if (channel.Send(frame(sent)) == SendResult::kSent)
      ++sent;
    else
      poller.Wait(std::chrono::milliseconds(2));
  }
  return sent;
}

TEST_CASE("hostile: an agent that shows a hundred thousand attempts again and again stalls nobody") {
  Attacked it;
  const auto channel = it.Connect(it.found.control, it.evil);
  Register hello;
  hello.oldest_version = kOldestProtocol;
  hello.newest_version = kNewestProtocol;
  hello.software = "evil";
  hello.host = "evil";
  hello.incarnation = Uuid::Random();
  hello.nonce = 1;
  REQUIRE(channel->Send(Encode(AgentMessage(hello)).value()) == SendResult::kSent);
  const auto welcome = DecodeToAgent(Next(*channel));
  REQUIRE(welcome);
  REQUIRE(std::holds_alternative<Welcome>(*welcome));
  Heartbeat heartbeat;
  heartbeat.session = std::get<Welcome>(*welcome).session;
  for (std::uint64_t job = 1; job <= 100'000; ++job)
    heartbeat.held.push_back({{JobId{1'000'000 + job}, Epoch{1}}, Phase::kRunning});
  std::string frame = Encode(AgentMessage(heartbeat)).value();
  Flood(*channel, 150, seconds(10), [&](int) -> const std::string& { return frame; });
  it.CheckWell(400u << 20);
}

TEST_CASE("hostile: a client that asks for much and reads nothing is dropped") {
  Attacked it;
  it.farm.Write("many/furrow.yaml",
                "name: many\njobs:\n  wide:\n    shards: 9000\n    labels: [nowhere]\n    steps: [{ run: 'true' }]\n");
  REQUIRE(it.farm.Furrow({"run", "--detach", it.farm / "many"}).status == 0);
  ShowRun show;
  show.what.pipeline = "many";
  show.what.number = 1;
  show.limit = 10'000;
  Watch watch;
  watch.run = show.what;
  std::vector<std::unique_ptr<Channel>> readers;
  for (int i = 0; i < 8; ++i) readers.push_back(it.Connect(it.found.control, it.mallory));
  for (const auto& reader : readers) {
    Flood(*reader, 60, seconds(2), [&](int sent) {
      const auto number = static_cast<std::uint64_t>(sent) + 1;
      return Encode(number, sent % 2 == 0 ? ClientRequest(show) : ClientRequest(watch)).value();
    });
  }
  it.CheckWell(700u << 20);
  readers.clear();
  it.CheckWell(700u << 20);
}

TEST_CASE("hostile: rubbish on every port, by whoever has a key or none, is a few lines of the log") {
  Attacked it;
  std::mt19937 random(11);
  const auto rubbish = [&](int) {
    std::string frame(random() % 4000, '\0');
    for (char& c : frame) c = static_cast<char>(random());
    return frame;
  };
  for (const std::string& address : {it.found.control, it.found.bulk, it.found.enrol}) {
    for (const KeyPair& keys : {it.evil, it.mallory, GenerateKeyPair()}) {
      const auto channel = it.Connect(address, keys);
      Flood(*channel, 3000, seconds(2), rubbish);
    }
  }
  for (int i = 0; i < 300; ++i) it.Connect(it.found.control, GenerateKeyPair());
  for (const std::string& address : {it.found.control, it.found.bulk, it.found.enrol}) RawRubbish(address, random, 60);
  it.CheckWell(300u << 20);
}

TEST_CASE("hostile: claims of routing ids at every port harm nobody") {
  Attacked it;
  std::vector<Claims> claims;
  for (const std::string& address : {it.found.control, it.found.bulk, it.found.enrol}) {
    claims.emplace_back(address, it.found.public_key, it.evil);
    claims.emplace_back(address, it.found.public_key, GenerateKeyPair());
  }
  for (Claims& one : claims) one.Open(60);
  it.farm.Write("work/furrow.yaml", "name: work\njobs:\n  one:\n    steps: [{ run: echo done }]\n");
  const CliResult run = it.farm.Furrow({"run", it.farm / "work"});
  CHECK(run.status == 0);
  for (const Claims& one : claims) CHECK(one.Received() == 0);
  it.CheckWell(300u << 20);
}

}  // namespace
}  // namespace furrow
