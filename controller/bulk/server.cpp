#include "controller/bulk/server.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "controller/bulk/impl.h"
#include "schemas/bulk.h"

namespace furrow {
namespace {

constexpr unsigned kPoolThreads = 2;
constexpr std::size_t kRequestsAtOnce = kBulkWindow / 4;
constexpr int kReceiveQueue = 2 * kBulkWindow;  // messages of a peer in ZeroMQ's queue
// Frames for a peer in ZeroMQ's queue, where BulkLoad does not see them: 16 MiB for a connection that reads nothing.
constexpr int kSendQueue = 16;
// The limit is twice the window, because messages under way when a connection broke may come again at once.
constexpr std::size_t kMaxPending = 2 * kBulkWindow;
constexpr std::size_t kMaxOutBytes = 8 << 20;  // A peer with so much waiting gets no further work done.
constexpr std::size_t kOverheadBytes = 256;    // memory of a message or a frame beside its bytes
constexpr int kMessagesPerTurn = 64;
constexpr auto kRetry = std::chrono::milliseconds(5);  // ZeroMQ does not say when a slow peer's queue has room
constexpr auto kLook = std::chrono::seconds(1);
constexpr auto kMaxStall = std::chrono::seconds(60);  // A peer that takes nothing for so long is dropped.
constexpr auto kMaxSilence = std::chrono::minutes(10);

}  // namespace

BulkServer::Impl::Impl(LogStore& logs, ChunkStore& chunk_store, FindLog find_log,
                       std::function<void(BulkEvent)> event_handler, BulkLimits limits, DiskGuard* disk_guard)
    : load(limits),
      chunks(chunk_store),
      disk(disk_guard),
      on_event(std::move(event_handler)),
      tree_chunks(chunk_store),
      readers(
          logs, std::move(find_log), pool, [this](PeerId peer, const BulkReply& reply) { return Send(peer, reply); },
          [this](LogChunkRead read) { inputs.Post(std::move(read)); }),
      helpers(1),
      pool(kPoolThreads),
      writer(logs, [this](LogReport report) { inputs.Post(std::move(report)); }) {}

BulkServer::BulkServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

BulkServer::~BulkServer() {
  impl_->inputs.Post(BulkStop{});
  impl_->thread.join();
}

void BulkServer::Post(BulkCommand command) {
  impl_->inputs.Post(std::move(command));
}
std::uint16_t BulkServer::port() const {
  return impl_->server->port();
}
std::size_t BulkServer::WaitingBytes() const {
  return impl_->load.Bytes();
}

Result<std::unique_ptr<BulkServer>> BulkServer::Start(Context& context, ServerOptions options, LogStore& logs,
                                                      ChunkStore& chunks, FindLog find_log,
                                                      std::function<void(BulkEvent)> on_event,
                                                      std::vector<BulkCommand> first, BulkLimits limits,
                                                      DiskGuard* disk) {
  auto impl = std::make_unique<Impl>(logs, chunks, std::move(find_log), std::move(on_event), limits, disk);
  options.max_frame_bytes = kMaxBulkRequestFrame;
  options.max_answer_bytes = kMaxBulkReplyFrame;
  options.send_queue = kSendQueue;
  options.receive_queue = kReceiveQueue;
  FURROW_ASSIGN(impl->server, Server::Bind(context, options));
  for (BulkCommand& command : first) impl->inputs.Post(std::move(command));
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });  // The new thread owns the socket.
  return std::unique_ptr<BulkServer>(new BulkServer(std::move(impl)));
}

// ---- the loop ----------------------------------------------------------------------------------------------

void BulkServer::Impl::Run() {
  Poller poller;
  poller.Add(*server);
  poller.AddFd(inputs.fd());
  bool more = false;
  while (!stopping) {
    const auto patience = waiting_peers != 0 ? kRetry : std::chrono::duration_cast<std::chrono::milliseconds>(kLook);
    poller.Wait(more ? std::chrono::milliseconds(0) : patience);
    for (const Peers::Gone& gone : peers.Turn([&] { Turn(more); })) Forget(gone);
  }
}

void BulkServer::Impl::Turn(bool& more) {
  now = std::chrono::steady_clock::now();
  for (BulkInput& input : inputs.TakeAll()) Take(input);
  more = true;
  for (int i = 0; i < kMessagesPerTurn && more; ++i) {
    auto message = server->Receive();
    more = message.has_value();
    if (!message) break;
    // The message may follow from a grant that was posted meanwhile.
    for (BulkInput& input : inputs.TakeAll()) Take(input);
    OnMessage(*message);
  }
  if (waiting_peers != 0) FlushAll();
  if (now - looked >= kLook) LookAfterPeers();
}

