#include "controller/bulk/load.h"

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

namespace furrow {
namespace {

const Identity kOne{Role::kAgent, "one"}, kTwo{Role::kAgent, "two"}, kAnn{Role::kClient, "ann"};

TEST_CASE("bulk load: bytes count while they are held, wherever they end") {
  BulkLoad load({100, 300});
  const auto key = load.KeyOf(kOne);
  CHECK(load.KeyOf(kOne) == key);
  CHECK(load.KeyOf({Role::kClient, "one"}) != key);
  auto first = load.Take(key, 60);
  REQUIRE(first);
  CHECK(load.Bytes() == 60);
  std::vector<BulkLoad::Held> kept;
  kept.push_back(std::move(*first));
  first.reset();
  CHECK(load.Bytes() == 60);
  kept.emplace_back() = load.Keep(key, 7);
  CHECK(key->bytes == 67);
  kept.back() = load.Keep(key, 9);
  CHECK(key->bytes == 69);
  std::thread([moved = std::move(kept)]() mutable { moved.clear(); }).join();
  CHECK(load.Bytes() == 0);
  CHECK(key->bytes == 0);
}

TEST_CASE("bulk load: a key gets no more than its own limit, over all its connections") {
  BulkLoad load({100, 300});
  const auto one = load.KeyOf(kOne), two = load.KeyOf(kTwo);
  const auto held = load.Take(one, 100);
  REQUIRE(held);
  CHECK_FALSE(load.Take(one, 1));
  CHECK(load.IsGreedy(*one, 1));
  CHECK(load.Take(two, 100));
}

TEST_CASE("bulk load: when all is full, the greediest is the one that has to give") {
  BulkLoad load({250, 300});
  const auto one = load.KeyOf(kOne), two = load.KeyOf(kTwo), ann = load.KeyOf(kAnn);
  CHECK_FALSE(load.Greediest());
  const auto much = load.Take(one, 200), little = load.Take(two, 100);
  REQUIRE(much);
  REQUIRE(little);
  CHECK(load.Greediest() == one);
  CHECK_FALSE(load.Take(ann, 10));
  CHECK_FALSE(load.IsGreedy(*ann, 100));  // a third of all is its share
  CHECK(load.IsGreedy(*ann, 101));
  CHECK_FALSE(load.IsGreedy(*two, 50));  // one of two
  CHECK(load.IsGreedy(*two, 51));
  CHECK(load.IsGreedy(*one, 1));
}

TEST_CASE("bulk load: a key is forgotten when nothing of it is left") {
  BulkLoad load({100, 300});
  const BulkLoad::Key* const one = load.KeyOf(kOne).get();
  const auto held = load.Keep(load.KeyOf(kTwo), 5);
  const auto kept = load.KeyOf(kOne);
  load.Sweep();
  CHECK(load.Greediest() == load.KeyOf(kTwo));
  CHECK(load.KeyOf(kOne).get() == one);
}

}  // namespace
}  // namespace furrow
