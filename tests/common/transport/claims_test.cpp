// A peer may claim any routing id in its handshake. These tests hold that no claim has an effect: see
// common/transport/impl.h.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <zmq.hpp>  // for peers that are not ours

#include "tests/common/transport/transport_farm.h"

namespace furrow {
namespace {

using namespace transport_farm;

// Connects as a peer with these keys that claims `claim`.
zmq::socket_t Claimer(zmq::context_t& context, const std::string& address, const KeyPair& keys,
                      const std::string& server_key, const std::string& claim) {
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::rcvtimeo, 10'000);
  if (!claim.empty()) socket.set(zmq::sockopt::routing_id, claim);
  socket.set(zmq::sockopt::curve_serverkey, server_key);
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  socket.connect("tcp://" + address);
  return socket;
}

std::string Reserved(std::uint32_t number) {
  return {'\0', static_cast<char>(number >> 24), static_cast<char>(number >> 16), static_cast<char>(number >> 8),
          static_cast<char>(number)};
}

// Returns the numbers from which a ROUTER may count that libzmq makes after srand(seed): libzmq takes two values of
// rand() for it, and may have taken others before.
std::set<std::uint32_t> Foretell(unsigned seed) {
  std::srand(seed);
  std::vector<std::uint32_t> values;
  for (int i = 0; i < 12; ++i) values.push_back(static_cast<std::uint32_t>(std::rand()));
  std::set<std::uint32_t> first;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) first.insert(values[i] | values[i + 1] << 31);
  std::srand(seed);
  return first;
}

// A stranger that claims the ids that a ROUTER is about to count, and then connects until the ROUTER gets there.
struct Attack {
  static constexpr std::uint32_t kAhead = 30;

  Attack(std::string victim, std::string key) : address(std::move(victim)), server_key(std::move(key)) {
    context.set(zmq::ctxopt::max_sockets, 4096);
  }
  void Open(const std::string& claim) {
    sockets.push_back(Claimer(context, address, keys, server_key, claim));
    sockets.back().send(zmq::str_buffer("hello"), zmq::send_flags::none);
  }
  // Each of the two opens connections, of which each sends one message, and returns their number.
  std::size_t Claim(const std::set<std::uint32_t>& first) {
    for (const std::uint32_t number : first) Open(Reserved(number + kAhead));
    return first.size();
  }
  std::size_t Call() {
    for (std::uint32_t i = 0; i < 2 * kAhead; ++i) Open("");
    return 2 * kAhead;
  }

  const std::string address, server_key;
  const KeyPair keys = GenerateKeyPair();
  zmq::context_t context;
  std::vector<zmq::socket_t> sockets;
};

struct OpenServer {
  OpenServer() {
    ServerOptions options = farm.Options();
    options.open = true;
    auto bound = Server::Bind(farm.context, options);
    REQUIRE(bound);
    server = std::move(*bound);
  }
  std::string Address() const { return "127.0.0.1:" + std::to_string(server->port()); }

  Farm farm;
  std::unique_ptr<Server> server;
};

TEST_CASE("claims: whatever a peer claims, it is served as what it is, and beside others that claim the same") {
  Farm farm;
  zmq::context_t context;
  std::vector<zmq::socket_t> peers;
  const std::vector<std::string> claims = {"",
                                           "agent one",
                                           "agent one",
                                           Reserved(0),
                                           Reserved(1),
                                           Reserved(1),
                                           Reserved(0xFFFFFFFF),
                                           std::string(255, 'x'),
                                           std::string(31, '0'),
                                           "0000000000000001" + std::string(15, '0'),
                                           "0000000000000001" + std::string(15, '0')};
  for (const std::string& claim : claims) {
    const bool agent = peers.size() % 2 == 0;
    peers.push_back(
        Claimer(context, farm.Address(), agent ? farm.agent : farm.client, farm.server_keys.public_key, claim));
    peers.back().send(zmq::buffer(std::to_string(peers.size() - 1)), zmq::send_flags::none);
  }
  std::set<PeerId> seen;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const auto message = Next(*farm.server);
    REQUIRE(message);
    CHECK(seen.insert(message->peer).second);
    CHECK(message->who.name == (std::stoul(message->payload) % 2 == 0 ? "one" : "ann"));
    CHECK(farm.server->Send(message->peer, "to " + message->payload) == SendResult::kSent);
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    zmq::message_t answer;
    CAPTURE(i);
    REQUIRE(peers[i].recv(answer));
    CHECK(answer.to_string() == "to " + std::to_string(i));
  }
}

