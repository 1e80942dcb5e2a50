// Proves at start that the allowlist is in force.
#include <chrono>
#include <string>

#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);  // twice the limit of a handshake

enum class Verdict { kAdmitted, kRefused, kNothing };

// Returns where a server that listens on `address` is reached from this machine.
std::string LoopbackOf(const std::string& address, std::uint16_t port) {
  std::string host = address;
  if (host == "0.0.0.0" || host == "*") host = "127.0.0.1";
  if (host == "[::]") host = "[::1]";
  return "tcp://" + host + ':' + std::to_string(port);
}

// A key that is on the allowlist while this lives.
struct TemporaryKey {
  explicit TemporaryKey(Allowlist& list) : allowlist(list) { allowlist.AddTemporary(allowed); }
  ~TemporaryKey() { allowlist.RemoveTemporary(allowed); }
  TemporaryKey(const TemporaryKey&) = delete;
  TemporaryKey& operator=(const TemporaryKey&) = delete;

  Allowlist& allowlist;
  const KeyPair keys = GenerateKeyPair();
  const AllowedKey allowed{{Role::kClient, "proof-at-start"}, keys.public_key};
};

zmq::socket_t MakeDealer(zmq::context_t& context, const KeyPair& keys, const std::string& server_key) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  SetCommonOptions(socket, 1024);
  socket.set(zmq::sockopt::ipv6, true);  // as a Channel has it
  socket.set(zmq::sockopt::curve_serverkey, server_key);
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  return socket;
}

Verdict ProbeHandshake(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                       const std::string& server_key) {
  zmq::socket_t socket = MakeDealer(context, keys, server_key);
  zmq::socket_t monitor = OpenMonitor(context, socket);
  struct Quiet {
    zmq::socket_t& watched;
    ~Quiet() { StopMonitor(watched); }
  } quiet{socket};  // stops the monitor before the monitor's socket closes
  socket.connect(endpoint);

  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Verdict::kNothing;
    zmq::pollitem_t item{monitor.handle(), 0, ZMQ_POLLIN, 0};
    ::zmq_poll(&item, 1, left.count());
    while (const int event = NextEvent(monitor)) {
      if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) return Verdict::kAdmitted;
      if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
          event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        return Verdict::kRefused;
    }
  }
}

}  // namespace

Status ProveUnknownKeyIsRefused(Context& context, const std::string& address, std::uint16_t port,
                                const std::string& server_key) {
  const std::string endpoint = LoopbackOf(address, port);
  try {
    const KeyPair stranger = GenerateKeyPair();
    context.impl().allowlist.ExpectStranger(stranger.public_key);
    const Verdict refusal = ProbeHandshake(context.impl().zmq, endpoint, stranger, server_key);
    if (refusal == Verdict::kNothing)
      return Fail(Errc::kInternal,
                  "nothing answers on " + endpoint + ", where this program listens: is there a firewall?");
    if (refusal != Verdict::kRefused)
      return Fail(Errc::kInternal, endpoint +
                                       " lets a key in that is not on the allowlist; nothing will be served. Is "
                                       "libzmq a build with CURVE and ZAP?");

    const TemporaryKey known(context.impl().allowlist);
    if (ProbeHandshake(context.impl().zmq, endpoint, known.keys, server_key) != Verdict::kAdmitted)
      return Fail(Errc::kInternal, endpoint +
                                       " refuses a key that is allowed: the allowlist is not being served, or "
                                       "another program answers on this port");
  } catch (const zmq::error_t& error) {
    return tl::unexpected(FromZmq("cannot prove that " + endpoint + " refuses unknown keys", error));
  }
  return {};
}

Status ProveClaimIsIgnored(Context& context) {
  // The messages of the farm's own servers are not this function's to take.
  const KeyPair keys = GenerateKeyPair();
  FURROW_ASSIGN(const auto server, Server::Bind(context, {"127.0.0.1", 0, keys, 1024}));
  try {
    const TemporaryKey known(context.impl().allowlist);
    zmq::socket_t socket = MakeDealer(context.impl().zmq, known.keys, keys.public_key);
    socket.set(zmq::sockopt::routing_id, std::string("\0abcd", 5));
    socket.connect("tcp://127.0.0.1:" + std::to_string(server->port()));
    socket.send(zmq::str_buffer("proof"), zmq::send_flags::none);
    Poller poller;
    poller.Add(*server);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (server->Receive()) return {};  // A server drops what comes under a claimed id.
      poller.Wait(std::chrono::milliseconds(100));
    }
  } catch (const zmq::error_t& error) {
    return tl::unexpected(FromZmq("cannot prove that claimed routing ids are ignored", error));
  }
  return Fail(Errc::kInternal,
              "this libzmq does not let the controller name connections; nothing will be served. Furrow is tested with "
              "libzmq 4.3.4 and 4.3.5");
}

}  // namespace furrow
