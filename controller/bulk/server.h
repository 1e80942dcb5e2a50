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
#include "controller/state/effects.h"

namespace furrow {

class ChunkStore;
class LogStore;
class Store;

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
