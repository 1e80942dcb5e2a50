// Peers that ask and do not read, or send and do not stop, over real connections.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/data_farm.h"

namespace furrow::test {
namespace {

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}}, kOther{JobId{2}, Epoch{1}};
constexpr std::size_t kMiB = 1 << 20;
constexpr std::size_t kChunk = 256 << 10;

// A peer whose network takes next to nothing that is not read, so that its answers wait at the controller.
std::unique_ptr<BulkPeer> Deaf(DataFarm& farm, const KeyPair& keys) {
  ChannelOptions options = farm.Options(keys);
  options.receive_queue = 1;
  return std::make_unique<BulkPeer>(farm, options);
}

std::string Noise(std::size_t bytes, unsigned seed) {
  std::string noise(bytes, '\0');
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (char& c : noise) state ^= state << 13, state ^= state >> 7, state ^= state << 17, c = static_cast<char>(state);
  return noise;
}

// Returns whether `done` becomes true within half a minute.
template <class Done>
bool Await(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    Poller().Wait(std::chrono::milliseconds(1));
  }
  return true;
}

// Agents that fetch a chunk again and again, send chunks beside it and read nothing.
struct Crowd {
  Crowd(DataFarm& farm, AttemptRef attempt, const KeyPair& keys, const std::string& name, int connections)
      : chunk(Noise(kChunk, 7)) {
    // A list of trees may name any blob, and the blob itself is reached.
    const Hash hash = farm.chunks->Put(AsBytes(chunk)).value();
    farm.Grant(attempt, 0, name, {hash});
    get = Encode(BulkRequest(ChunkGet{hash, false})).value();
    put = Encode(BulkRequest(ChunkPut{hash, chunk})).value();
    for (int i = 0; i < connections; ++i) peers.push_back(Deaf(farm, keys));
  }
  // What the network does not take is not sent.
  void Push() {
    for (const auto& peer : peers) {
      for (int i = 0; i < 8; ++i) (void)peer->channel->Send(get);
      for (int i = 0; i < 4; ++i) (void)peer->channel->Send(put);
    }
  }
  std::string chunk, get, put;
  std::vector<std::unique_ptr<BulkPeer>> peers;
};

TEST_CASE("bulk hostile: many connections of one key wait for no more than the key may, and others go on") {
  DataFarm farm(BulkLimits{16 * kMiB, 256 * kMiB});
  Crowd crowd(farm, kAttempt, farm.agent, "one", 8);
  BulkPeer client(farm, farm.client);
  const Hash wanted = farm.chunks->Put(AsBytes("wanted")).value();
  std::size_t most = 0;
  int full = 0;
  CHECK(Await([&] {
    crowd.Push();
    client.Say(ChunkGet{wanted, false});
    CHECK(client.HearA<ChunkData>().bytes == "wanted");
    const std::size_t waiting = farm.server->WaitingBytes();
    most = std::max(most, waiting);
    full += waiting > 12 * kMiB ? 1 : 0;
    return full > 100;
  }));
  CHECK(most <= 17 * kMiB);
  crowd.peers.clear();
  CHECK(Await([&] { return farm.server->WaitingBytes() == 0; }));
}

TEST_CASE("bulk hostile: several keys share what all may have, and a newcomer gets its share") {
  DataFarm farm(BulkLimits{64 * kMiB, 24 * kMiB});
  Crowd one(farm, kAttempt, farm.agent, "one", 4);
  std::size_t most = 0;
  int full = 0;
  const auto look = [&] {
    const std::size_t waiting = farm.server->WaitingBytes();
    most = std::max(most, waiting);
    full += waiting > 18 * kMiB ? 1 : 0;
  };
  CHECK(Await([&] {
    one.Push();
    look();
    return full > 20;
  }));
  Crowd two(farm, kOther, farm.other_agent, "two", 4);
  BulkPeer client(farm, farm.client);
  full = 0;
  std::uint64_t round = 0;
  CHECK(Await([&] {
    one.Push();
    two.Push();
    const std::string mine = Noise(kChunk, static_cast<unsigned>(100 + ++round));
    client.Say(ChunkPut{HashOf(mine), mine});
    CHECK(client.HearA<ChunkStored>() == ChunkStored{HashOf(mine), ""});
    look();
    return full > 50;
  }));
  CHECK(most <= 26 * kMiB);
}

TEST_CASE("bulk hostile: answers that nobody reads are bounded, whatever asks for them") {
  DataFarm farm;
  farm.Grant(kAttempt);
  const std::string own = Encode(BulkRequest(LogOpen{kAttempt})).value();
  const std::string foreign = Encode(BulkRequest(LogOpen{kOther})).value();
  for (const std::string& asked : {foreign, std::string("garbage"), own}) {
    const auto deaf = Deaf(farm, farm.agent);
    BulkPeer other(farm, farm.agent);
    std::size_t most = 0;
    const auto begin = std::chrono::steady_clock::now();
    // Answers to its own attempt are few, because one covers many messages; so these are asked for a while only.
    const bool fills = asked != own;
    int after = 0;
    CHECK(Await([&] {
      int sent = 0;
      for (int i = 0; i < 1000; ++i) sent += deaf->channel->Send(asked) == SendResult::kSent ? 1 : 0;
      other.Say(LogOpen{kAttempt});
      CHECK(other.HearA<LogAck>().durable == 0);
      most = std::max(most, farm.server->WaitingBytes());
      if (!fills) return std::chrono::steady_clock::now() - begin > std::chrono::seconds(2);
      after += most > 7 * kMiB ? sent : 0;
      return after > 20'000;
    }));
    CHECK(most <= 9 * kMiB);
  }
}

TEST_CASE("bulk hostile: trees that are never finished count for their key") {
  DataFarm farm(BulkLimits{8 * kMiB, 64 * kMiB});
  farm.Grant(kAttempt);
  const std::string part = Noise(kMiB, 1);
  std::vector<std::unique_ptr<BulkPeer>> peers;
  std::size_t most = 0;
  int answered = 0;
  for (int i = 0; i < 24; ++i) {
    peers.push_back(std::make_unique<BulkPeer>(farm, farm.agent));
    peers.back()->Say(TreePut{HashOf(std::to_string(i)), 2 * kMiB, 0, part});
    answered += peers.back()->Hear(i < 4 ? std::chrono::milliseconds(30'000) : std::chrono::milliseconds(50)) ? 1 : 0;
    most = std::max(most, farm.server->WaitingBytes());
  }
  CHECK(answered >= 4);
  CHECK(answered < 9);
  CHECK(most >= 4 * kMiB);
  CHECK(most <= 9 * kMiB);
  BulkPeer client(farm, farm.client);
  client.Say(TreePut{HashOf("x"), 2 * kMiB, 0, part});
  CHECK(client.HearA<ChunkStored>().error.empty());
}

TEST_CASE("bulk hostile: a peer that keeps its window meets no limit, however much it sends") {
  DataFarm farm(BulkLimits{12 * kMiB, 24 * kMiB});
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  std::uint32_t under_way = 0;
  for (unsigned i = 0; i < 200; ++i) {
    const std::string chunk = Noise(kChunk, i + 1);
    agent.Say(ChunkPut{HashOf(chunk), chunk});
    if (++under_way < kBulkWindow) continue;
    CHECK(agent.HearA<ChunkStored>().error.empty());
    --under_way;
  }
  for (; under_way > 0; --under_way) CHECK(agent.HearA<ChunkStored>().error.empty());
  CHECK(Await([&] { return farm.server->WaitingBytes() == 0; }));
}

}  // namespace
}  // namespace furrow::test
