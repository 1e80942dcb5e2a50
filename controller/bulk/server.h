// The bulk endpoint: a thread with a socket of its own, through which logs and chunks come and go. It never
// decides about jobs: the loop grants attempts to it, and it tells the loop when a log is sealed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/transport/transport.h"
#include "controller/state/records.h"

namespace furrow {

class ChunkStore;
class LogStore;
class Store;

// ---- from the loop ----------------------------------------------------------------------------------------

// This agent may append to this attempt's log. Before the Assign leaves, and for every unfinished attempt at start.
struct BulkGrant {
  AttemptRef attempt;
  RunId run{};
  std::string agent;
  std::uint64_t log_quota_bytes = 0;  // 0: none
};
// The attempt is over, however it ended. Its followers get what is there and the end.
struct BulkRevoke {
  AttemptRef attempt;
};
// The attempt's whole log is on record (a small one in its pack, say). Its followers get the rest of it and
// the end. After the record was committed; before the BulkRevoke.
struct BulkLogFinal {
  RunId run{};
  AttemptRef attempt;
  LogRecord log;
};
// The SealRecord is committed: the agent may be told. The answer to every BulkLogSealed.
struct BulkSealDurable {
  AttemptRef attempt;
};
using BulkCommand = std::variant<BulkGrant, BulkRevoke, BulkLogFinal, BulkSealDurable>;

// ---- to the loop -------------------------------------------------------------------------------------------

// The log is whole, sealed and durable. Again if the agent asks again; answer each with BulkSealDurable.
struct BulkLogSealed {
  AttemptRef attempt;
  LogRecord log;
};
// The disk of the logs failed: nothing more is acknowledged. The farm must stop accepting.
struct BulkFailed {
  std::string message;
};
using BulkEvent = std::variant<BulkLogSealed, BulkFailed>;

// Where the log of an attempt that is over lies; nullopt: not on record. Called from several threads.
using FindLog = std::function<Result<std::optional<LogRecord>>(RunId, AttemptRef)>;
FindLog FindLogIn(const Store& store);

class BulkServer {
 public:
  // Frame size and queues of `options` are set here. `on_event` is called on the bulk thread and must not
  // block. While this runs, all writing functions of `logs` for streamed logs belong to it. The stores and
  // `context` must outlive it. Errors as Server::Bind.
  static Result<std::unique_ptr<BulkServer>> Start(Context& context, ServerOptions options, LogStore& logs,
                                                   ChunkStore& chunks, FindLog find_log,
                                                   std::function<void(BulkEvent)> on_event);
  ~BulkServer();

  void Post(BulkCommand command);  // any thread
  std::uint16_t port() const;

  struct Impl;

 private:
  explicit BulkServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