void BulkServer::Impl::Take(BulkInput& input) {
  if (auto* command = std::get_if<BulkCommand>(&input)) On(*command);
  if (auto* done = std::get_if<ChunksDone>(&input)) On(*done);
  if (auto* report = std::get_if<LogReport>(&input)) On(*report);
  if (auto* read = std::get_if<LogChunkRead>(&input)) readers.OnRead(std::move(*read));
  if (std::holds_alternative<BulkStop>(input)) stopping = true;
}

void BulkServer::Impl::On(BulkCommand& command) {
  if (auto* grant = std::get_if<BulkGrant>(&command)) {
    reaches.Grant(*grant);
    grant->trees.reset();
    grants[grant->attempt] = std::move(*grant);
  } else if (const auto* revoke = std::get_if<BulkRevoke>(&command)) {
    grants.erase(revoke->attempt);
    reaches.Revoke(revoke->attempt);
    waiting_for_seal.erase(revoke->attempt);
    readers.OnOver(revoke->attempt);
  } else if (const auto* whole = std::get_if<BulkLogFinal>(&command)) {
    readers.OnFinal(whole->attempt, whole->log);
  } else {
    const AttemptRef attempt = std::get<BulkSealDurable>(command).attempt;
    const auto waiting = waiting_for_seal.extract(attempt);
    if (waiting.empty()) return;
    for (const PeerId peer : waiting.mapped()) Send(peer, LogSealed{attempt, {}});
  }
}

void BulkServer::Impl::On(LogReport& report) {
  if (const auto* moved = std::get_if<LogMoved>(&report)) return readers.OnMoved(moved->attempt);
  if (auto* failed = std::get_if<LogDiskFailed>(&report)) return on_event(BulkFailed{std::move(failed->message)});
  auto& batch = std::get<LogBatch>(report);
  for (const auto& [id, count] : batch.handled) {
    // A peer that was dropped and came again may have fewer messages there than were handled.
    if (Peer* peer = peers.Find(id)) peer->log_messages -= std::min(count, peer->log_messages);
  }
  for (const auto& [id, reply] : batch.replies) Send(id, reply);
  for (auto& sealed : batch.sealed) {
    auto& waiting = waiting_for_seal[sealed.attempt];
    if (std::find(waiting.begin(), waiting.end(), sealed.peer) == waiting.end()) waiting.push_back(sealed.peer);
    on_event(BulkLogSealed{sealed.attempt, sealed.log});
  }
}

void BulkServer::Impl::On(ChunksDone& done) {
  if (!done.store) on_event(BulkFailed{"the chunks cannot be written: " + done.store.error().message});
  Peer* peer = peers.Find(done.peer, done.life);
  if (peer == nullptr) return;  // The peer is gone, and its uncommitted chunks go with the session.
  peer->chunks_busy = false;
  peer->session = std::move(done.session);
  peer->session_held = load.Keep(peer->key, peer->session->HeldBytes());
  for (std::string& reply : done.replies) SendEncoded(done.peer, std::move(reply));
  WorkOnChunks(done.peer, *peer);
}

// ---- from peers --------------------------------------------------------------------------------------------

BulkServer::Impl::Peer& BulkServer::Impl::PeerOf(const Incoming& message) {
  const auto [peer, is_new] = peers.Make(message.peer);
  if (is_new) {
    peer.who = message.who;
    peer.key = load.KeyOf(message.who);
    peer.sent = now;
  }
  peer.heard = now;
  return peer;
}

void BulkServer::Impl::OnMessage(Incoming& message) {
  Peer& peer = PeerOf(message);
  if (peer.dropped) return;
  auto request = DecodeBulkRequest(message.payload);
  const std::size_t bytes = message.payload.size() + kOverheadBytes;
  const bool of_chunks =
      request && (std::holds_alternative<ChunkQuery>(*request) || std::holds_alternative<ChunkPut>(*request) ||
                  std::holds_alternative<TreePut>(*request) || std::holds_alternative<ChunkGet>(*request));
  if (of_chunks) return OnChunkMessage(message.peer, peer, *request, bytes);
  // LogMore is not answered, and may end a stream.
  const auto* read_more = request ? std::get_if<LogMore>(&*request) : nullptr;
  if (read_more != nullptr) return readers.OnLogMore(message.peer, *read_more);
  if (peer.out_bytes >= kMaxOutBytes) return Tell(peer, BulkFault::kUnread);

  if (!request) {
    const std::string& why = request.error().message;
    Tell(peer, BulkFault::kNoMessage, why);
    Send(message.peer, BulkError{0, {}, {}, Errc::kInvalid, "what was sent on the bulk channel is no message: " + why});
  } else if (const auto* read = std::get_if<LogRead>(&*request)) {
    if (peer.who.role != Role::kClient) {
      Send(message.peer, BulkError{read->request, read->attempt, {}, Errc::kRejected, "logs are read by clients only"});
      return;
    }
    const auto grant = grants.find(read->attempt);
    readers.OnLogRead(message.peer, *read, grant != grants.end() && grant->second.run == read->run);
  } else {
    OnLogMessage(message.peer, peer, *request, bytes);
  }
}

