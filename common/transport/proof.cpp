// Proves at start that the allowlist is in force.
#include <chrono>
#include <string>

#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);  // twice the limit of a handshake

enum class Verdict { kAdmitted, kRefused, kNothing };

Verdict ProbeHandshake(zmq::context_t& context, const std::string& endpoint, const KeyPair& keys,
                       const std::string& server_key) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  SetCommonOptions(socket, 1024);
  socket.set(zmq::sockopt::ipv6, true);  // as a Channel has it
  socket.set(zmq::sockopt::curve_serverkey, server_key);
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
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
  // A server that listens on all addresses is asked on the loopback.
  std::string host = address;
  if (host == "0.0.0.0" || host == "*") host = "127.0.0.1";
  if (host == "[::]") host = "[::1]";
  const std::string endpoint = "tcp://" + host + ':' + std::to_string(port);
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

    const KeyPair keys = GenerateKeyPair();
    const AllowedKey known{{Role::kClient, "proof-at-start"}, keys.public_key};
    context.impl().allowlist.AddTemporary(known);
    const Verdict verdict = ProbeHandshake(context.impl().zmq, endpoint, keys, server_key);
    context.impl().allowlist.RemoveTemporary(known);
    if (verdict != Verdict::kAdmitted)
      return Fail(Errc::kInternal, endpoint +
                                       " refuses a key that is allowed: the allowlist is not being served, or "
                                       "another program answers on this port");
  } catch (const zmq::error_t& error) {
    return tl::unexpected(FromZmq("cannot prove that " + endpoint + " refuses unknown keys", error));
  }
  return {};
}

}  // namespace furrow
