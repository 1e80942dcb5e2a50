#include "agent/inputs/workspace.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "common/chunks/tree.h"
#include "tests/support/data_farm.h"

namespace furrow::test {
namespace {

namespace fs = std::filesystem;

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};

struct Rig : DataFarm {
  Rig() { StartWorkspace(); }
  ~Rig() { workspace.reset(); }
  void StartWorkspace() {
    workspace = Workspace::Start(context, {Options(agent), folder / "cache", 1u << 30}, [this](WorkspaceEvent event) {
                  prepared.Add(std::move(event));
                }).value();
  }
  // Puts a tree of these files on the controller.
  Hash MakeTreeOf(const std::vector<std::pair<std::string, std::string>>& files) {
    std::vector<TreeEntry> entries;
    for (const auto& [path, text] : files) {
      TreeEntry entry;
      entry.path = path;
      entry.size = text.size();
      for (std::size_t at = 0; at < text.size(); at += 500'000) {
        const std::string part = text.substr(at, 500'000);
        entry.chunks.push_back({chunks->Put(AsBytes(part)).value(), static_cast<std::uint32_t>(part.size())});
      }
      entries.push_back(std::move(entry));
    }
    const EncodedTree encoded = EncodeTree(MakeTree(std::move(entries)).value()).value();
    REQUIRE(chunks->Put(encoded.name, AsBytes(encoded.bytes)));
    return encoded.name;
  }
  std::string Dir() const { return (folder / "ws").string(); }
  void Order(std::vector<Hash> trees, AttemptRef attempt = kAttempt) {
    Grant(attempt, 0, "one", trees);
    workspace->Post(Prepare{attempt, Dir(), std::move(trees)});
  }
  void CheckPrepared(AttemptRef attempt = kAttempt) {
    const auto event = prepared.Next();
    REQUIRE(event);
    if (const auto* failed = std::get_if<PrepareFailed>(&*event)) FAIL("failed: " << failed->message);
    CHECK(std::get<Prepared>(*event).attempt == attempt);
  }
  std::string Failure() {
    const auto event = prepared.Next();
    REQUIRE(event);
    const auto* failed = std::get_if<PrepareFailed>(&*event);
    REQUIRE(failed != nullptr);
    CHECK(failed->attempt == kAttempt);
    return failed->message;
  }
  std::string Read(const std::string& path) const {
    std::ostringstream text;
    text << std::ifstream(folder / "ws" / path).rdbuf();
    return text.str();
  }

  Events<WorkspaceEvent> prepared;
  std::unique_ptr<Workspace> workspace;
};

void Flip(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(10);
  const char byte = static_cast<char>(file.get());
  file.seekp(10);
  file.put(static_cast<char>(byte ^ 0x20));
}

TEST_CASE("workspace: trees on top of each other, the later wins") {
  Rig rig;
  const std::string large = SomeText(2'000'000);
  const Hash source = rig.MakeTreeOf({{"a", "from source"}, {"dir/b", large}, {"empty", ""}});
  const Hash input = rig.MakeTreeOf({{"a", "from input"}, {"model.pt", "weights"}});
  rig.Order({source, input});
  rig.CheckPrepared();
  CHECK(rig.Read("a") == "from input");
  CHECK(rig.Read("dir/b") == large);
  CHECK(rig.Read("model.pt") == "weights");
  CHECK(fs::exists(rig.folder / "ws/empty"));
}

TEST_CASE("workspace: without trees it is an empty folder") {
  Rig rig;
  rig.Order({});
  rig.CheckPrepared();
  CHECK(fs::is_empty(rig.Dir()));
  { std::ofstream((rig.folder / "ws/left").string()) << "over"; }
  rig.Order({});
  rig.CheckPrepared();
  CHECK(fs::is_empty(rig.Dir()));
}

TEST_CASE("workspace: what is in the cache needs no controller, over a restart too") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", SomeText(1'200'000)}});
  rig.Order({tree});
  rig.CheckPrepared();
  rig.Stop();
  rig.workspace.reset();
  rig.StartWorkspace();
  rig.Order({tree}, {JobId{2}, Epoch{1}});
  rig.CheckPrepared({JobId{2}, Epoch{1}});
  CHECK(rig.Read("a") == SomeText(1'200'000));
}

TEST_CASE("workspace: a controller that is away is waited for") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", SomeText(5'000'000)}});
  rig.Stop();
  rig.Order({tree});
  CHECK_FALSE(rig.prepared.Next(std::chrono::seconds(0)));
  rig.Start();
  rig.CheckPrepared();
  CHECK(rig.Read("a") == SomeText(5'000'000));
}

TEST_CASE("workspace: a controller that is killed while inputs travel") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", SomeText(30'000'000)}});
  rig.Order({tree});
  for (int i = 0; i < 2; ++i) {
    Poller().Wait(std::chrono::milliseconds(20));
    rig.Stop();
    rig.Start();
  }
  rig.CheckPrepared();
  CHECK(rig.Read("a") == SomeText(30'000'000));
}

