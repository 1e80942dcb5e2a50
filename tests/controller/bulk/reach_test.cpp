#include "controller/bulk/reach.h"

#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/support/data_farm.h"
#include "tests/support/some_tree.h"

namespace furrow::test {
namespace {

constexpr AttemptRef kFirst{JobId{1}, Epoch{1}}, kSecond{JobId{2}, Epoch{1}};

// Returns the bytes of a chunk or tree; nothing if the answer is, word for word, that of a chunk that is not there.
std::optional<std::string> Get(BulkPeer& peer, const Hash& hash) {
  peer.Say(ChunkGet{hash, false});
  std::string bytes;
  for (;;) {
    const auto reply = peer.Hear();
    REQUIRE(reply);
    if (const auto* error = std::get_if<BulkError>(&*reply)) {
      CHECK(*error ==
            BulkError{0, {}, hash, Errc::kNotFound, "chunk " + hash.ToHex() + " is not in the controller's store"});
      return std::nullopt;
    }
    const auto& data = std::get<ChunkData>(*reply);
    bytes += data.bytes;
    if (bytes.size() == data.total_bytes) return bytes;
  }
}

// Returns whether the peer gets the tree and all its chunks.
bool GetsAll(BulkPeer& peer, const SomeTree& tree) {
  bool all = Get(peer, tree.name()) == tree.encoded.bytes;
  for (const std::string& chunk : tree.chunks) all = Get(peer, HashOf(chunk)) == chunk && all;
  return all;
}
bool GetsNothing(BulkPeer& peer, const SomeTree& tree) {
  bool nothing = !Get(peer, tree.name());
  for (const std::string& chunk : tree.chunks) nothing = !Get(peer, HashOf(chunk)) && nothing;
  return nothing;
}

TreeCommitted Put(BulkPeer& peer, const SomeTree& tree) {
  peer.Say(TreePut{tree.name(), tree.encoded.bytes.size(), 0, tree.encoded.bytes});
  return peer.HearA<TreeCommitted>();
}

struct Project : DataFarm {
  const SomeTree sources{{"main", "shared", SomeText(200'000)}}, model{{"model", "shared"}},
      other_sources{{"secret main", SomeText(300'000, 2)}}, other_model{{"secret model", "secret config"}}, empty{{}};
  Project() {
    for (const SomeTree* tree : {&sources, &model, &other_sources, &other_model, &empty}) tree->In(*chunks);
  }
};

TEST_CASE("bulk reach: an agent gets the trees of its attempts, their chunks and nothing else") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.sources.name(), farm.model.name(), farm.empty.name()});
  BulkPeer agent(farm, farm.agent);
  CHECK(GetsAll(agent, farm.sources));
  CHECK(GetsAll(agent, farm.model));
  CHECK(GetsAll(agent, farm.empty));
  CHECK(GetsNothing(agent, farm.other_sources));
  CHECK(GetsNothing(agent, farm.other_model));
  CHECK_FALSE(Get(agent, HashOf("nobody has this")));
  CHECK_FALSE(Get(agent, Hash{}));
  CHECK(GetsAll(agent, farm.model));  // in whatever order
}

TEST_CASE("bulk reach: each agent reaches by its own attempts") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.sources.name(), farm.model.name()});
  farm.Grant(kSecond, 0, "two", {farm.other_sources.name(), farm.other_model.name()});
  BulkPeer one(farm, farm.agent), two(farm, farm.other_agent), again(farm, farm.agent);
  for (BulkPeer* peer : {&one, &again}) {
    CHECK(GetsAll(*peer, farm.sources));
    CHECK(GetsNothing(*peer, farm.other_sources));
    CHECK(GetsNothing(*peer, farm.other_model));
  }
  CHECK(GetsAll(two, farm.other_sources));
  CHECK(GetsAll(two, farm.other_model));
  CHECK(GetsNothing(two, farm.sources));
  CHECK(GetsNothing(two, farm.model));
}

TEST_CASE("bulk reach: a client gets all, with and without attempts") {
  Project farm;
  BulkPeer client(farm, farm.client);
  for (int round = 0; round < 2; ++round) {
    for (const SomeTree* tree : {&farm.sources, &farm.model, &farm.other_sources, &farm.other_model, &farm.empty})
      CHECK(GetsAll(client, *tree));
    CHECK_FALSE(Get(client, HashOf("nobody has this")));
    farm.Grant(kFirst, 0, "one", {farm.sources.name()});
  }
}

TEST_CASE("bulk reach: it ends with the attempt") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.sources.name(), farm.model.name()});
  farm.Grant(kSecond, 0, "one", {farm.other_model.name()});
  BulkPeer agent(farm, farm.agent);
  CHECK(GetsAll(agent, farm.sources));
  CHECK(GetsAll(agent, farm.other_model));
  farm.Revoke(kFirst);
  CHECK(GetsNothing(agent, farm.sources));
  CHECK(GetsNothing(agent, farm.model));
  CHECK(GetsAll(agent, farm.other_model));
  farm.Revoke(kSecond);
  CHECK(GetsNothing(agent, farm.other_model));
  farm.Grant({kFirst.job, Epoch{2}}, 0, "one", {farm.model.name()});  // the next attempt
  CHECK(GetsAll(agent, farm.model));
  CHECK_FALSE(Get(agent, farm.sources.name()));
}

