#include "controller/store/reader.h"

#include <memory>

namespace furrow {
namespace {

std::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}
rocksdb::Slice AsSlice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

Error StoreError(const std::string& what, const rocksdb::Status& status) {
  std::string message = what + ": " + status.ToString();
  // Where a table is gone, RocksDB names it as LevelDB would have.
  if (const auto ending = message.find(".ldb:"); ending != std::string::npos) message.replace(ending, 5, ".sst:");
  if (status.IsNoSpace()) return {Errc::kUnavailable, message + " (the disk is full: free space, then try again)"};
  if (status.IsCorruption() || status.IsPathNotFound()) return {Errc::kCorrupt, message + "; " + kRestore};
  return {Errc::kInternal, message};
}

Result<std::string> Reader::Get(Family family, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db_.Get(rocksdb::ReadOptions(), family, AsSlice(key), &value);
  if (status.IsNotFound()) return Fail(Errc::kNotFound, "");
  if (!status.ok()) return tl::unexpected(StoreError("cannot read the database in " + where_, status));
  return value;
}

Status Reader::Scan(Family family, std::string_view prefix, const Visit& visit, std::string_view from) const {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(rocksdb::ReadOptions(), family));
  for (at->Seek(AsSlice(from.empty() ? prefix : from)); at->Valid() && View(at->key()).starts_with(prefix);
       at->Next()) {
    FURROW_ASSIGN(const bool goes_on, visit(View(at->key()), View(at->value())));
    if (!goes_on) return {};
  }
  return End(*at);
}

Status Reader::ScanDown(Family family, std::string_view prefix, std::string_view from, const Visit& visit) const {
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(rocksdb::ReadOptions(), family));
  for (at->SeekForPrev(AsSlice(from)); at->Valid() && View(at->key()).starts_with(prefix); at->Prev()) {
    FURROW_ASSIGN(const bool goes_on, visit(View(at->key()), View(at->value())));
    if (!goes_on) return {};
  }
  return End(*at);
}

Status Reader::End(const rocksdb::Iterator& at) const {
  if (at.status().ok()) return {};
  return tl::unexpected(StoreError("cannot read the database in " + where_, at.status()));
}

}  // namespace furrow
