// A channel whose server is another one, breaks off, falls silent or comes back.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/common/transport/transport_farm.h"

namespace furrow {
namespace {

using namespace transport_farm;

// A port of this machine on which the test itself accepts.
struct Listener {
  Listener() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback();
    socklen_t size = sizeof(address);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd, 8) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ::ntohs(address.sin_port);
  }
  ~Listener() { ::close(fd); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  static sockaddr_in Loopback() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    return address;
  }
  // Returns what connects the farm's agent to this port.
  ChannelOptions OptionsOf(const Farm& farm) const {
    return {"127.0.0.1:" + std::to_string(port),
            farm.agent,
            farm.server_keys.public_key,
            kFrame,
            100,
            100,
            milliseconds(20),
            milliseconds(100)};
  }

  const int fd;
  std::uint16_t port = 0;
};

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
  const Listener listener;
  const ChannelOptions options = listener.OptionsOf(farm);
  auto channel = Channel::Connect(farm.context, options);
  REQUIRE(channel);
  // Takes a connection, waits for the greeting and breaks off, as the kernel does for a process that dies.
  const auto break_off = [&] {
    const int fd = ::accept(listener.fd, nullptr, nullptr);
    REQUIRE(fd >= 0);
    char greeting[64];
    CHECK(::recv(fd, greeting, sizeof(greeting), 0) > 0);
    ::close(fd);
  };
  for (int broken_off = 0; broken_off < 2; ++broken_off) {
    break_off();
    CHECK((*channel)->link() != LinkState::kRefused);
  }
  const int third = ::accept(listener.fd, nullptr, nullptr);  // It comes after the end of the second is known.
  CHECK((*channel)->link() != LinkState::kRefused);
  ::close(third);
  CHECK(Refused(**channel));
  CHECK((*channel)->refusal() == Refusal::kHandshake);
}

TEST_CASE("transport: a link on which nothing comes back is given up, and made anew when something does") {
  Farm farm;
  const Listener listener;
  sockaddr_in server = Listener::Loopback();
  server.sin_port = ::htons(farm.server->port());
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
      std::vector<pollfd> ready{{listener.fd, POLLIN, 0}};
      for (const auto& [ours, theirs] : links) {
        ready.push_back({ours, POLLIN, 0});
        ready.push_back({theirs, POLLIN, 0});
      }
      ::poll(ready.data(), ready.size(), 50);
      if ((ready[0].revents & POLLIN) != 0) {
        const int ours = ::accept(listener.fd, nullptr, nullptr);
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
  });
  const ChannelOptions options = listener.OptionsOf(farm);
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

}  // namespace
}  // namespace furrow
