// Implements Context, Server and Channel: ZeroMQ sockets with the settings that the promises of transport.h need.

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/open_files.h"
#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr int kMaxSockets = 4096;
constexpr std::size_t kPeersRemembered = 50'000;
constexpr int kConnectTimeoutMs = 2000;
constexpr int kPingEveryMs = 2500;
constexpr int kPingTimeoutMs = 5000;                         // without any byte from the other side after a ping
constexpr std::chrono::milliseconds kHandshakeAtOnce{3000};  // libzmq gives a handshake up after 5 s
constexpr int kBrokenOffIsRefused = 3;

// Receives and drops the rest of a message of several parts.
void SkipRest(zmq::socket_t& socket, const zmq::message_t& last) {
  bool more = last.more();
  while (more) {
    zmq::message_t part;
    if (!socket.recv(part, zmq::recv_flags::dontwait)) return;
    more = part.more();
  }
}

// libzmq spreads reconnects with rand(). Without a seed, the agents of a farm would do so in step.
void SeedRand() {
  unsigned seed = 0;
  FillRandom(&seed, sizeof(seed));
  std::srand(seed);
}

SendResult Sent(int number) {
  if (number == EAGAIN) return SendResult::kFull;
  FURROW_CHECK(number == EHOSTUNREACH, std::string("zmq_msg_send: ") + zmq_strerror(number));
  return SendResult::kGone;
}

}  // namespace

Error FromZmq(const std::string& context, const zmq::error_t& error) {
  return ErrnoError(context, error.num());
}

void SetCommonOptions(zmq::socket_t& socket, std::size_t max_frame_bytes) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(max_frame_bytes + kCurveOverhead));
  socket.set(zmq::sockopt::handshake_ivl, 5000);
  // If a peer's machine has vanished, the kernel gives the connection up within half a minute.
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, 15);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, 5);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, 3);
  socket.set(zmq::sockopt::tcp_maxrt, 30'000);
}

Context::Context() : impl_(std::make_unique<Impl>()) {
  SeedRand();
  RaiseOpenFiles();
  impl_->zmq.set(zmq::ctxopt::io_threads, kIoThreads);
  impl_->zmq.set(zmq::ctxopt::max_sockets, kMaxSockets);
}

Context::~Context() = default;

Status Context::ServeAllowlist(const std::filesystem::path& allowlist) {
  FURROW_TRY(impl_->allowlist.Load(allowlist));
  try {
    impl_->zap = std::make_unique<ZapHandler>(impl_->zmq, impl_->allowlist);
  } catch (const zmq::error_t& error) {
    return tl::unexpected(FromZmq("cannot start the handler of the allowlist", error));
  }
  return {};
}

void Context::OnAllowlist(std::function<void(std::vector<AllowedKey>)> on_read) {
  impl_->allowlist.OnRead(std::move(on_read));
}

void Context::RefreshAllowlist() {
  impl_->allowlist.Refresh();
}

std::optional<Identity> Context::FindAllowed(const std::string& public_key) {
  const auto user_id = impl_->allowlist.Find(public_key);
  return user_id ? ParseUserId(*user_id) : std::nullopt;
}

// ---- server ----------------------------------------------------------------------------------------------

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
std::uint16_t Server::port() const {
  return impl_->port;
}

Server::Impl::Peer* Server::Impl::Find(PeerId id) {
  if (const auto found = recent.find(id); found != recent.end()) return &found->second;
  const auto found = older.find(id);
  if (found == older.end()) return nullptr;
  Peer& moved = recent[id] = std::move(found->second);
  older.erase(found);
  return &moved;
}

Server::Impl::~Impl() {
  StopMonitor(socket);
}

bool Server::Impl::Allowed(Peer& peer) {
  if (allowlist == nullptr) return true;
  const std::uint64_t generation = allowlist->generation();
  if (peer.checked == generation) return true;
  if (!allowlist->Allows(peer.user_id)) return false;
  peer.checked = generation;
  return true;
}

