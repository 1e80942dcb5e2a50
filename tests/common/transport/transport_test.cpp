#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <zmq.hpp>  // for peers that are not ours

#include "tests/common/transport/transport_farm.h"

namespace furrow {
namespace {

using namespace transport_farm;

TEST_CASE("poller: no message is lost between a look and the wait") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  Poller at_server, at_channel;
  at_server.Add(*farm.server);
  at_channel.Add(*channel);
  for (int i = 0; i < 2000; ++i) {
    const std::string sent = std::to_string(i);
    REQUIRE(channel->Send(sent) == SendResult::kSent);
    std::optional<Incoming> question;
    while (!(question = farm.server->Receive())) REQUIRE(at_server.Wait(std::chrono::seconds(10)));
    REQUIRE(question->payload == sent);
    CHECK_FALSE(farm.server->Receive());
    REQUIRE(farm.server->Send(question->peer, sent) == SendResult::kSent);
    if (i % 2 == 0) channel->link();  // whatever else one asks in between
    std::optional<std::string> answer;
    while (!(answer = channel->Receive())) REQUIRE(at_channel.Wait(std::chrono::seconds(10)));
    REQUIRE(*answer == sent);
    CHECK_FALSE(channel->Receive());
  }
}

TEST_CASE("poller: a socket that is no longer watched is asked itself") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  {
    Poller poller;
    poller.Add(*farm.server);
    CHECK_FALSE(farm.server->Receive());
  }
  REQUIRE(channel->Send("late") == SendResult::kSent);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  std::optional<Incoming> message;
  while (!message && std::chrono::steady_clock::now() < deadline) message = farm.server->Receive();
  REQUIRE(message);
  CHECK(message->payload == "late");
}

TEST_CASE("transport: a message there and back, with the name of its sender") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  std::string bytes("zero\0one", 8);
  REQUIRE(channel->Send(bytes) == SendResult::kSent);
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->who == Identity{Role::kAgent, "one"});
  CHECK(message->payload == bytes);
  CHECK(farm.server->Send(message->peer, "back") == SendResult::kSent);
  CHECK(Next(*channel).value_or("") == "back");
  CHECK(channel->link() == LinkState::kConnected);
}

TEST_CASE("transport: two peers are told apart") {
  Farm farm;
  auto agent = farm.Connect(farm.agent);
  auto client = farm.Connect(farm.client);
  agent->Send("from agent");
  const auto first = Next(*farm.server);
  client->Send("from client");
  const auto second = Next(*farm.server);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->peer != second->peer);
  CHECK(second->who == Identity{Role::kClient, "ann"});
  farm.server->Send(second->peer, "to client");
  farm.server->Send(first->peer, "to agent");
  CHECK(Next(*client).value_or("") == "to client");
  CHECK(Next(*agent).value_or("") == "to agent");
}

TEST_CASE("transport: an unknown key is refused and let in once it is on the list") {
  Farm farm;
  const KeyPair stranger = GenerateKeyPair();
  auto channel = farm.Connect(stranger);
  channel->Send("hello");
  CHECK(Refused(*channel));
  CHECK_FALSE(farm.server->Receive());
  REQUIRE(AddToAllowlist(farm.allowlist, {{Role::kAgent, "late"}, stranger.public_key}));
  REQUIRE(Await(nullptr, channel.get(), [&] { return channel->link() == LinkState::kConnected; }));
  REQUIRE(channel->Send("again") == SendResult::kSent);
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->who == Identity{Role::kAgent, "late"});
  CHECK(message->payload == "again");
}

