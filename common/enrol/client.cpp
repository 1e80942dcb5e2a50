#include "common/enrol/client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "common/base/version.h"
#include "common/enrol/line.h"
#include "schemas/enrol.h"

namespace furrow {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr auto kRepeat = milliseconds(1000);  // the time until a request without an answer is sent again

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

int Left(Steady::time_point until) {
  return static_cast<int>(std::max<std::int64_t>(std::chrono::ceil<milliseconds>(until - Steady::now()).count(), 0));
}

// Connects to one address; returns 0 or an errno value.
int ConnectTo(int fd, const addrinfo& address, Steady::time_point until) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd item{fd, POLLOUT, 0};
  if (::poll(&item, 1, Left(until)) <= 0) return ETIMEDOUT;
  int number = 0;
  socklen_t size = sizeof(number);
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
  return number;
}

// Returns ZMTP 3.1's greeting (rfc.zeromq.org/spec/37): signature, version, mechanism, as-server, filler.
std::array<char, 64> Greeting() {
  std::array<char, 64> bytes{};
  bytes[0] = static_cast<char>(0xff);
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes[11] = 1;
  std::memcpy(bytes.data() + 12, "CURVE", 5);
  return bytes;
}

// Returns whether the other side greets as a CURVE server.
bool GreetsAsFurrow(int fd, Steady::time_point until) {
  const auto greeting = Greeting();
  if (::send(fd, greeting.data(), greeting.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(greeting.size())) return false;
  std::array<char, 64> theirs{};
  for (std::size_t got = 0; got < theirs.size();) {
    pollfd item{fd, POLLIN, 0};
    if (::poll(&item, 1, Left(until)) <= 0) return false;
    const ssize_t more = ::recv(fd, theirs.data() + got, theirs.size() - got, 0);
    if (more <= 0) return false;
    got += static_cast<std::size_t>(more);
    if (static_cast<unsigned char>(theirs[0]) != 0xff) return false;
  }
  return theirs[9] == 0x7f && theirs[10] >= 3 &&
         std::string_view(theirs.data() + 12, 6) == std::string_view("CURVE\0", 6);
}

Unreached FromErrno(const std::string& where, int number) {
  switch (number) {
    case ECONNREFUSED:
      return {Obstacle::kNothingListens,
              "nothing listens on " + where +
                  ": is furrow-controller running there, and is this its enrol port "
                  "(ports.enrol, 7073 by default)? With `listen: 127.0.0.1` it hears its own "
                  "machine alone"};
    case ETIMEDOUT:
      return {Obstacle::kTimeout,
              "no answer from " + where +
                  ": a firewall drops the packets, or the machine is down; open the TCP port there"};
    default:
      return {Obstacle::kNoRoute, "no way to " + where + ": " + std::strerror(number) +
                                      "; check the address, this machine's network and its routes"};
  }
}

}  // namespace

Unreached LookForFurrow(const std::string& host, std::uint16_t port, milliseconds patience) {
  const auto until = Steady::now() + patience;
  const std::string where = FormatHostPort(host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {  // AI_ADDRCONFIG leaves out a family that has only its loopback
    hints.ai_flags = AI_NUMERICSERV;
    failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  }
  if (failed != 0)
    return {Obstacle::kNoSuchHost, "the controller's name " + host + " has no address here (" + ::gai_strerror(failed) +
                                       "); add it to DNS or /etc/hosts, or make a line with `--address`"};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  Unreached worst;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const Socket socket(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.fd() < 0) continue;
    if (const int number = ConnectTo(socket.fd(), *one, until); number != 0) {
      worst = FromErrno(where, number);
      continue;
    }
    if (GreetsAsFurrow(socket.fd(), std::min(until, Steady::now() + std::chrono::seconds(3)))) return {};
    worst = {Obstacle::kNotFurrow, "what answers on " + where +
                                       " is no Furrow controller: another program has this port. The enrol port is "
                                       "`ports.enrol` of the controller's configuration, 7073 by default"};
  }
  return worst.obstacle == Obstacle::kNone ? FromErrno(where, ENETUNREACH) : worst;
}