Result<std::unique_ptr<Server>> Server::Bind(Context& context, const ServerOptions& options) {
  const std::string where = options.address + ':' + (options.port == 0 ? "*" : std::to_string(options.port));
  try {
    auto impl = std::make_unique<Impl>();
    if (!options.open) impl->allowlist = &context.impl().allowlist;
    impl->max_frame_bytes = options.max_frame_bytes;
    impl->max_answer_bytes = options.max_answer_bytes == 0 ? options.max_frame_bytes : options.max_answer_bytes;
    impl->socket = zmq::socket_t(context.impl().zmq, zmq::socket_type::router);
    zmq::socket_t& socket = impl->socket;
    SetCommonOptions(socket, options.max_frame_bytes);
    socket.set(zmq::sockopt::ipv6, options.address.find(':') != std::string::npos);
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::backlog, 4096);
    socket.set(zmq::sockopt::sndhwm, options.send_queue);
    socket.set(zmq::sockopt::rcvhwm, options.receive_queue);
    socket.set(zmq::sockopt::curve_server, true);
    socket.set(zmq::sockopt::curve_secretkey, options.keys.secret_key);
    socket.set(zmq::sockopt::zap_domain, options.open ? kOpenZapDomain : kZapDomain);
    // Without a handler no key gets in, instead of every key; cppzmq has no name for this option.
    const int enforce = 1;
    if (::zmq_setsockopt(socket.handle(), 93 /* ZMQ_ZAP_ENFORCE_DOMAIN */, &enforce, sizeof(enforce)) != 0)
      return Fail(Errc::kInternal, "this libzmq lacks ZAP_ENFORCE_DOMAIN; libzmq 4.3 with it is needed");
    if (options.open) impl->monitor = OpenCounter(context.impl().zmq, socket);
    socket.bind("tcp://" + where);
    const std::string bound = socket.get(zmq::sockopt::last_endpoint);
    impl->port = static_cast<std::uint16_t>(std::stoi(bound.substr(bound.rfind(':') + 1)));
    return std::unique_ptr<Server>(new Server(std::move(impl)));
  } catch (const zmq::error_t& error) {
    if (error.num() == EADDRINUSE)
      return Fail(Errc::kUnavailable, "cannot listen on " + where +
                                          ": the port is in use. Another Furrow may be running " +
                                          "here; stop what listens there (ss -ltnp shows it) or choose another port");
    if (error.num() == EINVAL || error.num() == ENODEV || error.num() == EADDRNOTAVAIL)
      return Fail(Errc::kInvalid, "cannot listen on " + where + ": " + error.what() +
                                      ". The address must be one of this machine, such as 127.0.0.1, 0.0.0.0 or [::1]");
    return tl::unexpected(FromZmq("cannot listen on " + where, error));
  }
}

std::optional<Incoming> Server::Receive() {
  if (!impl_->ready->input) return std::nullopt;
  zmq::message_t id, payload;
  try {
    for (;;) {
      if (!impl_->socket.recv(id, zmq::recv_flags::dontwait)) {
        impl_->ready->Drained(impl_->ready->input);
        return std::nullopt;
      }
      if (!id.more() || !impl_->socket.recv(payload, zmq::recv_flags::dontwait)) continue;
      if (payload.more()) {
        SkipRest(impl_->socket, payload);  // Furrow's peers send one part; a message of several parts is not theirs
        continue;
      }
      const std::string_view routing_id = id.to_string_view();
      const auto peer_id = NumberOfRoutingId(routing_id);
      const char* given = ::zmq_msg_gets(payload.handle(), "User-Id");
      std::string_view user_id = given == nullptr ? std::string_view() : given;
      if (!peer_id || !user_id.starts_with(routing_id) || payload.size() > impl_->max_frame_bytes) continue;
      user_id.remove_prefix(routing_id.size());

      Impl::Peer* peer = impl_->Find(*peer_id);
      if (peer == nullptr) {
        auto key = impl_->allowlist == nullptr ? ParseStrangerId(user_id) : std::string();
        auto who = impl_->allowlist == nullptr ? Identity{} : ParseUserId(user_id);
        if (!who || !key) continue;
        if (impl_->recent.size() >= kPeersRemembered) {
          impl_->older = std::move(impl_->recent);
          impl_->recent.clear();
        }
        peer = &(impl_->recent[*peer_id] =
                     Impl::Peer{std::string(routing_id), std::string(user_id), std::move(*who), std::move(*key), 0});
      }
      if (!impl_->Allowed(*peer)) continue;
      return Incoming{*peer_id, peer->who, std::string(payload.data<char>(), payload.size()), peer->key};
    }
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return std::nullopt;
    FURROW_CHECK(false, std::string("receiving: ") + error.what());
  }
}

