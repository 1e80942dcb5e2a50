// A Reader reads the database. Every read has a status, and a scan reports the error that ended it: a damaged file
// never looks like the end of the data. Only the store uses this header, and only the Reader uses RocksDB's iterators.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <rocksdb/db.h>

#include "common/base/error.h"

namespace furrow {

// Turns a RocksDB status into an Error whose message begins with `what`.
Error StoreError(const std::string& what, const rocksdb::Status& status);

// What a person does about a database that is damaged.
inline constexpr const char* kRestore = "stop the controller and restore the state folder from a backup";

class Reader {
 public:
  using Family = rocksdb::ColumnFamilyHandle*;
  // Gets a key and its value; returns whether the scan goes on. An error ends the scan and is its result.
  using Visit = std::function<Result<bool>(std::string_view key, std::string_view value)>;

  // `db` outlives the Reader. Messages name the folder `where`.
  Reader(rocksdb::DB& db, std::string where) : db_(db), where_(std::move(where)) {}

  // kNotFound carries no message, because the caller knows the name of the missing thing.
  Result<std::string> Get(Family family, std::string_view key) const;

  // Visits the keys that start with `prefix`, in order, from the key `from` on if it is given.
  Status Scan(Family family, std::string_view prefix, const Visit& visit, std::string_view from = {}) const;
  // Visits the keys that start with `prefix` in reverse order, from the key `from` down.
  Status ScanDown(Family family, std::string_view prefix, std::string_view from, const Visit& visit) const;

 private:
  Status End(const rocksdb::Iterator& at) const;

  rocksdb::DB& db_;
  const std::string where_;
};

}  // namespace furrow
