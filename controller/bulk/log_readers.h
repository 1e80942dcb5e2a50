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
#include "controller/logs/store.h"
#include "schemas/bulk.h"

namespace furrow {

// One reader's stream: the peer and the number that it chose.
using StreamId = std::pair<PeerId, std::uint64_t>;

// What a worker has read for a stream.
struct LogChunkRead {
  StreamId stream;
  std::uint64_t generation = 0;     // of the stream: one that ended and began anew ignores it
  std::optional<LogRecord> record;  // of an attempt that is over, if it was looked up and found
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
    LogPlace place;
    std::uint64_t generation = 0;
    std::uint64_t offset = 0;
    std::uint64_t credit = 0;
    std::uint32_t tail_lines = 0;  // still to be found; 0: read at offset
    bool follow = false;
    bool over = false;           // nothing will be added to the log
    bool look_up = false;        // first find out where it lies
    bool reading = false;        // a worker is at it
    bool stalled = false;        // the peer's queue is full
    bool again = false;          // something happened meanwhile
    bool over_at_start = false;  // `over` when the worker began
  };
  using Streams = std::map<StreamId, Stream>;

  void Pump(const StreamId& id, Stream& stream);
  void Deliver(Streams::iterator found, const LogWindow& window);
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