TEST_CASE("bulk reach: a tree that is listed twice is reached until the last attempt that lists it ends") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.model.name(), farm.sources.name(), farm.model.name()});
  farm.Grant(kSecond, 0, "one", {farm.sources.name(), farm.model.name()});
  farm.Grant({JobId{3}, Epoch{1}}, 0, "two", {farm.model.name()});
  BulkPeer one(farm, farm.agent), two(farm, farm.other_agent);
  CHECK(GetsAll(one, farm.model));
  farm.Revoke(kFirst);
  CHECK(GetsAll(one, farm.model));
  CHECK(GetsAll(one, farm.sources));
  farm.Revoke(kSecond);
  CHECK(GetsNothing(one, farm.model));
  CHECK(GetsAll(two, farm.model));
}

TEST_CASE("bulk reach: an attempt that is given to another agent is the first one's no more") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.model.name()});
  farm.Grant(kFirst, 0, "two", {farm.model.name()});
  BulkPeer one(farm, farm.agent), two(farm, farm.other_agent);
  CHECK(GetsNothing(one, farm.model));
  CHECK(GetsAll(two, farm.model));
}

TEST_CASE("bulk reach: without an attempt an agent stores nothing and learns nothing") {
  Project farm;
  BulkPeer agent(farm, farm.agent);
  const SomeTree wanted({"secret model", "its own"}), nothing({});
  for (int round = 0; round < 2; ++round) {
    agent.Say(ChunkQuery{5, {HashOf("secret model"), HashOf("its own"), farm.sources.name()}});
    CHECK(agent.HearA<ChunksMissing>() == ChunksMissing{5, {0, 1, 2}});
    const TreeCommitted answer = Put(agent, wanted);
    CHECK(answer.missing == std::vector<Hash>{HashOf("secret model"), HashOf("its own")});
    CHECK_FALSE(answer.error.empty());
    CHECK_FALSE(Put(agent, nothing).error.empty());
    CHECK_FALSE(Put(agent, farm.other_model).error.empty());  // though all of it is there
    for (const std::string chunk : {"its own", "secret model"}) {
      agent.Say(ChunkPut{HashOf(chunk), chunk});
      CHECK_FALSE(agent.HearA<ChunkStored>().error.empty());
    }
    CHECK(GetsNothing(agent, wanted));
    CHECK_FALSE(farm.chunks->Has(wanted.name()));
    CHECK_FALSE(farm.chunks->Has(HashOf("its own")));
    if (round > 0) break;
    farm.Grant(kFirst, 0, "one", {farm.sources.name()});  // an attempt that is over is as none
    CHECK(GetsAll(agent, farm.sources));
    farm.Revoke(kFirst);
  }
  const std::string garbage = "no tree";
  agent.Say(TreePut{HashOf(garbage), garbage.size(), 0, garbage});
  CHECK_FALSE(agent.HearA<TreeCommitted>().error.empty());
}

TEST_CASE("bulk reach: with an attempt, sending relies on what the store has, and fetching does not") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {});  // a job without sources or needs
  BulkPeer agent(farm, farm.agent);
  agent.Say(ChunkQuery{5, {HashOf("model"), HashOf("new")}});
  CHECK(agent.HearA<ChunksMissing>() == ChunksMissing{5, {1}});
  const SomeTree result({"model", "new"});
  CHECK(Put(agent, result).missing == std::vector<Hash>{HashOf("new")});
  agent.Say(ChunkPut{HashOf("new"), "new"});
  CHECK(agent.HearA<ChunkStored>().error.empty());
  CHECK(Put(agent, result) == TreeCommitted{result.name(), "", {}});
  CHECK(GetsNothing(agent, result));  // No attempt of the agent names it.
  BulkPeer client(farm, farm.client);
  CHECK(GetsAll(client, result));
  farm.Grant(kSecond, 0, "two", {result.name()});  // as the loop does for a job that needs the first
  BulkPeer other(farm, farm.other_agent);
  CHECK(GetsAll(other, result));
}

TEST_CASE("bulk reach: a tree that is damaged, missing or none reaches only itself") {
  Project farm;
  const std::string garbage = "no tree, but main";
  const Hash none = farm.chunks->Put(AsBytes(garbage)).value();
  const SomeTree missing({"main", "secret main"});
  const std::string path = farm.chunks->PathOf(farm.other_model.name());
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  std::ofstream(path) << "damaged";
  farm.Grant(kFirst, 0, "one", {none, missing.name(), farm.other_model.name(), farm.model.name()});
  BulkPeer agent(farm, farm.agent);
  CHECK(Get(agent, none) == garbage);
  CHECK_FALSE(Get(agent, missing.name()));
  for (const std::string chunk : {"main", "secret main", "secret model", "secret config"})
    CHECK_FALSE(Get(agent, HashOf(chunk)));
  CHECK(GetsAll(agent, farm.model));
}

TEST_CASE("bulk reach: a restart of the controller keeps what its grants say") {
  Project farm;
  farm.Grant(kFirst, 0, "one", {farm.model.name()});
  farm.Stop();
  farm.Start();
  BulkPeer agent(farm, farm.agent);
  CHECK(GetsAll(agent, farm.model));
  CHECK(GetsNothing(agent, farm.other_model));
}

}  // namespace
}  // namespace furrow::test