void BulkServer::Impl::OnChunkMessage(PeerId id, Peer& peer, BulkRequest& request, std::size_t bytes) {
  if (peer.chunk_requests.size() >= kMaxPending)  // A peer that ignores its window loses messages.
    return Tell(peer, peer.out_bytes >= kMaxOutBytes ? BulkFault::kUnread : BulkFault::kWindow);
  auto held = Place(peer, bytes);
  if (!held) return Tell(peer, BulkFault::kTooMuch);
  peer.chunk_requests.push_back({std::move(request), std::move(*held)});
  WorkOnChunks(id, peer);
}

void BulkServer::Impl::OnLogMessage(PeerId id, Peer& peer, BulkRequest& request, std::size_t bytes) {
  LogWork work;
  AttemptRef attempt;
  if (auto* append = std::get_if<LogAppend>(&request)) {
    attempt = append->attempt;
    work.request = std::move(*append);
  } else if (auto* open = std::get_if<LogOpen>(&request)) {
    attempt = open->attempt;
    work.request = *open;
  } else {
    attempt = std::get<LogSeal>(request).attempt;
    work.request = std::get<LogSeal>(request);
  }
  const auto grant = grants.find(attempt);
  if (grant == grants.end() || peer.who != Identity{Role::kAgent, grant->second.agent}) {
    Send(id, BulkError{0, attempt, {}, Errc::kRejected, "this attempt is not, or no longer, this agent's"});
    return;
  }
  if (disk != nullptr && disk->health() == DiskHealth::kFull && std::holds_alternative<LogAppend>(work.request)) {
    Send(id, BulkError{0, attempt, {}, Errc::kUnavailable, "no logs are taken, for the controller's disk is full"});
    return;
  }
  // A peer that ignores its window asks where to continue.
  if (peer.log_messages >= kMaxPending) return Tell(peer, BulkFault::kWindow);
  auto held = Place(peer, bytes);
  if (!held) return Tell(peer, BulkFault::kTooMuch);
  ++peer.log_messages;
  work.peer = id;
  work.run = grant->second.run;
  work.quota_bytes = grant->second.log_quota_bytes;
  work.held = std::move(*held);
  writer.Post(std::move(work));
}

void BulkServer::Impl::WorkOnChunks(PeerId id, Peer& peer) {
  if (peer.chunks_busy || peer.chunk_requests.empty() || peer.out_bytes >= kMaxOutBytes) return;
  if (!peer.session) peer.session = std::make_unique<ChunkSession>(chunks, tree_chunks, helpers, disk);
  // One worker at a time per peer keeps the peer's order. A worker takes a few requests at once, so that the sender
  // gets answers while others of its window are worked on; a ChunkGet ends a batch, because its answer may be large.
  struct Batch {
    std::vector<BulkRequest> requests;
    std::vector<BulkLoad::Held> held;
  };
  const auto batch = std::make_shared<Batch>();
  do {
    batch->requests.push_back(std::move(peer.chunk_requests.front().what));
    batch->held.push_back(std::move(peer.chunk_requests.front().held));
    peer.chunk_requests.pop_front();
  } while (!peer.chunk_requests.empty() && batch->requests.size() < kRequestsAtOnce &&
           !std::holds_alternative<ChunkGet>(batch->requests.back()));
  peer.chunks_busy = true;
  pool.Run([this, id, life = peer.life, batch, reach = reaches.Of(peer.who),
            session = std::make_shared<std::unique_ptr<ChunkSession>>(std::move(peer.session))] {
    ChunksDone done{id, life, std::move(*session), {}, {}};
    done.session->Handle(batch->requests, *reach, done.replies);
    done.store = chunks.Failure();
    inputs.Post(std::move(done));
  });
}

void BulkServer::Impl::Tell(Peer& peer, BulkFault fault, const std::string& why) {
  const std::string& name = peer.who.name;
  switch (fault) {
    case BulkFault::kNoMessage:
      return log::WarningOf(name, "{} sent something on the bulk channel that is no message: {}", name, why);
    case BulkFault::kWindow:
      return log::WarningOf(name, "{} sends more on the bulk channel than its window; what is beyond it is dropped",
                            name);
    case BulkFault::kUnread:
      return log::WarningOf(name, "{} sends on the bulk channel and reads no answers; what it sends further is dropped",
                            name);
    case BulkFault::kTooMuch:
      return log::WarningOf(name, "{} has too much waiting on the bulk channel; what it sends further is dropped",
                            name);
    case BulkFault::kDropped:
      return log::WarningOf(name, "{} did not take what waits for it on the bulk channel, and it was dropped", name);
  }
}