TEST_CASE("transport: a client without CURVE is refused") {
  Farm farm;
  zmq::context_t context;
  zmq::socket_t plain(context, zmq::socket_type::dealer);
  plain.set(zmq::sockopt::linger, 0);
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  REQUIRE(::zmq_socket_monitor(plain.handle(), "inproc://events",
                               ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                                   ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL) == 0);
  monitor.connect("inproc://events");
  plain.connect("tcp://" + farm.Address());
  plain.send(zmq::str_buffer("hello"), zmq::send_flags::dontwait);
  monitor.set(zmq::sockopt::rcvtimeo, 10000);
  zmq::message_t event;
  REQUIRE(monitor.recv(event));
  std::uint16_t number = 0;
  std::memcpy(&number, event.data(), sizeof(number));
  CHECK(number != ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
  CheckAlive(farm);
}

TEST_CASE("transport: garbage on the port harms nobody") {
  Farm farm;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(farm.server->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0);
  const timeval patience{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  std::string garbage(4096, '\0');
  for (std::size_t i = 0; i < garbage.size(); ++i) garbage[i] = static_cast<char>(i * 31 + 7);
  REQUIRE(::send(fd, garbage.data(), garbage.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(garbage.size()));
  char byte = 0;
  ssize_t got = 0;
  while ((got = ::recv(fd, &byte, 1, 0)) > 0) {
  }
  const bool closed = got == 0 || errno == ECONNRESET;
  CHECK(closed);  // within the handshake's limit, not left open
  ::close(fd);
  CheckAlive(farm);
}

TEST_CASE("transport: an oversized frame ends its connection, not the server") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  channel->Send("small");
  REQUIRE(Next(*farm.server));
  channel->Send(std::string(kFrame + 1, 'x'));  // fits the socket's limit, not ours
  channel->Send(std::string(4 * kFrame, 'x'));  // fits neither: the connection is cut
  REQUIRE(Await(farm.server.get(), channel.get(), [&] {
    CHECK_FALSE(farm.server->Receive());
    return channel->link() != LinkState::kConnected;
  }));
  CheckAlive(farm);
  CHECK(channel->Send(std::string(kFrame, 'y')) == SendResult::kSent);
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->payload.size() == kFrame);
}

TEST_CASE("transport: a message of several parts is dropped whole") {
  Farm farm;
  zmq::context_t context;
  zmq::socket_t odd(context, zmq::socket_type::dealer);
  odd.set(zmq::sockopt::linger, 0);
  odd.set(zmq::sockopt::curve_serverkey, farm.server_keys.public_key);
  odd.set(zmq::sockopt::curve_publickey, farm.agent.public_key);
  odd.set(zmq::sockopt::curve_secretkey, farm.agent.secret_key);
  odd.connect("tcp://" + farm.Address());
  for (int i = 0; i < 5; ++i) odd.send(zmq::str_buffer("part"), zmq::send_flags::sndmore);
  odd.send(zmq::str_buffer("end"), zmq::send_flags::none);
  odd.send(zmq::str_buffer("whole"), zmq::send_flags::none);
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->payload == "whole");
}

TEST_CASE("transport: a port in use is named") {
  Farm farm;
  ServerOptions options = farm.Options();
  options.port = farm.server->port();
  const auto second = Server::Bind(farm.context, options);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Errc::kUnavailable);
  CHECK(second.error().message.find(std::to_string(options.port) + ": the port is in use") != std::string::npos);
}

TEST_CASE("transport: a reader that is too slow makes kFull, and delays nobody") {
  Farm farm;
  auto slow = farm.Connect(farm.agent);
  slow->Send("here");
  const auto peer = Next(*farm.server);
  REQUIRE(peer);
  const std::string frame(kFrame, 'z');
  int sent = 0;
  SendResult last = SendResult::kSent;
  // It never reads: queues of 100 messages at both ends and the kernel's buffers fill, and no more.
  while (sent < 2000 && (last = farm.server->Send(peer->peer, frame)) == SendResult::kSent) ++sent;
  CHECK(last == SendResult::kFull);
  CHECK(sent >= 100);
  CHECK(sent < 1000);
  CheckAlive(farm);
}

TEST_CASE("transport: a peer that went away is kGone") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  channel->Send("here");
  const auto peer = Next(*farm.server);
  REQUIRE(peer);
  channel.reset();
  CHECK(Await(farm.server.get(), nullptr, [&] { return farm.server->Send(peer->peer, "x") == SendResult::kGone; }));
  CHECK(farm.server->Send(12345, "x") == SendResult::kGone);
}

