// The bulk endpoint is a thread with its own socket, which carries logs and chunks. The endpoint never decides about
// jobs: the loop grants attempts, and the endpoint reports sealed logs to the loop.
#pragma once

#include <cstddef>
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
class DiskGuard;
class LogStore;
class Store;

// Returns the record of an ended attempt's log; nullopt: not on record. Several threads call this function.
using FindLog = std::function<Result<std::optional<LogRecord>>(RunId, AttemptRef)>;
FindLog FindLogIn(const Store& store);

// The limits on what waits in the endpoint: requests that are not yet worked on, log messages with the writer, parts of
// trees, and answers that the network does not take. An agent that keeps its windows has at most 302 MiB there: 34 MiB
// of logs, two artifacts of 34 MiB and a tree of 64 MiB each, and a tree of 64 MiB that it fetches beside 8 MiB of
// chunks.
struct BulkLimits {
  std::size_t key_bytes = 384 << 20;   // of one key, over all its connections
  std::size_t all_bytes = 1024 << 20;  // of all keys
};

class BulkServer {
 public:
  // Start sets the frame size and queues of `options`. The bulk thread calls `on_event`, which must not block. While
  // the server runs, all functions of `logs` that write streamed logs belong to the server. The stores and `context`
  // must outlive it. No peer is heard before `first`, the grants of the attempts that live at the start: without them
  // an agent would be told that its log is not its own and that its inputs are not there. While `disk` is not well,
  // chunks and trees are refused with kUnavailable, and while it is full logs are; senders try again. Null: the disk is
  // always well. Fails as Server::Bind does.
  static Result<std::unique_ptr<BulkServer>> Start(Context& context, ServerOptions options, LogStore& logs,
                                                   ChunkStore& chunks, FindLog find_log,
                                                   std::function<void(BulkEvent)> on_event,
                                                   std::vector<BulkCommand> first = {}, BulkLimits limits = {},
                                                   DiskGuard* disk = nullptr);
  ~BulkServer();

  void Post(BulkCommand command);  // any thread
  std::uint16_t port() const;
  std::size_t WaitingBytes() const;  // what BulkLimits limits; any thread

  struct Impl;

 private:
  explicit BulkServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
