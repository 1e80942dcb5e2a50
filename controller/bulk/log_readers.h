// The log readers serve clients that read logs through the bulk endpoint, live or finished. They belong to the bulk
// thread; the pool does the reading itself (disk, decompression).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/base/worker_pool.h"
#include "common/transport/transport.h"
#include "controller/bulk/peers.h"
#include "controller/bulk/server.h"
#include "controller/bulk/stream_state.h"
#include "controller/logs/store.h"
#include "schemas/bulk.h"

namespace furrow {

// A StreamId names one reader's stream: the peer and the number that the peer chose.
using StreamId = std::pair<PeerId, std::uint64_t>;

// A LogStage is what a stream knows about the end and the location of its log. OnFinal and OnOver end kGrows; OnFinal,
// or a worker's lookup, ends kUnplaced.
enum class LogStage : std::uint8_t {
  kGrows,     // More may be added; so far the log lies in the attempt's own file.
  kUnplaced,  // Nothing will be added; history has to say where the log lies.
  kPlaced,    // Nothing will be added, and the log's location is known.
};

// A LogChunkRead is what a worker has read for a stream.
struct LogChunkRead {
  StreamId stream;
  std::uint64_t generation = 0;       // The stream ignores reads of older generations.
  LogStage stage = LogStage::kGrows;  // the stage of the stream when the worker began
  std::optional<LogRecord> record;    // the record of an ended attempt, if it was looked up and found
  Result<LogWindow> window = LogWindow{};
};

class LogReaders {
 public:
  // `send` returns false if the peer's queue is full; Resume continues the reading. OnLogRead and OnRead call `send`
  // and hold no stream meanwhile, so that `send` may end streams; nothing else of LogReaders may be called there. A
  // worker thread calls `deliver`, which has its argument passed to OnRead on the bulk thread.
  LogReaders(LogStore& logs, FindLog find_log, WorkerPool& pool, std::function<bool(PeerId, const BulkReply&)> send,
             std::function<void(LogChunkRead)> deliver);

  void OnLogRead(PeerId peer, const LogRead& request, bool live);
  void OnLogMore(PeerId peer, const LogMore& more);
  void OnRead(LogChunkRead read);

  void OnMoved(AttemptRef attempt);                           // The log has grown or was sealed.
  void OnFinal(AttemptRef attempt, const LogRecord& record);  // Nothing will be added.
  void OnOver(AttemptRef attempt);                            // Nothing will be added to the bytes that are there.
  void Resume(PeerId peer);                                   // The peer's queue has room again.
  void Forget(const Peers::Gone& gone);
  bool Reads(PeerId peer) const;

 private:
  struct Stream {
    StreamState state = StreamState::kDue;
    LogStage stage = LogStage::kGrows;
    LogRef log_ref;
    std::uint64_t generation = 0;
    std::uint64_t offset = 0;
    std::uint64_t credit = 0;      // 0 wherever the stream stays kDue
    std::uint32_t tail_lines = 0;  // not 0: read the last lines; 0: read at `offset`
    bool follow = false;           // The reader asked to follow the log.
    std::uint64_t length = 0;      // bytes of the whole log by its record; 0: not known
  };
  using Streams = std::map<StreamId, Stream>;

  void OnNews(const StreamId& id, Stream& stream);
  void BeginIfDue(const StreamId& id, Stream& stream);
  LogChunkRead Read(const StreamId& id, const Stream& stream) const;  // A worker calls Read.
  void Deliver(Streams::iterator found, LogWindow window, bool was_over);
  void End(Streams::iterator found);
  // `visit` neither begins nor ends a stream.
  void Each(AttemptRef attempt, const std::function<void(const StreamId&, Stream&)>& visit);

  LogStore& logs_;
  const FindLog find_log_;
  WorkerPool& pool_;
  const std::function<bool(PeerId, const BulkReply&)> send_;
  const std::function<void(LogChunkRead)> deliver_;
  Streams streams_;
  std::unordered_map<AttemptRef, std::set<StreamId>> by_attempt_;
  std::uint64_t next_generation_ = 1;
};

}  // namespace furrow