// ---- to peers ----------------------------------------------------------------------------------------------

bool BulkServer::Impl::SendEncoded(PeerId id, std::string frame) {
  Peer* found = peers.Find(id);
  if (found == nullptr || found->dropped) return false;
  Peer& peer = *found;
  if (peer.out.empty()) {
    const SendResult result = server->Send(id, frame);
    if (result == SendResult::kSent) {
      peer.sent = now;
      return true;
    }
    if (result == SendResult::kGone) {
      peers.Leave(id);
      return false;
    }
  }
  const std::size_t bytes = frame.size() + kOverheadBytes;
  auto held = Place(peer, bytes);
  // The frame may be one of a peer that reads, beside others of its key that do not.
  while (!held && DropGreediest(*peer.key) && !peer.dropped) held = Place(peer, bytes);
  if (peer.dropped) return false;
  if (!held) return Drop(id, peer), false;
  if (peer.out.empty()) ++waiting_peers;
  peer.out_bytes += bytes;
  peer.out.push_back({std::move(frame), std::move(*held)});
  return false;
}

std::optional<BulkLoad::Held> BulkServer::Impl::Place(const Peer& peer, std::size_t bytes) {
  for (;;) {
    auto held = load.Take(peer.key, bytes);
    if (held || load.IsGreedy(*peer.key, bytes)) return held;
    const auto greediest = load.Greediest();
    if (!greediest || greediest == peer.key || !DropGreediest(*greediest)) return std::nullopt;
  }
}

bool BulkServer::Impl::DropGreediest(const BulkLoad::Key& key) {
  const auto bytes_of = [](const Peer& peer) {
    std::size_t bytes = peer.out_bytes + peer.session_held.bytes();
    for (const auto& request : peer.chunk_requests) bytes += request.held.bytes();
    return bytes;
  };
  std::pair<std::size_t, PeerId> most{0, 0};
  for (const auto& [id, peer] : peers)
    if (peer.key.get() == &key) most = std::max(most, std::pair(bytes_of(peer), id));
  if (most.first == 0) return false;
  Drop(most.second, *peers.Find(most.second));
  return true;
}

void BulkServer::Impl::Drop(PeerId id, Peer& peer) {
  Tell(peer, BulkFault::kDropped);
  if (!peer.out.empty()) --waiting_peers;
  peer.out.clear();
  peer.out_bytes = 0;
  peer.chunk_requests.clear();
  peer.session.reset();
  peer.session_held = {};
  peer.dropped = true;
  peers.Leave(id);
}

void BulkServer::Impl::Flush(PeerId id, Peer& peer) {
  while (!peer.out.empty()) {
    const SendResult result = server->Send(id, peer.out.front().what);
    if (result == SendResult::kFull) return;
    if (result == SendResult::kGone) return peers.Leave(id);
    peer.sent = now;
    peer.out_bytes -= peer.out.front().held.bytes();
    peer.out.pop_front();
  }
  --waiting_peers;
  readers.Resume(id);
}

void BulkServer::Impl::FlushAll() {
  for (auto& [id, peer] : peers) {
    if (peer.out.empty()) continue;
    Flush(id, peer);
    WorkOnChunks(id, peer);
  }
}

void BulkServer::Impl::Forget(const Peers::Gone& gone) {
  if (!gone.peer().out.empty()) --waiting_peers;
  readers.Forget(gone);
}

void BulkServer::Impl::LookAfterPeers() {
  for (auto& [id, peer] : peers) {
    if (!peer.out.empty() && now - peer.sent > kMaxStall) {
      Drop(id, peer);
    } else if (now - peer.heard > kMaxSilence && peer.out.empty() && !peer.chunks_busy && peer.log_messages == 0 &&
               !readers.Reads(id)) {
      peers.Leave(id);
    } else if (now - peer.heard > kLook && !peer.chunks_busy && peer.session && peer.session->HasUncommitted()) {
      peer.chunks_busy = true;
      pool.Run([this, id = id, life = peer.life,
                session = std::make_shared<std::unique_ptr<ChunkSession>>(std::move(peer.session))] {
        (*session)->Commit();
        inputs.Post(ChunksDone{id, life, std::move(*session), {}, chunks.Failure()});
      });
    }
  }
  load.Sweep();
  looked = now;
}

}  // namespace furrow
