#include "common/doctor/reach.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>

#include "common/wire/protocol_version.h"

namespace furrow::doctor {
namespace {

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

const Expected kExpected{"farm:7073", KeyRole::kAgent, "gpu-1", true, 7071, 7072};

// The controller's answer to gpu-1, on a way of 4 ms, its clock `ahead` of ours.
Probed Good(std::int64_t ahead_ms = 0) {
  ProbeAnswer answer;
  answer.wall = WallTime{1'000'002 + ahead_ms};
  answer.software = "furrow-controller 1";
  answer.oldest_version = kOldestProtocol;
  answer.newest_version = kNewestProtocol;
  answer.control_port = 7071;
  answer.bulk_port = 7072;
  answer.role = KeyRole::kAgent;
  answer.name = "gpu-1";
  return {answer, WallTime{1'000'000}, WallTime{1'000'004}};
}

Finding Worst(const Findings& findings) {
  return *std::max_element(findings.begin(), findings.end(),
                           [](const Finding& a, const Finding& b) { return a.grade < b.grade; });
}

Finding After(const std::function<void(ProbeAnswer&)>& change) {
  Probed probed = Good();
  change(*probed.answer);
  return Worst(CheckAnswer(kExpected, probed));
}

// A port of 127.0.0.1 where `greeting` is said to whoever connects; empty: nothing listens there.
class Port {
 public:
  explicit Port(const std::string& greeting) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    socklen_t size = sizeof(address);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    if (greeting.empty()) return;
    REQUIRE(::listen(fd_, 4) == 0);
    server_ = std::thread([this, greeting] {
      for (int peer = 0; (peer = ::accept(fd_, nullptr, nullptr)) >= 0; ::close(peer))
        if (::write(peer, greeting.data(), greeting.size()) < 0) return;
    });
  }
  ~Port() {
    ::shutdown(fd_, SHUT_RDWR);
    if (server_.joinable()) server_.join();
    ::close(fd_);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  std::string Address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
  std::thread server_;
};

TEST_CASE("doctor reach: a controller that knows us, with our clock, is all ok") {
  const Findings findings = CheckAnswer(kExpected, Good());
  CHECK(findings.size() == 3);
  CHECK(Worst(findings).grade == Grade::kOk);
  CHECK(findings[0].found == "furrow-controller 1, protocol " + std::to_string(kNewestProtocol));
  CHECK(findings[1].found == "known to the controller as gpu-1");
  CHECK(findings[2] == Ok("clock", "the same as the controller's"));
}

TEST_CASE("doctor reach: a key that is not known, or under another name or role") {
  CHECK(Says(After([](ProbeAnswer& a) { a.role = KeyRole::kNone; }).cure, "furrow enrol new"));
  CHECK(After([](ProbeAnswer& a) { a.role = KeyRole::kNone; }).grade == Grade::kError);
  CHECK(After([](ProbeAnswer& a) { a.role = KeyRole::kClient; }).grade == Grade::kError);
  CHECK(Says(After([](ProbeAnswer& a) { a.name = "gpu-2"; }).cure, "name: gpu-2"));
  Expected other = kExpected;
  other.knows_key = false;
  CHECK(CheckAnswer(other, Good()).size() == 2);
}

TEST_CASE("doctor reach: versions too far apart say which side to upgrade") {
  const Finding ours = After([](ProbeAnswer& a) { a.oldest_version = a.newest_version = kNewestProtocol + 1; });
  CHECK(ours.grade == Grade::kError);
  CHECK(Says(ours.cure, "furrow-agent"));
  const Finding theirs = After([](ProbeAnswer& a) { a.oldest_version = a.newest_version = kOldestProtocol - 1; });
  CHECK(theirs.grade == Grade::kError);
  CHECK(Says(theirs.cure, "furrow-controller"));
}

TEST_CASE("doctor reach: the clock counts from the middle of the way, and ports that differ are told") {
  CHECK(Worst(CheckAnswer(kExpected, Good(1'000))).grade == Grade::kOk);
  CHECK(Says(Worst(CheckAnswer(kExpected, Good(10'000))).found, "10 s behind the controller's"));
  CHECK(Worst(CheckAnswer(kExpected, Good(-100'000))).grade == Grade::kError);
  CHECK(Worst(CheckAnswer(kExpected, Good(-100'000))).subject == "clock");
  CHECK(Says(After([](ProbeAnswer& a) { a.bulk_port = 9; }).found, "port 7072, the controller listens on 9"));
}

TEST_CASE("doctor reach: what is in the way has a command that shows more") {
  const Probed probed{tl::unexpected(Unreached{Obstacle::kNoRoute, "no way to farm:7073"}), {}, {}};
  CHECK(CheckAnswer(kExpected, probed) ==
        Findings{Wrong("controller", "no way to farm:7073", "ip route get farm; ping -c 3 farm")});
  for (const Obstacle obstacle :
       {Obstacle::kNoSuchHost, Obstacle::kNoRoute, Obstacle::kTimeout, Obstacle::kNothingListens, Obstacle::kNotFurrow,
        Obstacle::kWrongKey, Obstacle::kClosedPort, Obstacle::kNoAnswer})
    CHECK_FALSE(CheckObstacle("controller", "farm:7073", {obstacle, "words"}).cure.empty());
}

TEST_CASE("doctor reach: a port where nothing listens, and one where something else does") {
  const Port closed("");
  CHECK(Says(LookAtPort("control port", closed.Address()).found, "nothing listens on " + closed.Address()));
  const Port ssh("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
  const Finding other = LookAtPort("control port", ssh.Address());
  CHECK(other.grade == Grade::kError);
  CHECK(Says(other.found, "is no Furrow controller"));
  CHECK(LookAtPort("control port", "nonsense").grade == Grade::kError);
}

}  // namespace
}  // namespace furrow::doctor
