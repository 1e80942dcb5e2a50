// What is in the way of an enrolment, told apart by what answers at the other end.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "common/enrol/client.h"
#include "tests/support/temp_folder.h"

namespace furrow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A port of 127.0.0.1 on which something listens that says `greeting`.
class Listener {
 public:
  explicit Listener(std::string greeting) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 4) == 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ::ntohs(address.sin_port);
    thread_ = std::thread([this, greeting = std::move(greeting)] {
      for (int peer = ::accept(fd_, nullptr, nullptr); peer >= 0; peer = ::accept(fd_, nullptr, nullptr)) {
        static_cast<void>(::send(peer, greeting.data(), greeting.size(), MSG_NOSIGNAL));
        ::close(peer);
      }
    });
  }
  ~Listener() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// A Furrow's server, open or closed to strangers, that answers no message.
struct Furrow {
  explicit Furrow(bool open) {
    folder.Write("allow", "# nobody\n");
    REQUIRE(context.ServeAllowlist(folder / "allow"));
    ServerOptions options{"127.0.0.1", 0, keys, kMaxEnrolRequestFrame};
    options.open = open;
    auto bound = Server::Bind(context, options);
    REQUIRE(bound);
    server = std::move(*bound);
  }
  TempFolder folder;
  KeyPair keys = GenerateKeyPair();
  Context context;
  std::unique_ptr<Server> server;
};

Obstacle ObstacleTo(const std::string& host, std::uint16_t port, const std::string& key) {
  Context context;
  const auto answer = ProbeController(context, {host, port, key}, GenerateKeyPair(), milliseconds(1500));
  REQUIRE_FALSE(answer);
  CHECK_FALSE(answer.error().message.empty());
  return answer.error().obstacle;
}

}  // namespace

TEST_CASE("enrol_client: a name without an address, and a port where nothing listens") {
  CHECK(ObstacleTo("no-such-host.invalid", 7073, GenerateKeyPair().public_key) == Obstacle::kNoSuchHost);
  std::uint16_t free = 0;
  { free = Listener("").port(); }
  CHECK(ObstacleTo("127.0.0.1", free, GenerateKeyPair().public_key) == Obstacle::kNothingListens);
}

TEST_CASE("enrol_client: something else that answers") {
  Listener ssh("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
  CHECK(ObstacleTo("127.0.0.1", ssh.port(), GenerateKeyPair().public_key) == Obstacle::kNotFurrow);
  Listener closing("");
  CHECK(ObstacleTo("127.0.0.1", closing.port(), GenerateKeyPair().public_key) == Obstacle::kNotFurrow);
}

TEST_CASE("enrol_client: another controller's key, a closed port, and one that does not answer") {
  Furrow open(true), closed(false);
  CHECK(ObstacleTo("127.0.0.1", open.server->port(), GenerateKeyPair().public_key) == Obstacle::kWrongKey);
  CHECK(ObstacleTo("127.0.0.1", closed.server->port(), closed.keys.public_key) == Obstacle::kClosedPort);
  CHECK(ObstacleTo("127.0.0.1", open.server->port(), open.keys.public_key) == Obstacle::kNoAnswer);
}

TEST_CASE("transport: an open server lets any key in, tells which, and counts its connections") {
  Furrow open(true);
  const KeyPair stranger = GenerateKeyPair();
  auto channel = Channel::Connect(open.context, {"127.0.0.1:" + std::to_string(open.server->port()), stranger,
                                                 open.keys.public_key, kMaxEnrolRequestFrame});
  REQUIRE(channel);
  REQUIRE((*channel)->Send("hello") == SendResult::kSent);
  Poller poller;
  poller.Add(*open.server);
  poller.Add(**channel);
  std::optional<Incoming> heard;
  const auto until = std::chrono::steady_clock::now() + seconds(10);
  while (!(heard = open.server->Receive()) && std::chrono::steady_clock::now() < until) poller.Wait(milliseconds(50));
  REQUIRE(heard);
  CHECK(heard->payload == "hello");
  CHECK(heard->key == stranger.public_key);
  CHECK(heard->who.name.empty());
  CHECK(open.server->Send(heard->peer, "you too") == SendResult::kSent);
  std::optional<std::string> answer;
  while (!(answer = (*channel)->Receive()) && std::chrono::steady_clock::now() < until) poller.Wait(milliseconds(50));
  CHECK(answer == "you too");
  CHECK(open.server->Connections() == 1);
  CHECK_FALSE(open.context.FindAllowed(stranger.public_key));
}

TEST_CASE("transport: whoever uses an allowlist is told what it holds, now and when it changes") {
  Furrow farm(false);
  std::vector<std::vector<AllowedKey>> told;
  farm.context.OnAllowlist([&](std::vector<AllowedKey> keys) { told.push_back(std::move(keys)); });
  REQUIRE(told.size() == 1);
  CHECK(told[0].empty());
  const AllowedKey one{{Role::kAgent, "one"}, GenerateKeyPair().public_key};
  REQUIRE(AddToAllowlist(farm.folder / "allow", one));
  farm.context.RefreshAllowlist();
  REQUIRE(told.size() == 2);
  CHECK(told[1].size() == 1);
  CHECK(told[1][0].public_key == one.public_key);
  CHECK(farm.context.FindAllowed(one.public_key) == one.who);
  farm.context.OnAllowlist([](const std::vector<AllowedKey>&) {});
}

}  // namespace furrow
