// What the tests of the store share: a folder, the records of a small farm, and the database behind the store's back.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <rocksdb/db.h>

#include "common/base/hash.h"
#include "controller/store/disk_guard.h"
#include "controller/store/store.h"

namespace furrow::testing {

namespace fs = std::filesystem;

struct TempDir {
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "furrow-store-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TempDir() { fs::remove_all(path); }
  fs::path path;
};

// What OnCommitted was told.
class Acks {
 public:
  Store::OnCommitted Callback() {
    return [this](Committed committed) {
      std::lock_guard lock(mutex_);
      (committed.status ? acknowledged_ : failed_) = committed.number;
      if (!committed.status) error_ = committed.status.error();
      ++calls_;
      changed_.notify_all();
    };
  }
  // Waits until turn `number` has met its fate; false: a minute has passed.
  bool WaitFor(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return acknowledged_ >= number || failed_ >= number; });
  }
  std::uint64_t acknowledged() {
    std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::uint64_t failed() {
    std::lock_guard lock(mutex_);
    return failed_;
  }
  std::uint64_t calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  Error error() {
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t calls_ = 0;
  Error error_;
};

inline Result<std::vector<LogLocation>> NoSmallLogs(std::span<const SmallLog>) {
  return Fail(Errc::kInternal, "no small log was expected");
}

inline std::unique_ptr<Store> MustOpen(const fs::path& dir, DiskGuard* guard = nullptr) {
  auto store = Store::Open(dir, guard);
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

inline SharedSpec MakeSpec() {
  JobSpec job;
  job.name = "train";
  job.shards = 10;
  job.steps.push_back({"true", ExecStep{{"/bin/true"}}});
  return {HashOf("spec"), std::make_shared<const Pipeline>(Pipeline{"fashion", std::nullopt, {job}})};
}

inline RunRecord MakeRun(std::uint64_t id, std::uint64_t pipeline, std::uint64_t number) {
  RunRecord run;
  run.id = RunId{id};
  run.number = number;
  run.request = {7, id};
  run.pipeline = PipelineId{pipeline};
  run.name = "fashion";
  run.spec = MakeSpec().hash;
  run.first_job = JobId{id * 10};
  return run;
}

inline JobRecord MakeJob(std::uint64_t run, std::uint64_t id) {
  JobRecord job;
  job.id = JobId{id};
  job.run = RunId{run};
  job.state = JobState::kRunning;
  job.epoch = Epoch{1};
  job.agent = "alpha";
  return job;
}

inline AttemptRecord MakeAttempt(std::uint64_t epoch, std::uint64_t run = 1, std::uint64_t job = 11) {
  AttemptRecord attempt;
  attempt.run = RunId{run};
  attempt.job = JobId{job};
  attempt.epoch = Epoch{epoch};
  attempt.agent = "alpha";
  attempt.log.length = 3;
  return attempt;
}

// The database of a store that is closed, past the store.
class RawDatabase {
 public:
  static constexpr std::array kFamilies{"default", "runs", "jobs", "metrics", "attempts", "shared", "events"};

  explicit RawDatabase(const fs::path& dir) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : kFamilies) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    REQUIRE(rocksdb::DB::Open(rocksdb::DBOptions(), (dir / "db").string(), families, &handles, &raw).ok());
  }
  ~RawDatabase() {
    for (rocksdb::ColumnFamilyHandle* handle : handles) raw->DestroyColumnFamilyHandle(handle);
    delete raw;
  }

  // The keys of every record: what lies in family "default" beside records are numbers and names.
  std::vector<std::pair<std::size_t, std::string>> Records() const {
    std::vector<std::pair<std::size_t, std::string>> records;
    for (std::size_t family = 0; family < 5; ++family) {
      const std::unique_ptr<rocksdb::Iterator> at(raw->NewIterator(rocksdb::ReadOptions(), handles[family]));
      for (at->SeekToFirst(); at->Valid(); at->Next())
        if (family != 0 || std::string_view("satrekd").find(at->key()[0]) != std::string_view::npos)
          records.emplace_back(family, at->key().ToString());
    }
    return records;
  }
  std::string Get(std::size_t family, const std::string& key) const {
    std::string value;
    REQUIRE(raw->Get(rocksdb::ReadOptions(), handles[family], key, &value).ok());
    return value;
  }
  void Put(std::size_t family, const std::string& key, const std::string& value) {
    REQUIRE(raw->Put(rocksdb::WriteOptions(), handles[family], key, value).ok());
  }

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
};

inline std::string ReadWhole(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace furrow::testing
