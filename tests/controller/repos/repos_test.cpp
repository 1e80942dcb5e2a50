// Real repositories made by git, real children.
#include "controller/repos/repos.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "common/chunks/tree.h"
#include "tests/controller/repos/repository_farm.h"
#include "tests/support/folder_syncs.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using testing::Content;
using testing::kZeros;
using testing::Shell;

struct Farm : testing::RepositoryFarm {
  explicit Farm(const std::string& program = WORKER_PROGRAM) : RepositoryFarm(program) {}
};

}  // namespace

TEST_CASE("repos: a commit becomes a tree with modes, links, large and empty files") {
  Farm farm;
  std::string large(3 << 20, 'x');
  std::mt19937 random(7);
  for (char& byte : large) byte = static_cast<char>(random());
  farm.Write("furrow.yaml", "pipeline: fashion\n");
  farm.Write("src/train.py", "print(1)\n");
  farm.Write("run.sh", "#!/bin/sh\n");
  farm.Write("large.bin", large);
  farm.Write("empty", "");
  fs::permissions(farm.root / "work/run.sh", fs::perms::owner_all);
  fs::create_symlink("src/train.py", farm.root / "work/link");
  const std::string commit = farm.Push("The first one");
  auto imported = farm.Import(commit);
  REQUIRE_MESSAGE(imported, imported.error().message);
  CHECK(imported->commit == commit);
  CHECK(imported->title == "The first one");
  CHECK(imported->author == "Ada <ada@example.org>");
  CHECK(imported->has_pipeline);
  CHECK(imported->pipeline_text == "pipeline: fashion\n");
  CHECK(imported->changed_paths ==
        std::vector<std::string>{"empty", "furrow.yaml", "large.bin", "link", "run.sh", "src/train.py"});
  const Tree tree = farm.TreeOf(*imported);
  CHECK(tree.entries.size() == 6);
  CHECK(tree.Find("run.sh")->mode == TreeMode::kExecutable);
  CHECK(tree.Find("link")->target == "src/train.py");
  CHECK(tree.Find("empty")->chunks.empty());
  CHECK(tree.Find("large.bin")->chunks.size() > 1);
  CHECK(Content(farm, tree, "large.bin") == large);
  CHECK(Content(farm, tree, "src/train.py") == "print(1)\n");
}

TEST_CASE("repos: the next commit brings what changed, and equal content the same tree") {
  Farm farm;
  farm.Write("a", "1");
  farm.Write("b/c", "2");
  const std::string first = farm.Push("one");
  farm.Write("b/c", "3");
  farm.Write("d", "4");
  fs::remove(farm.root / "work/a");
  const std::string second = farm.Push("two");
  const auto one = farm.Import(first);
  const auto two = farm.Import(second, first);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(two->changed_paths == std::vector<std::string>{"a", "b/c", "d"});
  CHECK(Content(farm, farm.TreeOf(*two), "b/c") == "3");
  CHECK(farm.TreeOf(*two).Find("a") == nullptr);
  CHECK_FALSE(two->has_pipeline);
  // A new branch: nothing to compare with. The working copy: the same objects by another way.
  const auto again = farm.Import(second, kZeros, (farm.root / "work").string());
  REQUIRE(again);
  CHECK(again->tree == two->tree);
  CHECK(again->changed_paths == std::vector<std::string>{"b/c", "d"});
}

TEST_CASE("repos: what the cache knows and the store lost is read again, and a damaged cache is none") {
  Farm farm;
  farm.Write("a", "content");
  const std::string commit = farm.Push("one");
  const auto before = farm.Import(commit);
  REQUIRE(before);
  SUBCASE("lost chunks") {
    fs::remove_all(farm.options.blobs);
  }
  SUBCASE("damaged cache") {
    fs::remove_all(farm.options.blobs);
    for (const auto& entry : fs::directory_iterator(farm.options.mirrors)) {
      if (entry.path().extension() != ".blobs") continue;
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(40);
      file << "damage";
    }
  }
  const auto after = farm.Import(commit);
  REQUIRE_MESSAGE(after, after.error().message);
  CHECK(after->tree == before->tree);
  CHECK(Content(farm, farm.TreeOf(*after), "a") == "content");
}

TEST_CASE("repos: a tag names its commit, a submodule is left out with a note") {
  Farm farm;
  farm.Write("a", "1");
  const std::string first = farm.Push("one");
  Shell(farm.root / "work", "git update-index --add --cacheinfo 160000," + first +
                                ",vendor; git commit -q -m two;"
                                "git tag -a v1 -m v1; git push -q origin v1");
  const std::string tag = Shell(farm.root / "work", "git rev-parse v1");
  const auto imported = farm.Import(tag);
  REQUIRE(imported);
  CHECK(imported->commit == Shell(farm.root / "work", "git rev-parse HEAD"));
  CHECK(imported->notes == std::vector<std::string>{"submodule vendor left out"});
  CHECK(farm.TreeOf(*imported).entries.size() == 1);
}

