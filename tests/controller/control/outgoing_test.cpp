#include "controller/control/outgoing.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace furrow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(1)};

// A network that takes so many frames of each peer.
struct Network {
  std::map<PeerId, int> room;  // of a peer that is here
  std::map<PeerId, std::vector<std::string>> taken;

  SendResult Take(PeerId peer, std::string_view frame) {
    const auto found = room.find(peer);
    if (found == room.end()) return SendResult::kGone;
    if (found->second == 0) return SendResult::kFull;
    --found->second;
    taken[peer].emplace_back(frame);
    return SendResult::kSent;
  }
  Outgoing::Transmit AsTransmit() {
    return [this](PeerId peer, std::string_view frame) { return Take(peer, frame); };
  }
};

TEST_CASE("outgoing: what the network does not take waits, in order, for each peer by itself") {
  Network network{{{1, 2}, {2, 100}}, {}};
  Outgoing out(network.AsTransmit());
  for (const char* frame : {"a", "b", "c", "d"}) {
    out.Send(kStart, 1, frame);
    out.Send(kStart, 2, frame);
  }
  CHECK(network.taken[2] == std::vector<std::string>{"a", "b", "c", "d"});
  CHECK(network.taken[1] == std::vector<std::string>{"a", "b"});
  CHECK(out.Patience());
  network.room[1] = 1;
  out.Flush(kStart);
  network.room[1] = 5;
  out.Send(kStart, 1, "e");  // It must not overtake d.
  out.Flush(kStart);
  CHECK(network.taken[1] == std::vector<std::string>{"a", "b", "c", "d", "e"});
  CHECK(out.bytes() == 0);
  CHECK_FALSE(out.Patience());
  CHECK(out.TakeDropped().empty());
}

TEST_CASE("outgoing: a peer that is gone, takes nothing, or has too much waiting is dropped with all of it") {
  Network network{{{1, 0}, {2, 0}, {3, 0}}, {}};
  Outgoing out(network.AsTransmit(), {.peer_bytes = 5000, .all_bytes = 100'000, .stall = seconds(60)});
  out.Send(kStart, 9, "x");
  CHECK(out.TakeDropped() == std::vector<PeerId>{9});

  out.Send(kStart, 1, std::string(3000, 'x'));
  out.Send(kStart, 1, std::string(3000, 'x'));
  CHECK(out.TakeDropped() == std::vector<PeerId>{1});
  CHECK(out.bytes() == 0);

  out.Send(kStart, 2, "x");
  out.Flush(kStart + seconds(60));
  CHECK(out.TakeDropped().empty());
  out.Flush(kStart + seconds(61));
  CHECK(out.TakeDropped() == std::vector<PeerId>{2});

  out.Send(kStart, 3, "x");
  network.room.erase(3);
  out.Flush(kStart);
  CHECK(out.TakeDropped() == std::vector<PeerId>{3});
  CHECK(out.bytes() == 0);
  CHECK_FALSE(out.Patience());
}

TEST_CASE("outgoing: of many that do not read, the one for which most waits gives room") {
  Network network;
  for (PeerId peer = 1; peer <= 20; ++peer) network.room[peer] = 0;
  Outgoing out(network.AsTransmit(), {.peer_bytes = 4000, .all_bytes = 10'000, .stall = seconds(60)});
  out.Send(kStart, 1, "small");
  for (PeerId peer = 2; peer <= 20; ++peer) out.Send(kStart, peer, std::string(3000, 'x'));
  CHECK(out.bytes() <= 10'000);
  const auto dropped = out.TakeDropped();
  CHECK(dropped.size() == 16);
  CHECK(std::count(dropped.begin(), dropped.end(), 1) == 0);
}

TEST_CASE("outgoing: one that moves is looked at every millisecond, one that does not less and less often") {
  Network network{{{1, 0}}, {}};
  Outgoing out(network.AsTransmit());
  out.Send(kStart, 1, "a");
  out.Send(kStart, 1, "b");
  CHECK(out.Patience() == milliseconds(1));
  for (int i = 0; i < 20; ++i) out.Flush(kStart);
  CHECK(out.Patience() == milliseconds(64));
  network.room[1] = 1;
  out.Flush(kStart);
  CHECK(out.Patience() == milliseconds(1));
}

TEST_CASE("outgoing: whatever happens, bounds hold, order holds, and a peer that was not dropped gets everything") {
  for (unsigned seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Network network;
    for (PeerId peer = 0; peer < 8; ++peer) network.room[peer] = 0;
    const OutgoingLimits limits{.peer_bytes = 3000, .all_bytes = 8000, .stall = seconds(5)};
    Outgoing out(network.AsTransmit(), limits);
    std::map<PeerId, std::vector<std::string>> sent;
    TimePoint now = kStart;
    for (int step = 0; step < 400; ++step) {
      const auto peer = static_cast<PeerId>(pick(8));
      switch (pick(4)) {
        case 0: network.room[peer] += pick(4); break;
        case 1: out.Flush(now = now + milliseconds(pick(2000))); break;
        default:
          sent[peer].push_back(std::to_string(step) + std::string(static_cast<std::size_t>(pick(900)), '.'));
          out.Send(now, peer, sent[peer].back());
      }
      CHECK(out.bytes() <= limits.all_bytes);
      // What was dropped may have holes: from here on only what follows counts.
      for (const PeerId gone : out.TakeDropped()) sent[gone] = network.taken[gone];
    }
    for (auto& [peer, room] : network.room) room = 1000;
    out.Flush(now);
    for (const auto& [peer, frames] : sent) CHECK(network.taken[peer] == frames);
  }
}

}  // namespace
}  // namespace furrow
