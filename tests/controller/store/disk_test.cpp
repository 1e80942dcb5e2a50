// The store on a disk that fills up: a tmpfs of its own, so only root runs it.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "controller/store/disk_guard.h"
#include "controller/store/store.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

class SmallDisk {
 public:
  SmallDisk() {
    std::string pattern = (fs::temp_directory_path() / "furrow-disk-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
    mounted = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=32m") == 0;
  }
  ~SmallDisk() {
    if (mounted) ::umount2(path.c_str(), MNT_DETACH);
    fs::remove_all(path);
  }
  // Takes all the space there is.
  void Fill(const std::string& name) {
    const int fd = ::open((path / name).c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    const std::string block(4096, 'x');
    while (::write(fd, block.data(), block.size()) > 0) {
    }
    ::close(fd);
  }
  fs::path path;
  bool mounted = false;
};

bool Eventually(const auto& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

constexpr DiskGuardOptions kOptions{.ballast_bytes = 8 << 20, .low_bytes = 4 << 20, .full_bytes = 1 << 20};

// About 20 KB that do not compress.
Turn MakeTurn(std::uint64_t number) {
  static std::mt19937_64 random(1);
  JobRecord job;
  job.id = JobId{number};
  job.run = RunId{1};
  MetricsRecord metrics{{job.id, Epoch{1}}, 0, std::vector<MetricLine>(300), job.run};
  for (MetricLine& line : metrics.lines) line.values = {{"loss", std::uniform_real_distribution<>()(random)}};
  return {number, {job, metrics}, {}};
}

}  // namespace

TEST_CASE("disk guard: the ballast goes when the disk fills and comes back when there is room") {
  SmallDisk disk;
  if (!disk.mounted) return;  // not root
  auto guard = *DiskGuard::Open({disk.path}, kOptions);
  CHECK(guard->health() == DiskHealth::kOk);
  CHECK(fs::file_size(disk.path / "ballast") == kOptions.ballast_bytes);
  disk.Fill("hog");
  CHECK(guard->Free().bytes < kOptions.full_bytes);
  CHECK(guard->Check() == DiskHealth::kOk);  // with the ballast's space
  CHECK_FALSE(fs::exists(disk.path / "ballast"));
  CHECK(guard->Free().bytes >= kOptions.ballast_bytes);
  disk.Fill("hog");
  CHECK(guard->Check() == DiskHealth::kFull);
  fs::resize_file(disk.path / "hog", fs::file_size(disk.path / "hog") - (2 << 20));
  CHECK(guard->Check() == DiskHealth::kLow);
  fs::remove(disk.path / "hog");
  CHECK(guard->Check() == DiskHealth::kOk);
  CHECK(fs::file_size(disk.path / "ballast") == kOptions.ballast_bytes);
}

TEST_CASE("disk guard: each filesystem of several folders is watched, and has its own ballast") {
  SmallDisk state, logs;
  if (!state.mounted || !logs.mounted) return;  // not root
  fs::create_directories(state.path / "db");
  auto guard = *DiskGuard::Open({state.path, state.path / "db", logs.path}, kOptions);
  CHECK(guard->health() == DiskHealth::kOk);
  CHECK(fs::exists(state.path / "ballast"));
  CHECK(fs::exists(logs.path / "ballast"));
  CHECK_FALSE(fs::exists(state.path / "db" / "ballast"));  // the same filesystem
  logs.Fill("hog");
  CHECK(guard->Check() == DiskHealth::kOk);
  logs.Fill("hog");
  CHECK(guard->Check() == DiskHealth::kFull);
  CHECK(guard->Fullest() == logs.path);
  CHECK(guard->Free().bytes < kOptions.full_bytes);
  CHECK(fs::exists(state.path / "ballast"));
  fs::remove(logs.path / "hog");
  CHECK(guard->Check() == DiskHealth::kOk);
  state.Fill("hog");
  state.Fill("hog");
  guard->Check();
  state.Fill("hog");
  CHECK(guard->Check() == DiskHealth::kFull);
  CHECK(guard->Fullest() == state.path);
}

TEST_CASE("disk guard: what counts as low may change, and full is never more than half of it") {
  SmallDisk disk;
  if (!disk.mounted) return;  // not root
  auto guard = *DiskGuard::Open({disk.path}, {.ballast_bytes = 0, .low_bytes = 4 << 20, .full_bytes = 1 << 20});
  CHECK(guard->Check() == DiskHealth::kOk);
  guard->SetLow(1ull << 40);
  CHECK(guard->Check() == DiskHealth::kLow);
  guard->SetLow(4 << 20);
  CHECK(guard->Check() == DiskHealth::kOk);
}

TEST_CASE("store: on a full disk commits wait, history stays readable, and freed space is enough to go on") {
  SmallDisk disk;
  if (!disk.mounted) return;
  constexpr std::uint64_t kTurns = 400;  // 8 MB
  {
    auto guard = *DiskGuard::Open({disk.path}, kOptions);
    auto store = *Store::Open(disk.path / "store", guard.get());
    std::atomic<std::uint64_t> acknowledged = 0;
    std::atomic<bool> failed = false;
    store->Start([](auto) { return std::vector<LogLocation>(); },
                 [&](const Committed& committed) {
                   if (!committed.status) failed = true;
                   acknowledged = committed.number;
                 });
    store->Commit(MakeTurn(1));
    REQUIRE(Eventually([&] { return acknowledged == 1; }));
    disk.Fill("hog");
    store->Commit(MakeTurn(2));
    REQUIRE(Eventually([&] { return acknowledged == 2; }));  // the ballast makes room
    for (std::uint64_t i = 3; i <= kTurns; ++i) {
      if (i % 40 == 0) disk.Fill("hog");
      store->Commit(MakeTurn(i));
    }
    REQUIRE(Eventually([&] {
      disk.Fill("hog");
      return guard->health() == DiskHealth::kFull;
    }));
    CHECK(acknowledged < kTurns);
    CHECK(store->GetJobs(RunId{1})->jobs.size() >= 2);
    CHECK(store->GetMetrics(RunId{1}, {JobId{2}, Epoch{1}})->size() == 300);
    fs::remove(disk.path / "hog");
    REQUIRE(Eventually([&] { return acknowledged == kTurns; }));
    CHECK_FALSE(failed);
    CHECK(guard->Check() == DiskHealth::kOk);
  }
  auto store = *Store::Open(disk.path / "store");
  CHECK(store->GetJobs(RunId{1})->jobs.size() == kTurns);
}

TEST_CASE("store: closed on a full disk it gives up, and keeps what was acknowledged") {
  SmallDisk disk;
  if (!disk.mounted) return;
  std::atomic<std::uint64_t> acknowledged = 0;
  std::atomic<std::uint64_t> failed = 0;
  {
    auto guard = *DiskGuard::Open({disk.path}, kOptions);
    auto store = *Store::Open(disk.path / "store", guard.get());
    store->Start([](auto) { return std::vector<LogLocation>(); },
                 [&](const Committed& committed) { (committed.status ? acknowledged : failed) = committed.number; });
    std::uint64_t number = 0;
    REQUIRE(Eventually([&] {
      disk.Fill("hog");
      store->Commit(MakeTurn(++number));
      return guard->health() == DiskHealth::kFull;
    }));
    store->Commit(MakeTurn(++number));
    store.reset();
    CHECK(std::max(acknowledged.load(), failed.load()) == number);
  }
  fs::remove(disk.path / "hog");
  auto store = *Store::Open(disk.path / "store");
  CHECK(store->GetJobs(RunId{1})->jobs.size() >= acknowledged);
}

}  // namespace furrow
