// Imports that do not end well: whose trouble it is, and what the next try finds.
#include <dlfcn.h>
#include <spawn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "common/chunks/tree.h"
#include "tests/controller/repos/repository_farm.h"

namespace {

std::atomic<int> spawn_fails{0};  // the error with which this process starts no child; 0: none

}  // namespace

extern "C" int posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                            const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) {
  if (const int error = spawn_fails; error != 0) return error;
  static const auto real = reinterpret_cast<decltype(&posix_spawnp)>(::dlsym(RTLD_NEXT, "posix_spawnp"));
  return real(pid, file, actions, attributes, argv, envp);
}

namespace furrow {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

const std::string kSomeCommit(40, 'a');

class Farm : public testing::RepositoryFarm {
 public:
  Farm() : RepositoryFarm(WORKER_PROGRAM) {}

  // Makes `script` the program that imports.
  void Run(const std::string& script) {
    const fs::path fake = root / "fake";
    std::ofstream(fake) << "#!/bin/bash\n" << script;
    fs::permissions(fake, fs::perms::owner_all);
    repositories.reset();
    options.program = fake;
  }
  void RunWorker() {
    repositories.reset();
    options.program = WORKER_PROGRAM;
  }
  // Begins with an empty store and an empty cache.
  void ForgetChunks() {
    repositories.reset();
    fs::remove_all(options.blobs);
    fs::remove_all(options.mirrors);
  }
  // Commits so many files of 1 MiB, none of whose chunks are alike, in the working copy, whose repository is imported.
  // git makes small objects of them, and the files are removed, so that the disk has only the chunks to write.
  std::string CommitFiles(int count) {
    std::string text(1 << 20, 'x');
    for (int i = 0; i < count; ++i) {
      const std::string name = "file-" + std::to_string(1000 + i);
      Write(name, text.replace(0, name.size(), name));
    }
    return testing::Shell(root / "work", "git add -A; git commit -q -m files; rm file-*; git rev-parse HEAD");
  }
  Result<ImportedCommit> ImportWork(const std::string& commit) {
    return Import(commit, testing::kZeros, (root / "work").string());
  }
  std::size_t Missing(const std::vector<Hash>& chunks) const {
    return ChunkStore::Open(options.blobs.string()).value()->Missing(chunks).size();
  }
  std::uintmax_t CacheBytes() const {
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(options.mirrors))
      if (entry.path().extension() == ".blobs") bytes += entry.file_size();
    return bytes;
  }
  // Imports the commit with so little time that tries fail, until one passes. Every try goes on where the one before
  // was killed; one that got no further is given more time. Returns how many got further without passing.
  int ImportInPieces(const std::string& commit, milliseconds time, const std::vector<Hash>& chunks) {
    ForgetChunks();
    int further = 0;
    std::size_t missing = chunks.size();
    for (;;) {
      options.timeout = time;
      repositories.reset();
      const auto imported = ImportWork(commit);
      const std::size_t left = Missing(chunks);
      CHECK(left <= missing);
      if (imported) {
        CHECK(left == 0);
        return further;
      }
      REQUIRE(imported.error().code == Errc::kUnavailable);
      REQUIRE(imported.error().message.find("took longer than") != std::string::npos);
      if (progressed) {
        CHECK(left < missing);
        CHECK(CacheBytes() > 0);
        ++further;
      } else {
        time += time / 2;
      }
      missing = left;
    }
  }
};

std::vector<Hash> ChunksOf(Farm& farm, const ImportedCommit& imported) {
  std::vector<Hash> chunks;
  for (const ChunkRef& chunk : farm.TreeOf(imported).UniqueChunks()) chunks.push_back(chunk.hash);
  return chunks;
}

}  // namespace

