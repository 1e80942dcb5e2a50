// The bulk thread: its peers, and everything that reaches it. For controller/bulk/*.cpp alone.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "common/base/mailbox.h"
#include "common/base/worker_pool.h"
#include "common/transport/transport.h"
#include "controller/bulk/chunks.h"
#include "controller/bulk/encode_reply.h"
#include "controller/bulk/log_readers.h"
#include "controller/bulk/log_writer.h"
#include "controller/bulk/server.h"
#include "schemas/bulk.h"

namespace furrow {

// A worker is done with some chunk messages of a peer.
struct ChunksDone {
  PeerId peer = 0;
  std::unique_ptr<ChunkSession> session;
  std::vector<std::string> replies;  // encoded
};
struct BulkStop {};
using BulkInput = std::variant<BulkCommand, ChunksDone, LogReport, LogChunkRead, BulkStop>;

struct BulkServer::Impl {
  using Time = std::chrono::steady_clock::time_point;

  struct Peer {
    Identity who;
    std::deque<BulkRequest> chunk_requests;  // in order, not yet with a worker
    bool chunks_busy = false;                // a worker has the session
    std::unique_ptr<ChunkSession> session;
    std::uint32_t log_messages = 0;  // with the writer
    std::deque<std::string> out;     // what the network does not take yet
    std::size_t out_bytes = 0;
    bool misunderstood = false;  // it sent what is no message, and the log says so
    Time heard, sent;            // last message from it; last time that it took one
  };

  Impl(LogStore& logs, ChunkStore& chunk_store, FindLog find_log, std::function<void(BulkEvent)> event_handler);

  void Run();
  void Take(BulkInput& input);
  void On(const BulkCommand& command);
  void On(LogReport& report);
  void On(ChunksDone& done);
  void OnMessage(Incoming& message);
  void OnLogMessage(PeerId id, Peer& peer, BulkRequest& request);
  void WorkOnChunks(PeerId id, Peer& peer);
  bool Send(PeerId id, const BulkReply& reply) { return SendEncoded(id, EncodeReply(reply)); }
  bool SendEncoded(PeerId id, std::string frame);  // false: it has to wait, or the peer is gone
  void Flush(PeerId id, Peer& peer);
  void FlushAll();
  void Forget(PeerId id);  // at the end of a turn alone, of those in `leaving`: until then every Peer& stays valid
  void LookAfterPeers();

  ChunkStore& chunks;
  const std::function<void(BulkEvent)> on_event;
  std::unique_ptr<Server> server;
  Mailbox<BulkInput> inputs;
  std::unordered_map<AttemptRef, BulkGrant> grants;
  std::unordered_map<AttemptRef, std::vector<PeerId>> waiting_for_seal;
  std::unordered_map<PeerId, Peer> peers;
  std::size_t waiting_peers = 0;  // with something in `out`
  std::vector<PeerId> leaving;    // that are found to be gone, or are dropped; may name one twice
  bool stopping = false;
  Time now, looked;
  LogReaders readers;
  // Last, so that their threads end first: they use the readers and post into `inputs`.
  WorkerPool helpers;  // of the pool: share its work on chunks
  WorkerPool pool;
  LogWriter writer;
  std::thread thread;
};

}  // namespace furrow
