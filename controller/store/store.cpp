#include "controller/store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "controller/state/pipelines.h"
#include "controller/store/database_log.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

// A new timeline skips so many numbers: more than a farm gives out between a copy and its loss.
constexpr std::uint64_t kSkippedIds = 1 << 20;
constexpr std::uint64_t kSkippedBoots = 1 << 16;

// Locks the folder for this process. The lock ends with the process, however the process ends.
Result<int> LockFolder(const std::filesystem::path& dir) {
  const std::filesystem::path file = dir / "controller.lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + file.string(), errno));
  char text[32] = {};
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    const ssize_t got = ::pread(fd, text, sizeof(text) - 1, 0);
    ::close(fd);
    if (number != EWOULDBLOCK) return tl::unexpected(ErrnoError("cannot lock " + file.string(), number));
    const std::string holder = got > 0 ? " (process " + std::string(text, static_cast<std::size_t>(got)) + ")" : "";
    return Fail(Errc::kRejected, "the state folder " + dir.string() + " is already in use by another controller" +
                                     holder + ": stop that one, or give this one another folder");
  }
  // The process number is for people; without space for it the lock holds all the same.
  const int length = std::snprintf(text, sizeof(text), "%d", static_cast<int>(::getpid()));
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text, static_cast<std::size_t>(length), 0) < 0) return fd;
  return fd;
}

// The caches and buffers are small on purpose: an idle controller is to stay below 60 MB, and the whole history of a
// busy year is a few GB.
rocksdb::ColumnFamilyOptions FamilyOptions(std::size_t write_buffer_bytes,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.block_size = 8 << 10;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = 3;  // The writer goes on while a buffer is flushed.
  options.arena_block_size = 64 << 10;
  options.target_file_size_base = 16 << 20;
  options.max_bytes_for_level_base = 64 << 20;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  return options;
}

rocksdb::DBOptions DatabaseOptions(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // The end of the log is zeros (files.h), so a torn batch, which was never acknowledged, looks like damage in the
  // middle, and kTolerateCorruptedTailRecords would refuse to open. This mode stops at the damage, and HighWater tells
  // a torn end from lost turns.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;  // A log that is gone is noticed where a newer one is there.
  options.max_total_wal_size = 32 << 20;             // the most that a start has to replay
  options.db_write_buffer_size = 24 << 20;
  options.max_open_files = 128;
  options.max_background_jobs = 2;
  options.max_file_opening_threads = 1;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.allow_concurrent_memtable_write = false;  // There is only one writer.
  options.enable_write_thread_adaptive_yield = false;
  options.writable_file_max_buffer_size = 256 << 10;
  options.max_manifest_file_size = 4 << 20;
  options.info_log = std::make_shared<DatabaseLog>();
  return options;
}

// RocksDB's own words name the MANIFEST where a table is damaged: returns which tables cannot be read, in words.
std::string DamagedTables(const rocksdb::DBOptions& database, const std::string& folder) {
  std::string names;
  std::error_code failed;
  for (std::filesystem::directory_iterator file(folder, failed), end; !failed && file != end; file.increment(failed)) {
    if (file->path().extension() != ".sst") continue;
    rocksdb::SstFileReader table(rocksdb::Options(database, rocksdb::ColumnFamilyOptions()));
    rocksdb::Status read = table.Open(file->path().string());
    if (read.ok()) read = table.VerifyChecksum();
    // A table under another's name is whole, but knows its own number.
    const std::string number = file->path().stem().string();
    const bool named =
        read.ok() && std::strtoull(number.c_str(), nullptr, 10) == table.GetTableProperties()->orig_file_number;
    if (!named) names += (names.empty() ? "" : ", ") + file->path().filename().string();
  }
  return names.empty() ? "" : " (damaged: " + names + ")";
}

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const std::filesystem::path& dir, DiskGuard* guard) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot make the state folder " + dir.string(), failed.value()));
  FURROW_ASSIGN(const int lock, LockFolder(dir));
  std::unique_ptr<DiskGuard> own;
  auto mark = HighWater::Open(dir / "high-water");
  if (mark && guard == nullptr) {
    auto opened = DiskGuard::Open({dir}, {.ballast_bytes = 0});
    if (!opened) {
      ::close(lock);
      return tl::unexpected(opened.error());
    }
    own = std::move(*opened);
    guard = own.get();
  }
  if (!mark) {
    ::close(lock);
    return tl::unexpected(mark.error());
  }
  auto impl = std::make_unique<Impl>(dir, *guard, std::move(*mark));
  impl->own_guard = std::move(own);
  impl->lock_fd = lock;
  FURROW_TRY(impl->ExamineDatabase());
  FURROW_TRY(impl->OpenDatabase(Impl::Access::kWrite));
  FURROW_TRY(impl->PrepareDatabase());
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Store::Impl::Impl(std::filesystem::path folder, DiskGuard& disk_guard, HighWater mark)
    : dir(std::move(folder)),
      guard(disk_guard),
      waiter(disk_guard),
      env(rocksdb::NewCompositeEnv(std::make_shared<StoreFiles>(
          rocksdb::FileSystem::Default(), waiter,
          [this](std::uint64_t number, std::uint64_t length) { high_water.RaiseManifest(number, length); }))),
      high_water(std::move(mark)),
      set_aside(dir / "set-aside") {}

Store::Impl::~Impl() {
  {
    std::lock_guard lock(mutex);
    closing = true;
  }
  wake.notify_all();
  waiter.GiveUp();
  if (writer.joinable()) writer.join();
  CloseDatabase();
  if (lock_fd >= 0) ::close(lock_fd);
}