std::size_t Server::Connections() {
  if (!impl_->monitor) return 0;
  while (const int event = NextEvent(impl_->monitor)) {
    if (event == ZMQ_EVENT_ACCEPTED) ++impl_->connections;
    if (event == ZMQ_EVENT_DISCONNECTED && impl_->connections > 0) --impl_->connections;
  }
  return impl_->connections;
}

SendResult Server::Send(PeerId peer_id, std::string_view payload) {
  FURROW_CHECK(payload.size() <= impl_->max_answer_bytes, "a message is larger than the frames of its endpoint");
  Impl::Peer* peer = impl_->Find(peer_id);
  if (peer == nullptr || !impl_->Allowed(*peer)) return SendResult::kGone;
  impl_->ready->Unknown();
  zmq::message_t id(peer->routing_id);
  zmq::message_t body(payload.data(), payload.size());
  int rc = 0;
  do {
    rc = ::zmq_msg_send(id.handle(), impl_->socket.handle(), ZMQ_DONTWAIT | ZMQ_SNDMORE);
  } while (rc < 0 && zmq_errno() == EINTR);
  if (rc < 0) {
    const SendResult result = Sent(zmq_errno());
    if (result == SendResult::kGone) impl_->recent.erase(peer_id);
    return result;
  }
  do {
    rc = ::zmq_msg_send(body.handle(), impl_->socket.handle(), ZMQ_DONTWAIT);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? Sent(zmq_errno()) : SendResult::kSent;
}

// ---- channel ---------------------------------------------------------------------------------------------

Channel::Channel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Channel::~Channel() = default;

Result<std::unique_ptr<Channel>> Channel::Connect(Context& context, const ChannelOptions& options) {
  try {
    auto impl = std::make_unique<Impl>();
    impl->endpoint = "tcp://" + options.address;
    impl->socket = zmq::socket_t(context.impl().zmq, zmq::socket_type::dealer);
    zmq::socket_t& socket = impl->socket;
    SetCommonOptions(socket, options.max_frame_bytes);
    socket.set(zmq::sockopt::sndhwm, options.send_queue);
    socket.set(zmq::sockopt::rcvhwm, options.receive_queue);
    socket.set(zmq::sockopt::ipv6, true);  // a name may resolve to either kind of address
    socket.set(zmq::sockopt::curve_serverkey, options.server_key);
    socket.set(zmq::sockopt::curve_publickey, options.keys.public_key);
    socket.set(zmq::sockopt::curve_secretkey, options.keys.secret_key);
    // Ten thousand agents that lost the controller at the same moment must not reconnect at the same moment.
    std::minstd_rand random(std::random_device{}());
    const auto least = std::max<std::int64_t>(1, options.reconnect_min.count());
    socket.set(zmq::sockopt::reconnect_ivl,
               static_cast<int>(std::uniform_int_distribution<std::int64_t>(least, 2 * least)(random)));
    socket.set(zmq::sockopt::reconnect_ivl_max,
               static_cast<int>(std::max<std::int64_t>(2 * least, options.reconnect_max.count())));
    // A link on which packets vanish one way is given up after a few seconds, and so is each attempt to make another:
    // the kernel alone would wait longer and longer, and be slow to notice when they arrive again.
    socket.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
    socket.set(zmq::sockopt::heartbeat_ivl, kPingEveryMs);
    socket.set(zmq::sockopt::heartbeat_timeout, kPingTimeoutMs);
    impl->retry_min = impl->retry_delay = options.reconnect_min;
    impl->retry_max = options.reconnect_max;
    impl->monitor = OpenMonitor(context.impl().zmq, socket);
    socket.connect(impl->endpoint);
    return std::unique_ptr<Channel>(new Channel(std::move(impl)));
  } catch (const zmq::error_t& error) {
    if (error.num() == EINVAL)
      return Fail(Errc::kInvalid, "cannot connect to \"" + options.address +
                                      "\": an address looks like host:7071, and keys have 40 characters");
    return tl::unexpected(FromZmq("cannot connect to " + options.address, error));
  }
}

void Channel::Impl::DrainMonitor() {
  while (ready->monitor) {
    const int event = NextEvent(monitor);
    if (event == 0) {
      ready->Drained(ready->monitor);
      break;
    }
    switch (event) {
      case ZMQ_EVENT_CONNECTED: began = std::chrono::steady_clock::now(); break;
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        link = LinkState::kConnected;
        broken_off = 0;
        refusal = Refusal::kNone;
        ++connections;
        retry_delay = retry_min;
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        link = LinkState::kRefused;
        refusal = event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? Refusal::kKey : Refusal::kHandshake;
        retry_at = std::chrono::steady_clock::now() + retry_delay;
        retry_delay = std::min(2 * retry_delay, retry_max);
        break;
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL: OnBrokenOff(); break;  // libzmq tries again
      case ZMQ_EVENT_DISCONNECTED:
        if (link == LinkState::kConnected) link = LinkState::kConnecting;
        break;
      case ZMQ_EVENT_CLOSED:  // no program listens there
        broken_off = 0;
        if (!retry_at) link = LinkState::kConnecting;
        break;
      default: break;
    }
  }
  RetryIfDue();
}

// The server closed the connection within the handshake. One that does not have the key that we expect does so each
// time, and at once; so does, a single time, one that is being killed. One that is stopped or stuck lets the handshake
// time out, which says nothing about keys.
void Channel::Impl::OnBrokenOff() {
  const bool at_once = std::chrono::steady_clock::now() - began < kHandshakeAtOnce;
  broken_off = at_once ? broken_off + 1 : 0;
  if (broken_off < kBrokenOffIsRefused) {
    if (link == LinkState::kConnected) link = LinkState::kConnecting;
    return;
  }
  link = LinkState::kRefused;
  refusal = Refusal::kHandshake;
}

void Channel::Impl::RetryIfDue() {
  if (!retry_at || std::chrono::steady_clock::now() < *retry_at) return;
  retry_at.reset();
  ready->Unknown();
  try {
    socket.disconnect(endpoint);
  } catch (const zmq::error_t&) {
    // libzmq has given the connection up already, so there is nothing to disconnect.
  }
  socket.connect(endpoint);
}

std::optional<std::string> Channel::Receive() {
  zmq::message_t payload;
  try {
    while (impl_->ready->input && impl_->socket.recv(payload, zmq::recv_flags::dontwait)) {
      if (!payload.more()) return std::string(payload.data<char>(), payload.size());
      SkipRest(impl_->socket, payload);
    }
    impl_->ready->Drained(impl_->ready->input);
    impl_->DrainMonitor();  // a full queue of the monitor would hold up the I/O thread
    return std::nullopt;
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return std::nullopt;
    FURROW_CHECK(false, std::string("receiving: ") + error.what());
  }
}

SendResult Channel::Send(std::string_view payload) {
  impl_->ready->Unknown();
  zmq::message_t body(payload.data(), payload.size());
  int rc = 0;
  do {
    rc = ::zmq_msg_send(body.handle(), impl_->socket.handle(), ZMQ_DONTWAIT);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? Sent(zmq_errno()) : SendResult::kSent;
}

std::uint64_t Channel::connections() {
  impl_->DrainMonitor();
  return impl_->connections;
}

void Channel::Reconnect() {
  impl_->link = LinkState::kConnecting;
  impl_->retry_at = std::chrono::steady_clock::now();
  impl_->RetryIfDue();
}

Refusal Channel::refusal() {
  impl_->DrainMonitor();
  return impl_->refusal;
}

LinkState Channel::link() {
  impl_->DrainMonitor();
  return impl_->link;
}

}  // namespace furrow