TEST_CASE("repos: words that are not UTF-8 are made presentable") {
  Farm farm;
  farm.Write("a", "1");
  farm.Push("one");
  const auto imported = farm.Import(Shell(farm.root / "origin.git",
                                          "git cat-file commit main | LC_ALL=C sed 's/^one$/caf\\xe9 \\x1b[31mred/' |"
                                          "git hash-object -t commit -w --stdin"));
  REQUIRE(imported);
  CHECK(imported->title == "caf\xEF\xBF\xBD  [31mred");
}

TEST_CASE("repos: what cannot be taken is refused by name") {
  Farm farm;
  farm.Write("a", "1");
  const std::string good = farm.Push("one");
  const auto refused = [&](const Result<ImportedCommit>& result, Errc code, const std::string& words) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == code);
    INFO(result.error().message);
    CHECK(result.error().message.find(words) != std::string::npos);
  };
  SUBCASE("a link that leaves the tree") {
    fs::create_symlink("../../../etc/passwd", farm.root / "work/sneaky");
    refused(farm.Import(farm.Push("two")), Errc::kInvalid, "sneaky");
  }
  SUBCASE("a large furrow.yaml") {
    farm.Write("furrow.yaml", std::string((1 << 20) + 1, '#'));
    refused(farm.Import(farm.Push("two")), Errc::kInvalid, "furrow.yaml has 1048577 bytes");
  }
  SUBCASE("a path with ..") {
    const std::string tree = Shell(farm.root / "origin.git",
                                   "blob=$(echo evil | git hash-object -w --stdin);"
                                   "perl -e 'print \"100644 ..\\0\", pack(\"H*\", $ARGV[0])' $blob > ../raw;"
                                   "git hash-object -t tree -w --literally ../raw");
    const std::string commit = Shell(farm.root / "origin.git", "git commit-tree -m evil " + tree);
    refused(farm.Import(commit), Errc::kInvalid, "..");
  }
  SUBCASE("a commit that is gone") {
    refused(farm.Import(std::string(40, 'a')), Errc::kRejected, "(any more)");
  }
  SUBCASE("no commit id") {
    refused(farm.Import("main"), Errc::kInvalid, "\"main\" is no full commit id");
  }
  SUBCASE("a tree for a commit") {
    refused(farm.Import(Shell(farm.root / "work", "git rev-parse HEAD^{tree}")), Errc::kInvalid, "names no commit");
  }
  SUBCASE("no repository") {
    refused(farm.Import(good, kZeros, farm.root.string()), Errc::kNotFound, "no git repository");
  }
  SUBCASE("no folder") {
    refused(farm.Import(good, kZeros, "/nowhere/x.git"), Errc::kNotFound, "/nowhere/x.git");
  }
  SUBCASE("a relative path") {
    refused(farm.Import(good, kZeros, "x.git"), Errc::kInvalid, "neither an absolute path");
  }
  SUBCASE("the network") {
    refused(farm.Import(good, kZeros, "https://example.org/x.git"), Errc::kRejected, "list of allowed repositories");
  }
  SUBCASE("another folder than those allowed") {
    farm.options.allowed = {(farm.root / "or").string(), "https://example.org/"};
    refused(farm.Import(good), Errc::kRejected, "list of allowed repositories");
  }
  SUBCASE("an allowed folder that a link leads out of") {
    fs::create_directory(farm.root / "allowed");
    fs::create_directory_symlink(farm.root / "origin.git", farm.root / "allowed/x.git");
    farm.options.allowed = {(farm.root / "allowed").string()};
    refused(farm.Import(good, kZeros, (farm.root / "allowed/x.git").string()), Errc::kRejected, "allowed");
  }
  SUBCASE("a damaged object") {
    const std::string blob = Shell(farm.root / "work", "git rev-parse HEAD:a");
    const fs::path object = farm.root / "origin.git/objects" / blob.substr(0, 2) / blob.substr(2);
    fs::permissions(object, fs::perms::owner_all);
    std::fstream(object, std::ios::in | std::ios::out | std::ios::binary).seekp(4) << "damage";
    refused(farm.Import(good), Errc::kCorrupt, "git fsck");
  }
}