TEST_CASE("failed imports: a child that cannot be started is the machine's momentary trouble") {
  Farm farm;
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  farm.Run("");
  farm.Start();
  const auto refused = [&](const std::string& words) {
    const auto result = farm.Import(commit);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::kUnavailable);
    CHECK_MESSAGE(result.error().message.find(words) != std::string::npos, result.error().message);
    CHECK_FALSE(farm.progressed);
  };
  for (const int error : {EAGAIN, ENOMEM, EPERM}) {
    spawn_fails = error;
    refused("cannot start ");
    spawn_fails = 0;
  }
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{4, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  refused("Too many open files");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  fs::remove(farm.options.program);  // as while a package is replaced
  refused("there is no program");
  farm.RunWorker();
  CHECK(farm.Import(commit));
}

TEST_CASE(
    "failed imports: a child that was killed is the machine's trouble, one that ended by itself may be the commit's") {
  Farm farm;
  const auto answer_of = [&](const std::string& script) {
    farm.Run(script);
    return farm.Import(kSomeCommit).error();
  };
  for (const char* signal : {"KILL", "TERM", "INT", "HUP"}) {
    CAPTURE(signal);
    CHECK(answer_of(std::string("kill -") + signal + " $$\n").code == Errc::kUnavailable);
  }
  CHECK(answer_of("kill -KILL $$\n").message.find("was ended by signal 9") != std::string::npos);
  for (const char* signal : {"SEGV", "ABRT", "BUS"}) {
    CAPTURE(signal);
    CHECK(answer_of(std::string("kill -") + signal + " $$\n").code == Errc::kInternal);
  }
  CHECK(answer_of("kill -SEGV $$\n").message.find("was ended by signal 11") != std::string::npos);
  CHECK(answer_of("exit 3\n").code == Errc::kInternal);
  CHECK(answer_of("exit 3\n").message.find("ended with status 3") != std::string::npos);
  CHECK(answer_of("cat > /dev/null; head -c 100000 /dev/urandom\n").code == Errc::kInternal);
  CHECK(answer_of("cat > /dev/null; exit 0\n").code == Errc::kInternal);
}

TEST_CASE("failed imports: a commit over the memory limit gets as far as it can once, and then no further") {
  Farm farm;
  farm.Write("z", std::string(96 << 20, 'h'));
  const std::string commit = farm.CommitFiles(70);
  farm.options.memory_limit_bytes = 96 << 20;
  for (const bool first : {true, false}) {
    const auto result = farm.ImportWork(commit);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::kInternal);
    CHECK_MESSAGE(result.error().message.find("memory") != std::string::npos, result.error().message);
    CHECK(farm.progressed == first);
  }
}

TEST_CASE("failed imports: an import that takes longer than its time goes further with each try, and one passes") {
  Farm farm;
  const std::string commit = farm.CommitFiles(200);
  const auto begin = std::chrono::steady_clock::now();
  const auto whole = farm.ImportWork(commit);
  REQUIRE_MESSAGE(whole, whole.error().message);
  auto time = std::chrono::ceil<milliseconds>(std::chrono::steady_clock::now() - begin);
  const std::vector<Hash> chunks = ChunksOf(farm, *whole);
  int further = 0;
  // The machine may be faster than it was when the whole import was timed.
  for (int i = 0; i < 8 && further < 2; ++i) further = farm.ImportInPieces(commit, time /= 2, chunks);
  CHECK(further >= 2);
}

TEST_CASE("failed imports: a child that was killed after it had stored something has got further") {
  Farm farm;
  const std::string commit = farm.CommitFiles(70);
  const std::string fifo = (farm.root / "fifo").string();
  // Passes the first word of progress on, and kills the worker and itself.
  farm.Run("mkfifo " + fifo + "\nexec 3<&0\n" WORKER_PROGRAM " <&3 > " + fifo + " &\nhead -c 12 " + fifo +
           "\nkill -KILL $! $$ 2> /dev/null\n");
  const auto killed = farm.ImportWork(commit);
  REQUIRE_FALSE(killed);
  CHECK(killed.error().code == Errc::kUnavailable);
  CHECK(farm.progressed);
  CHECK(farm.CacheBytes() > 0);
  farm.RunWorker();
  const auto imported = farm.ImportWork(commit);
  REQUIRE_MESSAGE(imported, imported.error().message);
  CHECK(farm.Missing(ChunksOf(farm, *imported)) == 0);
}

}  // namespace furrow
