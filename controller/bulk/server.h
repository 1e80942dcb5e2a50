// The bulk endpoint is a thread with its own socket, which carries logs and chunks. The endpoint never decides about
// jobs: the loop grants attempts, and the endpoint reports sealed logs to the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/transport/transport.h"
#include "controller/state/effects.h"

namespace furrow {

class ChunkStore;
class LogStore;
class Store;

// Returns the record of an ended attempt's log; nullopt: not on record. Several threads call this function.
using FindLog = std::function<Result<std::optional<LogRecord>>(RunId, AttemptRef)>;
FindLog FindLogIn(const Store& store);

class BulkServer {
 public:
  // Start sets the frame size and queues of `options`. The bulk thread calls `on_event`, which must not block. While
  // the server runs, all functions of `logs` that write streamed logs belong to the server. The stores and `context`
  // must outlive it. No peer is heard before `first`, the grants of the attempts that live at the start: without them
  // an agent would be told that its log is not its own and that its inputs are not there. Fails as Server::Bind does.
  static Result<std::unique_ptr<BulkServer>> Start(Context& context, ServerOptions options, LogStore& logs,
                                                   ChunkStore& chunks, FindLog find_log,
                                                   std::function<void(BulkEvent)> on_event,
                                                   std::vector<BulkCommand> first = {});
  ~BulkServer();

  void Post(BulkCommand command);  // any thread
  std::uint16_t port() const;

  struct Impl;

 private:
  explicit BulkServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