TEST_CASE("repos: hooks and commands of the repository never run") {
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  const std::string evil = "#!/bin/sh\ntouch '" + (farm.root / "hook-ran").string() + "'\n";
  for (const fs::path& dir : {farm.root / "origin.git", farm.root / "work/.git"}) {
    for (const char* name : {"post-checkout", "pre-auto-gc", "post-update", "reference-transaction",
                             "fsmonitor-watchman", "update", "post-receive", "pre-receive", "upload-pack"}) {
      std::ofstream(dir / "hooks" / name) << evil;
      fs::permissions(dir / "hooks" / name, fs::perms::owner_all);
    }
    const std::string hook = (dir / "hooks/update").string();
    Shell(dir, "git config core.fsmonitor " + hook + "; git config uploadpack.packObjectsHook " + hook +
                   "; git config core.sshCommand " + hook + "; git config core.alternateRefsCommand " + hook);
  }
  CHECK(farm.Import(commit));
  CHECK(farm.Import(commit, kZeros, (farm.root / "work").string()));
  CHECK(farm.Refs((farm.root / "work").string()));
  CHECK_FALSE(fs::exists(farm.root / "hook-ran"));
}

TEST_CASE("repos: the repository of another user is read all the same") {
  if (::geteuid() != 0) return;  // only root can give it away
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  Shell(farm.root, "chown -R 12345:12345 origin.git");
  const auto imported = farm.Import(commit);
  CHECK_MESSAGE(imported, imported.error().message);
}

TEST_CASE("repos: refs are listed as they are") {
  Farm farm;
  farm.Write("a", "1");
  const std::string first = farm.Push("one");
  farm.Write("a", "2");
  const std::string second = farm.Push("two", "topic/x");
  Shell(farm.root / "work",
        "git tag -a v1 -m v1 " + first + "; git push -q origin v1; git push -q origin main:refs/notes/x");
  const std::string tag = Shell(farm.root / "work", "git rev-parse v1");
  const std::string origin = (farm.root / "origin.git").string();
  CHECK(farm.Refs(origin) == std::map<std::string, std::string>{
                                 {"refs/heads/main", first}, {"refs/heads/topic/x", second}, {"refs/tags/v1", tag}});
  Shell(farm.root / "origin.git", "git pack-refs --all; git update-ref -d refs/heads/topic/x");
  CHECK(farm.Refs("file://" + origin) ==
        std::map<std::string, std::string>{{"refs/heads/main", first}, {"refs/tags/v1", tag}});
  CHECK(farm.Refs("/nowhere/x.git").error().code == Errc::kNotFound);
}

TEST_CASE("repos: a ref whose name no record can hold is left out, and named") {
  Farm farm;
  farm.Write("a", "1");
  const std::string first = farm.Push("one");
  const std::string origin = (farm.root / "origin.git").string();
  const std::map<std::string, std::string> main{{"refs/heads/main", first}};
  CHECK(farm.Refs(origin) == main);
  CHECK(farm.left_out.empty());
  Shell(farm.root / "origin.git", "git update-ref $(printf 'refs/heads/caf\\351') " + first);
  CHECK(farm.Refs(origin) == main);
  CHECK(farm.left_out == "1 ref is not watched, for its name is not UTF-8 or too long: refs/heads/caf\xEF\xBF\xBD");
}

TEST_CASE("repos: this process syncs what a child has renamed before an import is reported") {
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  const auto store = ChunkStore::Open(farm.options.blobs.string()).value();
  farm.options.store = store.get();
  auto& syncs = test::FolderSyncs::Instance();
  REQUIRE(store->SyncPresence());
  syncs.Clear();
  const auto imported = farm.Import(commit);
  REQUIRE(imported);
  CHECK(syncs.Has(fs::path(store->PathOf(imported->tree)).parent_path().string()));
  syncs.Clear();
  REQUIRE(store->SyncPresence());
  CHECK(syncs.None());  // The child is gone, and so is the doubt about it.
  syncs.Fail(true);
  CHECK_FALSE(farm.Import(commit));
  syncs.Fail(false);
}