Reached<EnrolClient> EnrolClient::Connect(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                          milliseconds patience) {
  const auto until = Steady::now() + patience;
  const std::string where = FormatHostPort(target.host, target.port);
  if (Unreached obstacle = LookForFurrow(target.host, target.port, patience); obstacle.obstacle != Obstacle::kNone)
    return tl::unexpected(std::move(obstacle));
  ChannelOptions options;
  options.address = where;
  options.keys = keys;
  options.server_key = target.controller_key;
  options.max_frame_bytes = kMaxEnrolRequestFrame;
  auto channel = Channel::Connect(context, options);
  if (!channel) return tl::unexpected(Unreached{Obstacle::kNoRoute, channel.error().message});
  Poller poller;
  poller.Add(**channel);
  while ((*channel)->link() != LinkState::kConnected) {
    const Refusal refusal = (*channel)->refusal();
    if (refusal == Refusal::kKey)
      return tl::unexpected(Unreached{
          Obstacle::kClosedPort, where + " is this controller's, but a port for known machines only; the enrol port "
                                         "is `ports.enrol` of its configuration, 7073 by default"});
    if (refusal == Refusal::kHandshake)
      return tl::unexpected(Unreached{
          Obstacle::kWrongKey, "the controller on " + where +
                                   " has another key than the one expected: it was set up anew, or another machine "
                                   "has its address; get a new line with `furrow enrol new` on it"});
    if (Left(until) == 0)
      return tl::unexpected(Unreached{Obstacle::kTimeout, where + " does not finish the handshake; try again"});
    poller.Wait(milliseconds(std::min(Left(until), 100)));
  }
  return EnrolClient(where, std::move(*channel));
}

Reached<EnrolReply> EnrolClient::Ask(EnrolRequest request, milliseconds patience) {
  const auto until = Steady::now() + patience;
  ++nonce_;
  std::visit([&](auto& kind) { kind.nonce = nonce_; }, request);
  const auto frame = Encode(request);
  if (!frame) return tl::unexpected(Unreached{Obstacle::kNoAnswer, "this cannot be asked: " + frame.error().message});
  Poller poller;
  poller.Add(*channel_);
  auto repeat = Steady::now();
  while (Left(until) > 0) {
    if (Steady::now() >= repeat) {
      channel_->Send(*frame);
      repeat = Steady::now() + kRepeat;
    }
    poller.Wait(milliseconds(std::min(Left(until), Left(repeat))));
    while (const auto answer = channel_->Receive()) {
      auto reply = DecodeEnrolReply(*answer);
      if (!reply)
        return tl::unexpected(Unreached{Obstacle::kNotFurrow, where_ +
                                                                  " answers with something that is not understood (" +
                                                                  reply.error().message + "); upgrade this machine"});
      if (std::visit([](const auto& kind) { return kind.nonce; }, *reply) == nonce_) return *reply;
    }
  }
  return tl::unexpected(Unreached{Obstacle::kNoAnswer,
                                  "the controller on " + where_ + " does not answer; look at its log and try again"});
}

Reached<ProbeAnswer> ProbeController(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                     milliseconds patience) {
  auto client = EnrolClient::Connect(context, target, keys, patience);
  if (!client) return tl::unexpected(client.error());
  auto reply = client->Ask(Probe{0, std::string("furrow ") + kVersion}, patience);
  if (!reply) return tl::unexpected(reply.error());
  if (const auto* refused = std::get_if<EnrolRefused>(&*reply))
    return tl::unexpected(Unreached{Obstacle::kNoAnswer, refused->message});
  const auto* answer = std::get_if<ProbeAnswer>(&*reply);
  if (answer == nullptr)
    return tl::unexpected(
        Unreached{Obstacle::kNoAnswer, "the controller's answer is of another kind than the question"});
  return *answer;
}

}  // namespace furrow