Status Store::Impl::OpenDatabase(Access access) {
  const std::string path = (dir / "db").string();
  const rocksdb::DBOptions options = DatabaseOptions(env.get());
  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(8 << 20, 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions(4 << 20, cache)},
      {"runs", FamilyOptions(4 << 20, cache)},
      {"jobs", FamilyOptions(8 << 20, cache)},
      {"metrics", FamilyOptions(4 << 20, cache)},
      {"attempts", FamilyOptions(4 << 20, cache)},
      {"shared", FamilyOptions(4 << 20, cache)},
      {"events", FamilyOptions(4 << 20, cache)},
  };
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status;
  if (access == Access::kLook) {
    std::vector<std::string> there;
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, path, &there);
    if (!listed.ok()) return tl::unexpected(StoreError("cannot read the database " + path, listed));
    for (const std::string& name : there) {
      if (std::ranges::none_of(families, [&](const auto& family) { return family.name == name; })) {
        return Fail(Errc::kRejected, "the state folder " + dir.string() +
                                         " was made by a newer version of Furrow (it has " + name +
                                         ", which this one does not know): install that version");
      }
    }
    std::erase_if(families, [&](const auto& family) { return std::ranges::count(there, family.name) == 0; });
    status = rocksdb::DB::OpenForReadOnly(options, path, families, &handles, &opened);
  } else {
    std::error_code refused;  // which Open tells, too; RocksDB warns of a folder that it is about to make
    std::filesystem::create_directories(path, refused);
    status = rocksdb::DB::Open(options, path, families, &handles, &opened);
  }
  if (!status.ok())
    return tl::unexpected(StoreError("cannot open the database " + path + DamagedTables(options, path), status));
  db.reset(opened);
  read.emplace(*db, dir.string());
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    const std::string& name = handle->GetName();
    rocksdb::ColumnFamilyHandle*& family = name == "runs"       ? runs
                                           : name == "jobs"     ? jobs
                                           : name == "metrics"  ? metrics
                                           : name == "attempts" ? attempts
                                           : name == "shared"   ? shared
                                           : name == "events"   ? events
                                                                : small;
    family = handle;
  }
  return {};
}

void Store::Impl::CloseDatabase() {
  if (!db) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  handles.clear();
  small = runs = jobs = metrics = attempts = shared = events = nullptr;
  read.reset();
  db->Close();
  db.reset();
}

Result<std::uint64_t> Store::Impl::ReadNumber(std::string_view name) const {
  auto value = read->Get(small, keys::Meta(name));
  if (!value && value.error().code == Errc::kNotFound) return std::uint64_t{0};
  if (!value) return tl::unexpected(value.error());
  return keys::NumberAt(*value, 0);
}

// Makes the records that a new farm begins with. Its id names the farm for good, whatever key its controller has.
void Store::Impl::MakeFarm() {
  farm = {Uuid::Random(), 1, WallTime{}};
  counters = CountersRecord{.project = kDefaultProject, .person = kDefaultPerson};
}

// Begins a new timeline: what the farm did after the copy was made is unknown here, so every number skips ahead of what
// may have been given out meanwhile.
Status Store::Impl::BeginTimeline(rocksdb::WriteBatch& batch) {
  ++farm.timeline;
  counters.run = RunId{Raw(counters.run) + kSkippedIds};
  counters.job = JobId{Raw(counters.job) + kSkippedIds * kMaxShards};
  counters.pipeline = PipelineId{Raw(counters.pipeline) + kSkippedIds};
  boot += kSkippedBoots;
  FURROW_TRY(read->Scan(small, keys::Key('d'), [&](std::string_view, std::string_view value) -> Result<bool> {
    auto pipeline = DecodeValue<PipelineRecord>(value);
    if (!pipeline) return true;  // LoadPipelines makes it anew, ahead of every timeline.
    pipeline->last_number += kSkippedNumbers;
    FURROW_TRY(Put(batch, *pipeline));
    return true;
  }));
  EventRecord event;
  event.kind = EventKind::kTimelineBegan;
  event.detail = "timeline " + std::to_string(farm.timeline);
  log::Warning(
      "the high-water mark of {} is gone, as in a restored copy: timeline {} of the farm begins, and the "
      "attempts of before are ended",
      dir.string(), farm.timeline);
  return PutEvent(batch, 0, event);
}

Status Store::Impl::PrepareDatabase() {
  FURROW_ASSIGN(const std::uint64_t version, CheckFormat());
  if (version == 1) FURROW_TRY(MigrateFrom1());
  rocksdb::WriteBatch batch;
  if (version == 0) {
    MakeFarm();
    FURROW_TRY(Put(batch, ProjectRecord{kDefaultProject, kDefaultName}));
    FURROW_TRY(Put(batch, PersonRecord{kDefaultPerson, kDefaultName}));
  }
  FURROW_TRY(read->ScanDown(small, keys::Key('y'), keys::EventDay(~std::uint64_t{0}),
                            [&](std::string_view key, std::string_view value) -> Result<bool> {
                              event_mark = keys::NumberAt(key, 1);
                              event_day = keys::NumberAt(value, 0);
                              return false;
                            }));
  FURROW_ASSIGN(boot, ReadNumber("boot"));
  ++boot;
  if (commit != 0 && high_water.is_new()) FURROW_TRY(BeginTimeline(batch));
  FURROW_TRY(Put(batch, farm));
  FURROW_TRY(Put(batch, counters));
  batch.Put(small, keys::Meta("version").bytes(), keys::Key().Number(kFormatVersion).bytes());
  batch.Put(small, keys::Meta("boot").bytes(), keys::Key().Number(boot).bytes());
  FURROW_TRY(Write(batch));
  high_water.Raise(commit);
  high_water.Sync();
  return {};
}

}  // namespace furrow