TEST_CASE("repos: while a child works, this process vouches for none of the names that it may have made") {
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  const auto store = ChunkStore::Open(farm.options.blobs.string()).value();
  farm.options.store = store.get();
  const fs::path begun = farm.root / "begun", go = farm.root / "go", fake = farm.root / "fake";
  REQUIRE(::mkfifo(begun.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(go.c_str(), 0600) == 0);
  std::ofstream(fake) << "#!/bin/bash\ncat > " << (farm.root / "request").string() << "\necho > " << begun.string()
                      << "\nread x < " << go.string() << "\n";
  fs::permissions(fake, fs::perms::owner_all);
  farm.options.program = fake;
  const std::uint64_t ticket = farm.Ask(commit);
  std::string line;
  std::getline(std::ifstream(begun), line);
  auto& syncs = test::FolderSyncs::Instance();
  for (int i = 0; i < 2; ++i) {
    REQUIRE(store->SyncPresence());
    CHECK(syncs.Has(farm.options.blobs.string()));
    syncs.Clear();
  }
  std::ofstream(go) << "\n";
  CHECK_FALSE(farm.Answer(ticket));  // The child has said nothing.
  REQUIRE(store->SyncPresence());
  CHECK_FALSE(syncs.None());
}

// ---- children that misbehave ----------------------------------------------------------------------

TEST_CASE("repos: a worker that hangs is killed at its timeout, and others are served meanwhile") {
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  const fs::path fifo = farm.root / "fifo", pid = farm.root / "pid", fake = farm.root / "fake";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  // Hangs for the repository that does not exist, works for others.
  std::ofstream(fake) << "#!/bin/bash\ncat > " << (farm.root / "request.$$").string() << "\nif grep -q /hang "
                      << (farm.root / "request.$$").string() << "; then echo $$ > " << pid.string() << "; read x < "
                      << fifo.string() << "; fi\nexec " << WORKER_PROGRAM << " < "
                      << (farm.root / "request.$$").string() << "\n";
  fs::permissions(fake, fs::perms::owner_all);
  farm.options.program = fake;
  farm.options.timeout = std::chrono::milliseconds(3000);
  const std::uint64_t hanging = farm.Ask(commit, kZeros, "/hang");
  CHECK(farm.Import(commit));
  const auto result = farm.Answer(hanging);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Errc::kUnavailable);
  CHECK(result.error().message.find("longer than 3000 ms") != std::string::npos);
  pid_t child = 0;
  std::ifstream(pid) >> child;
  REQUIRE(child > 0);
  CHECK(::kill(child, 0) != 0);
}

TEST_CASE("repos: ending kills the child that works") {
  Farm farm;
  const fs::path fifo = farm.root / "fifo", started = farm.root / "started", fake = farm.root / "fake";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(started.c_str(), 0600) == 0);
  std::ofstream(fake) << "#!/bin/sh\necho $$ > " << started.string() << "\nread x < " << fifo.string() << "\n";
  fs::permissions(fake, fs::perms::owner_all);
  farm.options.program = fake;
  farm.Ask(std::string(40, 'a'));
  pid_t child = 0;
  std::ifstream(started) >> child;
  REQUIRE(child > 0);
  farm.repositories.reset();
  CHECK(::kill(child, 0) != 0);
}

TEST_CASE("repos: a program that is not there is refused at the start") {
  Farm farm("/nowhere/furrow-controller");
  auto started = Repositories::Start(farm.options, nullptr, nullptr);
  REQUIRE_FALSE(started);
  CHECK(started.error().message.find("/nowhere/furrow-controller") != std::string::npos);
}

// ---- by way of the network ------------------------------------------------------------------------

TEST_CASE("repos: a repository behind the network is mirrored") {
  Farm farm;
  farm.Write("a", "1");
  const std::string first = farm.Push("one");
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  socklen_t length = sizeof(address);
  REQUIRE(::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  ::close(probe);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const std::string log = (farm.root / "daemon.log").string(), pid_file = (farm.root / "daemon.pid").string();
  Shell(farm.root, "git daemon --export-all --base-path=. --listen=127.0.0.1 --port=" + port +
                       " --detach --pid-file=" + pid_file + " 2>" + log);
  pid_t daemon = 0;
  // The daemon writes this when it listens, which may be after the command has returned.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (daemon == 0 && std::chrono::steady_clock::now() < deadline) std::ifstream(pid_file) >> daemon;
  REQUIRE(daemon > 0);
  const std::string url = "git://127.0.0.1:" + port + "/origin.git";
  farm.options.allowed = {"git://127.0.0.1:" + port};
  CHECK(farm.Refs(url) == std::map<std::string, std::string>{{"refs/heads/main", first}});
  const auto one = farm.Import(first, kZeros, url);
  CHECK_MESSAGE(one, one.error().message);
  farm.Write("a", "2");
  const std::string second = farm.Push("two");
  const auto two = farm.Import(second, first, url);
  REQUIRE_MESSAGE(two, two.error().message);
  CHECK(two->changed_paths == std::vector<std::string>{"a"});
  CHECK(Content(farm, farm.TreeOf(*two), "a") == "2");
  CHECK(farm.Import(std::string(40, 'a'), kZeros, url).error().code == Errc::kRejected);
  CHECK(farm.Import(first).error().code == Errc::kRejected);  // a local path, and only the host is listed
  ::kill(daemon, SIGTERM);
  const auto away = farm.Refs("git://127.0.0.1:" + port + "/gone.git");
  CHECK_FALSE(away);
}

}  // namespace furrow
