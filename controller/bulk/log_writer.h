// The log writer is one thread of the bulk endpoint that appends, seals and syncs logs, many frames to one sync.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/transport/transport.h"
#include "controller/bulk/load.h"
#include "controller/state/records.h"
#include "schemas/bulk.h"

namespace furrow {

class LogStore;

// LogWork is an authorised log message of an agent.
struct LogWork {
  PeerId peer = 0;
  RunId run{};
  std::uint64_t quota_bytes = 0;  // 0: none
  std::variant<LogAppend, LogOpen, LogSeal> request;
  BulkLoad::Held held = {};
};

// LogMoved says that the attempt's log has grown: readers may look, though the new bytes are not durable yet.
struct LogMoved {
  AttemptRef attempt;
};
// Everything in a LogBatch is durable.
struct LogBatch {
  std::vector<std::pair<PeerId, BulkReply>> replies;
  struct Sealed {
    PeerId peer = 0;
    AttemptRef attempt;
    LogRecord log;
  };
  std::vector<Sealed> sealed;
  std::map<PeerId, std::uint32_t> handled;  // the number of handled messages of each peer
};
// LogDiskFailed says that a sync failed: nothing more is acknowledged.
struct LogDiskFailed {
  std::string message;
};
using LogReport = std::variant<LogMoved, LogBatch, LogDiskFailed>;

class LogWriter {
 public:
  // The writer's thread calls `report`.
  LogWriter(LogStore& logs, std::function<void(LogReport)> report);
  ~LogWriter();

  void Post(LogWork work);  // any thread

 private:
  void Run();
  void Handle(LogWork& work, LogBatch& batch, std::map<std::pair<PeerId, AttemptRef>, RunId>& to_acknowledge);
  BulkReply Refusal(const LogWork& work, const Error& error) const;
  // Appends a frame, or returns the error that it has.
  Status Append(const LogWork& work, const LogAppend& append);

  LogStore& logs_;
  const std::function<void(LogReport)> report_;
  bool failed_ = false;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<LogWork> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace furrow