TEST_CASE("claims: who claims the ids that a ROUTER counts ends a bare one, and not a server") {
  constexpr unsigned kSeed = 20261127;
  SUBCASE("a bare ROUTER") {
    const KeyPair keys = GenerateKeyPair();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      static_cast<void>(std::freopen("/dev/null", "w", stderr));  // for libzmq's last words
      std::signal(SIGABRT, SIG_DFL);
      const auto first = Foretell(kSeed);
      zmq::context_t context;
      zmq::socket_t router(context, zmq::socket_type::router);
      router.set(zmq::sockopt::curve_server, true);
      router.set(zmq::sockopt::curve_secretkey, keys.secret_key);
      router.bind("tcp://127.0.0.1:*");
      const std::string endpoint = router.get(zmq::sockopt::last_endpoint);
      router.set(zmq::sockopt::rcvtimeo, 5'000);
      Attack attack(endpoint.substr(endpoint.rfind('/') + 1), keys.public_key);
      zmq::message_t part;
      for (std::size_t parts = 2 * attack.Claim(first); parts > 0 && router.recv(part); --parts) continue;
      for (std::size_t parts = 2 * attack.Call(); parts > 0 && router.recv(part); --parts) continue;
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    // The attack works, so that the next case proves something.
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
  }
  SUBCASE("a server that lets any key in") {
    const auto first = Foretell(kSeed);
    OpenServer open;
    Attack attack(open.Address(), open.farm.server_keys.public_key);
    for (std::size_t messages = attack.Claim(first); messages > 0; --messages) REQUIRE(Next(*open.server));
    for (std::size_t messages = attack.Call(); messages > 0; --messages) REQUIRE(Next(*open.server));
    auto channel = Channel::Connect(
        open.farm.context, {open.Address(), GenerateKeyPair(), open.farm.server_keys.public_key, kFrame, 100, 100});
    REQUIRE(channel);
    REQUIRE((*channel)->Send("alive?") == SendResult::kSent);
    const auto message = Next(*open.server);
    REQUIRE(message);
    CHECK(message->payload == "alive?");
  }
}

TEST_CASE("claims: the answer to a handshake comes after the claim, however many there are at once") {
  constexpr int kConnections = 600;
  Farm farm;
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 2 * kConnections);
  std::vector<zmq::socket_t> peers;
  peers.reserve(kConnections);
  for (int i = 0; i < kConnections; ++i) {
    peers.push_back(Claimer(context, farm.Address(), farm.agent, farm.server_keys.public_key, Reserved(i % 100)));
    peers.back().send(zmq::buffer(std::to_string(i)), zmq::send_flags::none);
  }
  // A claim that holds makes an id that is not the server's, and its message would be dropped.
  std::set<std::string> heard;
  std::set<PeerId> ids;
  while (heard.size() < kConnections) {
    const auto message = Next(*farm.server);
    REQUIRE(message);
    CHECK(heard.insert(message->payload).second);
    CHECK(ids.insert(message->peer).second);
  }
}

TEST_CASE("claims: what is sent to a connection that broke reaches nobody else") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  REQUIRE(channel->Send("register") == SendResult::kSent);
  const auto first = Next(*farm.server);
  REQUIRE(first);
  channel.reset();

  zmq::context_t context;
  std::vector<zmq::socket_t> thieves;
  for (PeerId number = first->peer > 2 ? first->peer - 2 : 0; number < first->peer + 3; ++number) {
    for (const std::string& claim : {Reserved(static_cast<std::uint32_t>(number)), std::to_string(number),
                                     "000000000000000" + std::to_string(number % 10) + std::string(15, '0')}) {
      thieves.push_back(Claimer(context, farm.Address(), farm.client, farm.server_keys.public_key, claim));
      thieves.back().set(zmq::sockopt::rcvtimeo, 0);
      thieves.back().send(zmq::str_buffer("me"), zmq::send_flags::none);
    }
  }
  for (std::size_t i = 0; i < thieves.size(); ++i) {
    const auto message = Next(*farm.server);
    REQUIRE(message);
    CHECK(message->peer != first->peer);
  }
  CHECK(Await(farm.server.get(), nullptr, [&] {
    farm.server->Receive();
    return farm.server->Send(first->peer, "the script of a job") == SendResult::kGone;
  }));
  for (zmq::socket_t& thief : thieves) {
    zmq::message_t stolen;
    CHECK_FALSE(thief.recv(stolen));
  }
}

}  // namespace
}  // namespace furrow