TEST_CASE("workspace: what the controller does not have is named") {
  Rig rig;
  const Hash unknown = HashOf("no such tree");
  rig.Order({unknown});
  CHECK(rig.Failure().find(unknown.ToHex()) != std::string::npos);
  const Hash tree = rig.MakeTreeOf({{"a", "some bytes"}});
  REQUIRE(fs::remove(rig.chunks->PathOf(HashOf("some bytes"))));
  rig.Order({tree});
  CHECK(rig.Failure().find(HashOf("some bytes").ToHex()) != std::string::npos);
}

TEST_CASE("workspace: a chunk that is damaged on the controller is not used") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", "bytes that will be damaged"}});
  Flip(rig.chunks->PathOf(HashOf("bytes that will be damaged")));
  rig.Order({tree});
  CHECK(rig.Failure().find(HashOf("bytes that will be damaged").ToHex()) != std::string::npos);
}

TEST_CASE("workspace: a chunk that is damaged in the cache is fetched again") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", "bytes that will be damaged"}, {"b", "others"}});
  rig.Order({tree});
  rig.CheckPrepared();
  const auto cache = ChunkStore::Open((rig.folder / "cache").string(), {.durable = false}).value();
  Flip(cache->PathOf(HashOf("bytes that will be damaged")));
  rig.Order({tree});
  rig.CheckPrepared();
  CHECK(rig.Read("a") == "bytes that will be damaged");
}

TEST_CASE("workspace: whatever a job does to the cache, the next one gets its inputs") {
  const char* const ways[] = {
      "rm -rf ../cache",
      "rm -rf ../cache; mkdir ../cache",
      "rm -rf ../cache; echo x > ../cache",
      "rm -rf tmp",
      "rm -rf tmp corrupt",
      "for i in *; do rm -rf $i; echo x > $i; done",
      "for i in *; do rm -rf $i; ln -s /nowhere $i; done",
      "chmod 000 *",
      "chmod -R 000 ??",
      "for i in ??/*; do rm $i; mkdir $i; done",
      "for i in ??/*; do rm $i; mkfifo $i; done",
      "for i in ??/*; do rm $i; ln -s /dev/zero $i; done",
      "for i in ??/*; do chmod 600 $i; : > $i; done",
  };
  const std::string large = SomeText(1'200'000);
  for (const std::string way : ways) {
    CAPTURE(way);
    Rig rig;
    const Hash tree = rig.MakeTreeOf({{"a", "some bytes"}, {"b", large}});
    rig.Order({tree});
    rig.CheckPrepared();
    const std::string command = "cd " + (rig.folder / "cache").string() + " && " + way;
    (void)std::system(("bash -c '" + command + "' 2> /dev/null").c_str());
    const Hash other = rig.MakeTreeOf({{"c", "other bytes"}});  // and what is new is fetched, too
    for (const std::vector<Hash>& trees : {std::vector{tree, other}, std::vector{tree, other}}) {
      rig.Order(trees);
      rig.CheckPrepared();
      CHECK(rig.Read("a") == "some bytes");
      CHECK(rig.Read("b") == large);
      CHECK(rig.Read("c") == "other bytes");
    }
  }
}

TEST_CASE("workspace: a tree with a path that leaves it is refused") {
  Rig rig;
  std::string bytes = EncodeTree(MakeTree({TreeEntry{"ab/file", TreeMode::kFile, 0, {}, {}}}).value()).value().bytes;
  const std::size_t at = bytes.find("ab/file");
  REQUIRE(at != std::string::npos);
  bytes.replace(at, 2, "..");
  REQUIRE(rig.chunks->Put(HashOf(bytes), AsBytes(bytes)));
  rig.Order({HashOf(bytes)});
  CHECK_FALSE(rig.Failure().empty());
  CHECK_FALSE(fs::exists(rig.folder / "file"));
}

TEST_CASE("workspace: attempts that need the same chunks share them; a cancelled one is silent") {
  Rig rig;
  const Hash tree = rig.MakeTreeOf({{"a", SomeText(3'000'000)}});
  rig.Stop();
  for (std::uint64_t job = 1; job <= 3; ++job) {
    rig.Grant({JobId{job}, Epoch{1}}, 0, "one", {tree});
    rig.workspace->Post(Prepare{{JobId{job}, Epoch{1}}, (rig.folder / std::to_string(job)).string(), {tree}});
  }
  rig.workspace->Post(CancelPrepare{{JobId{2}, Epoch{1}}});
  rig.Start();
  for (int i = 0; i < 2; ++i) {
    const auto event = rig.prepared.Next();
    REQUIRE(event);
    CHECK(std::get<Prepared>(*event).attempt.job != JobId{2});
  }
  rig.workspace.reset();
  CHECK(rig.prepared.Empty());
}

}  // namespace
}  // namespace furrow::test
