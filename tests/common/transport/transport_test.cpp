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

TEST_CASE("transport: a server with another key is not talked to") {
  Farm farm;
  auto channel = farm.Connect(farm.agent, GenerateKeyPair().public_key);
  channel->Send("secret");
  CHECK(Refused(*channel));
  CHECK_FALSE(farm.server->Receive());
  CheckAlive(farm);
}

TEST_CASE("transport: a server that is killed in the handshake is away, one that breaks it off each time is refused") {
  Farm farm;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener, 8) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ChannelOptions options{"127.0.0.1:" + std::to_string(::ntohs(address.sin_port)),
                         farm.agent,
                         farm.server_keys.public_key,
                         kFrame,
                         100,
                         100,
                         milliseconds(20),
                         milliseconds(100)};
  auto channel = Channel::Connect(farm.context, options);
  REQUIRE(channel);
  // Takes a connection, waits for the greeting and breaks off, as the kernel does for a process that dies.
  const auto break_off = [&] {
    const int fd = ::accept(listener, nullptr, nullptr);
    REQUIRE(fd >= 0);
    char greeting[64];
    CHECK(::recv(fd, greeting, sizeof(greeting), 0) > 0);
    ::close(fd);
  };
  for (int broken_off = 0; broken_off < 2; ++broken_off) {
    break_off();
    CHECK((*channel)->link() != LinkState::kRefused);
  }
  const int third = ::accept(listener, nullptr, nullptr);  // It comes after the end of the second is known.
  CHECK((*channel)->link() != LinkState::kRefused);
  ::close(third);
  CHECK(Refused(**channel));
  CHECK((*channel)->refusal() == Refusal::kHandshake);
  ::close(listener);
}

TEST_CASE("transport: a link on which nothing comes back is given up, and made anew when something does") {
  Farm farm;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in relay{}, server{};
  relay.sin_family = server.sin_family = AF_INET;
  relay.sin_addr.s_addr = server.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  server.sin_port = ::htons(farm.server->port());
  socklen_t size = sizeof(relay);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&relay), size) == 0);
  REQUIRE(::listen(listener, 8) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&relay), &size) == 0);
  // Passes on what the channel says, and what the server says unless that is to vanish.
  std::atomic<bool> vanishes{false}, over{false};
  std::jthread relaying([&] {
    std::vector<std::pair<int, int>> links;  // the channel's end, the server's end
    const auto pass = [](int from, int to, bool drop) {
      char buffer[4096];
      const ssize_t got = ::recv(from, buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got > 0 && !drop) static_cast<void>(::send(to, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL));
      return got != 0;
    };
    while (!over) {
      std::vector<pollfd> ready{{listener, POLLIN, 0}};
      for (const auto& [ours, theirs] : links) {
        ready.push_back({ours, POLLIN, 0});
        ready.push_back({theirs, POLLIN, 0});
      }
      ::poll(ready.data(), ready.size(), 50);
      if ((ready[0].revents & POLLIN) != 0) {
        const int ours = ::accept(listener, nullptr, nullptr);
        const int theirs = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        static_cast<void>(::connect(theirs, reinterpret_cast<const sockaddr*>(&server), sizeof(server)));
        links.emplace_back(ours, theirs);
      }
      std::erase_if(links, [&](const std::pair<int, int>& link) {
        if (pass(link.first, link.second, false) && pass(link.second, link.first, vanishes)) return false;
        ::close(link.first);
        ::close(link.second);
        return true;
      });
    }
    for (const auto& [ours, theirs] : links) {
      ::close(ours);
      ::close(theirs);
    }
    ::close(listener);
  });
  ChannelOptions options{"127.0.0.1:" + std::to_string(::ntohs(relay.sin_port)),
                         farm.agent,
                         farm.server_keys.public_key,
                         kFrame,
                         100,
                         100,
                         milliseconds(20),
                         milliseconds(100)};
  {
    auto channel = Channel::Connect(farm.context, options);
    REQUIRE(channel);
    CHECK(Await(farm.server.get(), channel->get(), [&] { return (*channel)->link() == LinkState::kConnected; }));
    vanishes = true;
    CHECK(Await(farm.server.get(), channel->get(), [&] { return (*channel)->link() != LinkState::kConnected; }));
    vanishes = false;
    CHECK(Await(farm.server.get(), channel->get(), [&] { return (*channel)->link() == LinkState::kConnected; }));
  }
  over = true;
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

TEST_CASE("transport: a channel finds a server that was started again") {
  Farm farm;
  auto channel = farm.Connect(farm.agent);
  channel->Send("before");
  REQUIRE(Next(*farm.server));
  ServerOptions options = farm.Options();
  options.port = farm.server->port();
  farm.server.reset();
  REQUIRE(Await(nullptr, channel.get(), [&] { return channel->link() != LinkState::kConnected; }));
  Result<std::unique_ptr<Server>> again = Fail(Errc::kUnavailable, "");
  REQUIRE(Await(nullptr, channel.get(), [&] { return (again = Server::Bind(farm.context, options)).has_value(); }));
  farm.server = std::move(*again);
  REQUIRE(Await(nullptr, channel.get(), [&] { return channel->link() == LinkState::kConnected; }));
  channel->Send("after");
  const auto message = Next(*farm.server);
  REQUIRE(message);
  CHECK(message->payload == "after");
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