TEST_CASE("transport: deleting a line revokes a connected peer") {
  Farm farm;
  auto agent = farm.Connect(farm.agent);
  auto client = farm.Connect(farm.client);
  agent->Send("before");
  const auto peer = Next(*farm.server);
  REQUIRE(peer);
  farm.Allow({{{Role::kClient, "ann"}, farm.client.public_key}});
  CHECK(Await(farm.server.get(), nullptr, [&] { return farm.server->Send(peer->peer, "x") == SendResult::kGone; }));
  agent->Send("after");
  client->Send("still here");
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->payload == "still here");
  CHECK_FALSE(farm.server->Receive());
}

TEST_CASE("transport: a broken allowlist leaves the last good one in force") {
  Farm farm;
  { std::ofstream(farm.allowlist, std::ios::app) << "nonsense\n"; }
  CheckAlive(farm);
}

TEST_CASE("transport: a poller wakes for messages and descriptors") {
  Farm farm;
  int pipe_fds[2];
  REQUIRE(::pipe(pipe_fds) == 0);
  Poller poller;
  poller.Add(*farm.server);
  poller.AddFd(pipe_fds[0]);
  CHECK_FALSE(poller.Wait(milliseconds(0)));
  REQUIRE(::write(pipe_fds[1], "x", 1) == 1);
  CHECK(poller.Wait(milliseconds(10000)));
  poller.RemoveFd(pipe_fds[0]);
  CHECK_FALSE(poller.Wait(milliseconds(0)));
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}

TEST_CASE("proof at start: holds where the allowlist is served") {
  Farm farm;
  CHECK(ProveUnknownKeyIsRefused(farm.context, "127.0.0.1", farm.server->port(), farm.server_keys.public_key));
  CheckAlive(farm);
}

TEST_CASE("proof at start: a claimed routing id is ignored") {
  Farm farm;
  CHECK(ProveClaimIsIgnored(farm.context));
  CheckAlive(farm);
}

TEST_CASE("proof at start: holds for every form of address that a server may listen on") {
  Farm farm;
  for (const char* address : {"127.0.0.1", "127.0.0.9", "0.0.0.0", "[::1]", "[::]"}) {
    CAPTURE(std::string(address));
    ServerOptions options = farm.Options();
    options.address = address;
    auto server = Server::Bind(farm.context, options);
    if (!server && address[0] == '[') continue;  // a machine without IPv6
    REQUIRE(server);
    const Status proved =
        ProveUnknownKeyIsRefused(farm.context, address, (*server)->port(), farm.server_keys.public_key);
    CHECK_MESSAGE(proved.has_value(), (proved ? "" : proved.error().message));
  }
}

TEST_CASE("proof at start: fails where nobody serves the allowlist") {
  Context context;
  const KeyPair keys = GenerateKeyPair();
  auto server = Server::Bind(context, {"127.0.0.1", 0, keys, kFrame, 0, 100, 100});
  REQUIRE(server);
  const Status proof = ProveUnknownKeyIsRefused(context, "127.0.0.1", (*server)->port(), keys.public_key);
  REQUIRE_FALSE(proof);
  CHECK(proof.error().message.find("refuses a key that is allowed") != std::string::npos);
}

TEST_CASE("proof at start: fails where any key is let in") {
  zmq::context_t open_context;  // CURVE without a ZAP handler: accepts everybody
  const KeyPair keys = GenerateKeyPair();
  zmq::socket_t open(open_context, zmq::socket_type::router);
  open.set(zmq::sockopt::linger, 0);
  open.set(zmq::sockopt::curve_server, true);
  open.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  open.bind("tcp://127.0.0.1:*");
  const std::string endpoint = open.get(zmq::sockopt::last_endpoint);
  const auto port = static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
  Context context;
  const Status proof = ProveUnknownKeyIsRefused(context, "127.0.0.1", port, keys.public_key);
  REQUIRE_FALSE(proof);
  CHECK(proof.error().message.find("lets a key in") != std::string::npos);
}

}  // namespace
}  // namespace furrow
