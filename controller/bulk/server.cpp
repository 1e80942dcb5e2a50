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
constexpr int kQueue = 2 * kBulkWindow;  // messages of a peer in ZeroMQ's queues, each way
// The limit is twice the window, because messages under way when a connection broke may come again at once.
constexpr std::size_t kMaxPending = 2 * kBulkWindow;
constexpr std::size_t kMaxOutBytes = 8 << 20;  // A peer with so much waiting gets no further work done.
constexpr int kMessagesPerTurn = 64;
constexpr auto kRetry = std::chrono::milliseconds(5);  // ZeroMQ does not say when a slow peer's queue has room
constexpr auto kLook = std::chrono::seconds(1);
constexpr auto kMaxStall = std::chrono::seconds(60);  // A peer that takes nothing for so long is dropped.
constexpr auto kMaxSilence = std::chrono::minutes(10);

}  // namespace

BulkServer::Impl::Impl(LogStore& logs, ChunkStore& chunk_store, FindLog find_log,
                       std::function<void(BulkEvent)> event_handler)
    : chunks(chunk_store),
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

Result<std::unique_ptr<BulkServer>> BulkServer::Start(Context& context, ServerOptions options, LogStore& logs,
                                                      ChunkStore& chunks, FindLog find_log,
                                                      std::function<void(BulkEvent)> on_event,
                                                      std::vector<BulkCommand> first) {
  auto impl = std::make_unique<Impl>(logs, chunks, std::move(find_log), std::move(on_event));
  options.max_frame_bytes = kMaxBulkRequestFrame;
  options.send_queue = kQueue;
  options.receive_queue = kQueue;
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
    for (const PeerId peer : std::exchange(leaving, {})) Forget(peer);
  }
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
    if (const auto peer = peers.find(id); peer != peers.end()) peer->second.log_messages -= count;
  }
  for (const auto& [id, reply] : batch.replies) Send(id, reply);
  for (auto& sealed : batch.sealed) {
    auto& waiting = waiting_for_seal[sealed.attempt];
    if (std::find(waiting.begin(), waiting.end(), sealed.peer) == waiting.end()) waiting.push_back(sealed.peer);
    on_event(BulkLogSealed{sealed.attempt, sealed.log});
  }
}

void BulkServer::Impl::On(ChunksDone& done) {
  const auto found = peers.find(done.peer);
  if (found == peers.end()) return;  // The peer is gone, and its uncommitted chunks go with the session.
  found->second.chunks_busy = false;
  found->second.session = std::move(done.session);
  for (std::string& reply : done.replies) SendEncoded(done.peer, std::move(reply));
  WorkOnChunks(done.peer, found->second);
}

// ---- from peers --------------------------------------------------------------------------------------------

void BulkServer::Impl::OnMessage(Incoming& message) {
  auto request = DecodeBulkRequest(message.payload);
  const auto [found, is_new] = peers.try_emplace(message.peer);
  Peer& peer = found->second;
  if (is_new) {
    peer.who = message.who;
    peer.sent = now;
  }
  peer.heard = now;
  if (!request) {
    const std::string& why = request.error().message;
    if (!std::exchange(peer.misunderstood, true))
      log::Warning("{} sent something on the bulk channel that is no message: {}", message.who.name, why);
    Send(message.peer, BulkError{0, {}, {}, Errc::kInvalid, "what was sent on the bulk channel is no message: " + why});
    return;
  }

  if (const auto* read = std::get_if<LogRead>(&*request)) {
    if (peer.who.role != Role::kClient) {
      Send(message.peer, BulkError{read->request, read->attempt, {}, Errc::kRejected, "logs are read by clients only"});
      return;
    }
    const auto grant = grants.find(read->attempt);
    readers.OnLogRead(message.peer, *read, grant != grants.end() && grant->second.run == read->run);
  } else if (const auto* read_more = std::get_if<LogMore>(&*request)) {
    readers.OnLogMore(message.peer, *read_more);
  } else if (std::holds_alternative<LogAppend>(*request) || std::holds_alternative<LogOpen>(*request) ||
             std::holds_alternative<LogSeal>(*request)) {
    OnLogMessage(message.peer, peer, *request);
  } else if (peer.chunk_requests.size() < kMaxPending) {  // A peer that ignores its window loses messages.
    peer.chunk_requests.push_back(std::move(*request));
    WorkOnChunks(message.peer, peer);
  }
}

