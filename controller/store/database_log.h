// Brings what RocksDB has to say into the controller's own log. RocksDB's own log file would be the one file of the
// database that is written past StoreFiles, and so meets a full disk unprepared. Only the store uses this header.
#pragma once

#include <cstdarg>

#include <rocksdb/env.h>

namespace furrow {

class DatabaseLog final : public rocksdb::Logger {
 public:
  DatabaseLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, std::va_list arguments) override;
};

}  // namespace furrow
