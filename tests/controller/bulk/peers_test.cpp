#include "controller/bulk/peers.h"

#include <vector>

#include <doctest/doctest.h>

namespace furrow::test {
namespace {

TEST_CASE("bulk peers: one that leaves is there until the end of the turn, also for who iterates") {
  Peers peers;
  std::vector<PeerId> seen;
  const auto gone = peers.Turn([&] {
    Peers::Peer& first = peers.Make(1).first;
    peers.Make(3);
    for (auto& [id, peer] : peers) {
      seen.push_back(id);
      peers.Leave(id);
      peers.Leave(1);
      if (id == 1) peers.Make(2);  // one that comes meanwhile
      peer.log_messages = 7;
    }
    CHECK(peers.Find(1) == &first);
    CHECK(first.log_messages == 7);
  });
  CHECK(seen == std::vector<PeerId>{1, 2, 3});
  REQUIRE(gone.size() == 3);  // each once
  CHECK(gone[0].id() == 1);
  CHECK(gone[0].peer().log_messages == 7);
  CHECK(peers.Find(1) == nullptr);
}

TEST_CASE("bulk peers: one that comes again is not taken for the one before") {
  Peers peers;
  std::uint64_t before = 0;
  static_cast<void>(peers.Turn([&] {
    before = peers.Make(1).first.life;
    peers.Leave(1);
    CHECK(peers.Find(1, before) != nullptr);
  }));
  static_cast<void>(peers.Turn([&] {
    const auto [peer, is_new] = peers.Make(1);
    CHECK(is_new);
    CHECK(peers.Find(1, before) == nullptr);
    CHECK(peers.Find(1, peer.life) == &peer);
  }));
}

}  // namespace
}  // namespace furrow::test