void BulkServer::Impl::OnLogMessage(PeerId id, Peer& peer, BulkRequest& request) {
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
  if (peer.log_messages >= kMaxPending) return;  // The peer ignores its window; it asks where to continue.
  ++peer.log_messages;
  work.peer = id;
  work.run = grant->second.run;
  work.quota_bytes = grant->second.log_quota_bytes;
  writer.Post(std::move(work));
}

void BulkServer::Impl::WorkOnChunks(PeerId id, Peer& peer) {
  if (peer.chunks_busy || peer.chunk_requests.empty() || peer.out_bytes >= kMaxOutBytes) return;
  if (!peer.session) peer.session = std::make_unique<ChunkSession>(chunks, tree_chunks, helpers);
  // One worker at a time per peer keeps the peer's order. A worker takes a few requests at once, so that the sender
  // gets answers while others of its window are worked on; a ChunkGet ends a batch, because its answer may be large.
  auto requests = std::make_shared<std::vector<BulkRequest>>();
  do {
    requests->push_back(std::move(peer.chunk_requests.front()));
    peer.chunk_requests.pop_front();
  } while (!peer.chunk_requests.empty() && requests->size() < kRequestsAtOnce &&
           !std::holds_alternative<ChunkGet>(requests->back()));
  peer.chunks_busy = true;
  pool.Run([this, id, requests, reach = reaches.Of(peer.who),
            session = std::make_shared<std::unique_ptr<ChunkSession>>(std::move(peer.session))] {
    ChunksDone done{id, std::move(*session), {}};
    done.session->Handle(*requests, *reach, done.replies);
    inputs.Post(std::move(done));
  });
}

// ---- to peers ----------------------------------------------------------------------------------------------

bool BulkServer::Impl::SendEncoded(PeerId id, std::string frame) {
  const auto found = peers.find(id);
  if (found == peers.end()) return false;
  Peer& peer = found->second;
  if (peer.out.empty()) {
    const SendResult result = server->Send(id, frame);
    if (result == SendResult::kSent) {
      peer.sent = now;
      return true;
    }
    if (result == SendResult::kGone) {
      leaving.push_back(id);
      return false;
    }
    ++waiting_peers;
  }
  peer.out_bytes += frame.size();
  peer.out.push_back(std::move(frame));
  return false;
}

void BulkServer::Impl::Flush(PeerId id, Peer& peer) {
  while (!peer.out.empty()) {
    const SendResult result = server->Send(id, peer.out.front());
    if (result == SendResult::kFull) return;
    if (result == SendResult::kGone) return leaving.push_back(id);
    peer.sent = now;
    peer.out_bytes -= peer.out.front().size();
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

void BulkServer::Impl::Forget(PeerId id) {
  const auto found = peers.find(id);
  if (found == peers.end()) return;
  if (!found->second.out.empty()) --waiting_peers;
  readers.Forget(id);
  peers.erase(found);
}

void BulkServer::Impl::LookAfterPeers() {
  for (auto& [id, peer] : peers) {
    if (!peer.out.empty() && now - peer.sent > kMaxStall) {
      log::Warning("{} took nothing on the bulk channel for a minute; what waited for it was dropped", peer.who.name);
      leaving.push_back(id);
    } else if (now - peer.heard > kMaxSilence && peer.out.empty() && !peer.chunks_busy && peer.log_messages == 0 &&
               !readers.Reads(id)) {
      leaving.push_back(id);
    } else if (now - peer.heard > kLook && !peer.chunks_busy && peer.session && peer.session->HasUncommitted()) {
      peer.chunks_busy = true;
      pool.Run([this, id = id, session = std::make_shared<std::unique_ptr<ChunkSession>>(std::move(peer.session))] {
        (*session)->Commit();
        inputs.Post(ChunksDone{id, std::move(*session), {}});
      });
    }
  }
  looked = now;
}

}  // namespace furrow
