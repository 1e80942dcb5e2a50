// The bulk endpoint's writer of logs: one thread that appends, seals and syncs, many frames to one sync.
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
#include "controller/state/records.h"
#include "schemas/bulk.h"

namespace furrow {

class LogStore;

// A log message of an agent, authorised.
struct LogWork {
  PeerId peer = 0;
  RunId run{};
  std::uint64_t quota_bytes = 0;  // 0: none
  std::variant<LogAppend, LogOpen, LogSeal> request;
};

// This attempt's log has grown; readers may look, though it is not durable yet.
struct LogMoved {
  AttemptRef attempt;
};
// Everything in here is durable.
struct LogBatch {
  std::vector<std::pair<PeerId, BulkReply>> replies;
  struct Sealed {
    PeerId peer = 0;
    AttemptRef attempt;
    LogRecord log;
  };
  std::vector<Sealed> sealed;
  std::map<PeerId, std::uint32_t> handled;  // messages of each peer
};
// A sync failed: nothing is acknowledged any more.
struct LogDiskFailed {
  std::string message;
};
using LogReport = std::variant<LogMoved, LogBatch, LogDiskFailed>;

class LogWriter {
 public:
  // `report` is called on the writer's thread.
  LogWriter(LogStore& logs, std::function<void(LogReport)> report);
  ~LogWriter();

  void Post(LogWork work);  // any thread

 private:
  void Run();
  void Handle(LogWork& work, LogBatch& batch, std::map<std::pair<PeerId, AttemptRef>, RunId>& to_acknowledge);
  BulkReply Refusal(const LogWork& work, const Error& error) const;
  // Null if it was appended, else what is wrong with it.
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
