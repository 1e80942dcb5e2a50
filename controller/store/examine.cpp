// Looks at a database before it is opened. RocksDB writes and deletes files while it opens one, also where what it
// found is less than there was, so everything that a start needs is read before, by a view that changes nothing.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/file_io.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

// Each start syncs the mark behind its first commit, so that a power cut may have taken it beside so few.
constexpr std::uint64_t kCommitsWithoutMark = 2;

// Reads a record without which nothing else can be trusted.
template <class Record>
Result<Record> ReadOne(const Reader& read, rocksdb::ColumnFamilyHandle* family, const keys::Key& key,
                       const std::string& what) {
  const auto value = read.Get(family, key);
  if (!value && value.error().code != Errc::kNotFound) return tl::unexpected(value.error());
  auto record = value ? DecodeValue<Record>(*value) : Fail(Errc::kCorrupt, "it is not there");
  if (record) return record;
  return Fail(Errc::kCorrupt, "the database has lost " + what + " (" + record.error().message + "); " + kRestore);
}

}  // namespace

// RocksDB makes a new database where CURRENT is missing, and takes the length of a MANIFEST as it is.
Result<bool> Store::Impl::FilesAreThere() const {
  const fs::path folder = dir / "db";
  const fs::path current = folder / "CURRENT";
  std::error_code failed;
  if (!fs::exists(current, failed)) {
    if (failed) return tl::unexpected(ErrnoError("cannot look for " + current.string(), failed.value()));
    if (high_water.commit() != 0)
      return Fail(Errc::kCorrupt, current.string() + " is gone, and with it the database; " + kRestore);
    for (fs::directory_iterator file(folder, failed), end; !failed && file != end; file.increment(failed)) {
      const fs::path ending = file->path().extension();
      if (ending == ".sst" || (ending == ".log" && fs::file_size(file->path(), failed) != 0))
        return Fail(Errc::kCorrupt, current.string() + " is gone, while " + file->path().filename().string() +
                                        " is there; " + kRestore);
    }
    return false;
  }
  FURROW_ASSIGN(std::string name, ReadFile(current.string(), 4096));
  while (!name.empty() && name.back() == '\n') name.pop_back();
  const std::uint64_t number = ManifestNumber(name);
  if (number == 0 || name.find('/') != std::string::npos)
    return Fail(Errc::kCorrupt, current.string() + " is damaged: it names no MANIFEST; " + kRestore);
  const fs::path manifest = folder / name;
  const std::uint64_t length = fs::file_size(manifest, failed);
  if (failed == std::errc::no_such_file_or_directory)
    return Fail(Errc::kCorrupt, manifest.string() + ", which CURRENT names, is gone; " + kRestore);
  if (failed) return tl::unexpected(ErrnoError("cannot look at " + manifest.string(), failed.value()));
  if (length < high_water.ManifestLength(number))
    return Fail(Errc::kCorrupt, manifest.string() + " has been cut: it has " + std::to_string(length) + " of " +
                                    std::to_string(high_water.ManifestLength(number)) + " bytes; " + kRestore);
  return true;
}

Result<std::uint64_t> Store::Impl::CheckFormat() {
  FURROW_ASSIGN(const std::uint64_t version, ReadNumber("version"));
  if (version > kFormatVersion) {
    return Fail(Errc::kRejected, "the state folder " + dir.string() +
                                     " was made by a newer version of Furrow (format " + std::to_string(version) +
                                     ", this one knows " + std::to_string(kFormatVersion) + "): install that version");
  }
  FURROW_ASSIGN(commit, ReadNumber("commit"));
  if (version == 0 && commit != 0)
    return Fail(Errc::kCorrupt, "the database in " + dir.string() + " has lost its format; " + kRestore);
  if (high_water.commit() == 0 && !high_water.is_new() && commit > kCommitsWithoutMark)
    return Fail(Errc::kCorrupt, (dir / "high-water").string() + " is damaged: it holds zeros beside a database of " +
                                    std::to_string(commit) +
                                    " commits, so that it cannot be told whether acknowledged work was lost. Delete it "
                                    "to go on with what the database holds");
  if (commit < high_water.commit()) {
    return Fail(Errc::kCorrupt,
                "the database in " + dir.string() + " lacks its last " + std::to_string(high_water.commit() - commit) +
                    " commits, which had been acknowledged: its log is damaged. Restore a backup; to go on "
                    "without them (or after a restore), delete " +
                    (dir / "high-water").string() + ", which begins a new timeline of the farm");
  }
  if (version == kFormatVersion) {
    for (const rocksdb::ColumnFamilyHandle* family : {small, runs, jobs, metrics, attempts, shared, events})
      if (family == nullptr)
        return Fail(Errc::kCorrupt, "the database in " + dir.string() +
                                        " has lost a family of its records: its MANIFEST is damaged; " + kRestore);
    FURROW_ASSIGN(farm, ReadOne<FarmRecord>(*read, small, keys::Farm(), "the name of the farm"));
    FURROW_ASSIGN(counters, ReadOne<CountersRecord>(*read, small, keys::Counters(), "its counters"));
  }
  return version;
}

Status Store::Impl::ExamineDatabase() {
  FURROW_ASSIGN(const bool there, FilesAreThere());
  if (there) {
    FURROW_TRY(OpenDatabase(Access::kLook));
    FURROW_ASSIGN(const std::uint64_t version, CheckFormat());
    // A move from an older format reads all.
    if (version == kFormatVersion) {
      Restored unused;
      FURROW_TRY(LoadAll(unused));
    } else {
      const auto nothing = [](std::string_view, std::string_view) -> Result<bool> { return true; };
      for (rocksdb::ColumnFamilyHandle* family : handles) FURROW_TRY(read->Scan(family, {}, nothing));
    }
    CloseDatabase();
  }
  set_aside.Begin();
  return {};
}

}  // namespace furrow
