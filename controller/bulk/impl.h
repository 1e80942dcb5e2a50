// BulkServer::Impl is the bulk thread: its peers, and all messages to the thread. Only controller/bulk/*.cpp use this
// header.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
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
#include "controller/bulk/load.h"
#include "controller/bulk/log_readers.h"
#include "controller/bulk/log_writer.h"
#include "controller/bulk/peers.h"
#include "controller/bulk/reach.h"
#include "controller/bulk/server.h"
#include "controller/bulk/tree_chunks.h"
#include "schemas/bulk.h"

namespace furrow {

// ChunksDone says that a worker has handled some chunk messages of a peer.
struct ChunksDone {
  PeerId peer = 0;
  std::uint64_t life = 0;  // The peer had this life when the worker began.
  std::unique_ptr<ChunkSession> session;
  std::vector<std::string> replies;  // encoded
  Status store;                      // the final failure of the store, if it has failed
};
struct BulkStop {};
using BulkInput = std::variant<BulkCommand, ChunksDone, LogReport, LogChunkRead, BulkStop>;

struct BulkServer::Impl {
  using Time = Peers::Time;
  using Peer = Peers::Peer;

  Impl(LogStore& logs, ChunkStore& chunk_store, FindLog find_log, std::function<void(BulkEvent)> event_handler,
       BulkLimits limits, DiskGuard* disk_guard);

  void Run();
  void Turn(bool& more);  // `more`: messages may wait that the last turn did not take
  void Take(BulkInput& input);
  void On(BulkCommand& command);
  void On(LogReport& report);
  void On(ChunksDone& done);
  void OnMessage(Incoming& message);
  Peer& PeerOf(const Incoming& message);
  void Tell(Peer& peer, BulkFault fault, const std::string& why = {});
  void OnChunkMessage(PeerId id, Peer& peer, BulkRequest& request, std::size_t bytes);
  void OnLogMessage(PeerId id, Peer& peer, BulkRequest& request, std::size_t bytes);
  void WorkOnChunks(PeerId id, Peer& peer);
  bool Send(PeerId id, const BulkReply& reply) { return SendEncoded(id, EncodeReply(reply)); }
  bool SendEncoded(PeerId id, std::string frame);  // false: the frame has to wait, or the peer is gone
  // Makes a place for `bytes` of the peer, from what waits for the greediest key if need be. nullopt: the peer's own
  // key has too much.
  std::optional<BulkLoad::Held> Place(const Peer& peer, std::size_t bytes);
  // Drops the peer of the key for which most waits; false: nothing that can be dropped waits for any.
  bool DropGreediest(const BulkLoad::Key& key);
  void Drop(PeerId id, Peer& peer);
  void Flush(PeerId id, Peer& peer);
  void FlushAll();
  void Forget(const Peers::Gone& gone);
  void LookAfterPeers();

  BulkLoad load;
  ChunkStore& chunks;
  DiskGuard* const disk;  // null: always well
  const std::function<void(BulkEvent)> on_event;
  std::unique_ptr<Server> server;
  Mailbox<BulkInput> inputs;
  std::unordered_map<AttemptRef, BulkGrant> grants;  // without their trees, which `reaches` has
  Reaches reaches;
  TreeChunks tree_chunks;
  std::unordered_map<AttemptRef, std::vector<PeerId>> waiting_for_seal;
  Peers peers;
  std::size_t waiting_peers = 0;  // peers with frames in `out`
  bool stopping = false;
  Time now, looked;
  LogReaders readers;
  // These members come last, so that their threads end first: they use the readers and post into `inputs`.
  WorkerPool helpers;  // share the pool's work on chunks
  WorkerPool pool;
  LogWriter writer;
  std::thread thread;
};

}  // namespace furrow
