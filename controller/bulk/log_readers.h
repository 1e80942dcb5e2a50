// Clients that read logs through the bulk endpoint, live or finished. Belongs to the bulk thread; the reading
// itself (disk, decompression) is done by the pool.
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
#include "controller/bulk/server.h"
#include "controller/bulk/stream_state.h"
#include "controller/logs/store.h"
#include "schemas/bulk.h"

namespace furrow {

// One reader's stream: the peer and the number that it chose.
using StreamId = std::pair<PeerId, std::uint64_t>;

// What a stream knows about the end of its log and about where that lies. OnFinal and OnOver end kGrows; OnFinal, or
// what a worker finds, ends kUnplaced.
enum class LogStage : std::uint8_t {
  kGrows,     // More may be added; so far the log lies in the attempt's own file.
  kUnplaced,  // Nothing will be added; history has to be asked where the log lies.
  kPlaced,    // Nothing will be added, and the place is known.
};

// What a worker has read for a stream.
struct LogChunkRead {
  StreamId stream;
  std::uint64_t generation = 0;       // of the stream: one that ended and began anew ignores it
  LogStage stage = LogStage::kGrows;  // what the stream knew when the worker began
  std::optional<LogRecord> record;    // of an attempt that is over, if it was looked up and found
  Result<LogWindow> window = LogWindow{};
};

class LogReaders {
 public:
  // `send` returns false if the peer's queue is full for now: reading goes on at Resume. It calls nothing here: a peer
  // that it finds gone is forgotten later. `deliver` is called by a worker thread and brings its argument to OnRead on
  // the bulk thread.
  LogReaders(LogStore& logs, FindLog find_log, WorkerPool& pool, std::function<bool(PeerId, const BulkReply&)> send,
             std::function<void(LogChunkRead)> deliver);

  void OnLogRead(PeerId peer, const LogRead& request, bool live);
  void OnLogMore(PeerId peer, const LogMore& more);
  void OnRead(LogChunkRead read);

  void OnMoved(AttemptRef attempt);                           // its log has grown or was sealed
  void OnFinal(AttemptRef attempt, const LogRecord& record);  // nothing will be added
  void OnOver(AttemptRef attempt);                            // nothing will be added; what is there is all
  void Resume(PeerId peer);                                   // its queue has room again
  void Forget(PeerId peer);
  bool Reads(PeerId peer) const;

 private:
  struct Stream {
    StreamState state = StreamState::kDue;
    LogStage stage = LogStage::kGrows;
    LogRef log_ref;
    std::uint64_t generation = 0;
    std::uint64_t offset = 0;
    std::uint64_t credit = 0;      // 0 wherever the stream stays kDue
    std::uint32_t tail_lines = 0;  // still to be found; 0: read at offset
    bool follow = false;           // as the reader asked for
  };
  using Streams = std::map<StreamId, Stream>;

  void OnNews(const StreamId& id, Stream& stream);
  void BeginIfDue(const StreamId& id, Stream& stream);
  LogChunkRead Read(const StreamId& id, const Stream& stream) const;  // by a worker
  void Deliver(Streams::iterator found, const LogWindow& window, bool was_over);
  void End(Streams::iterator found);
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
