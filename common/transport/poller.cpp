// Waits for sockets and descriptors together, and opens the monitors of connections.
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/transport/impl.h"

namespace furrow {

using std::chrono::milliseconds;

namespace {

int DescriptorOf(zmq::socket_t& socket) {
  return socket.get(zmq::sockopt::fd);
}

}  // namespace

struct Poller::Impl {
  struct Socket {
    zmq::socket_t* socket;
    Channel::Impl* channel;  // null: the socket is a server's
    std::shared_ptr<Readiness> ready;
    std::size_t item;  // its index in `items`; a channel's monitor is the next item
  };
  std::vector<Socket> sockets;
  std::vector<pollfd> items;

  void Add(zmq::socket_t& socket, Channel::Impl* channel, const std::shared_ptr<Readiness>& ready) {
    ++ready->pollers;
    ready->input = ready->monitor = true;
    sockets.push_back({&socket, channel, ready, items.size()});
    items.push_back({DescriptorOf(socket), POLLIN, 0});
    if (channel != nullptr) items.push_back({DescriptorOf(channel->monitor), POLLIN, 0});
  }

  // Asks the sockets whose input is not known. AnyInput finds a message that came before the call; a later message
  // signals the descriptor.
  bool AnyInput() {
    bool any = false;
    for (const Socket& one : sockets) {
      if (!one.ready->input) continue;
      one.ready->input = (one.socket->get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
      any = any || one.ready->input;
    }
    return any;
  }
};

Poller::Poller() : impl_(std::make_unique<Impl>()) {}

Poller::~Poller() {
  for (const Impl::Socket& one : impl_->sockets) {
    --one.ready->pollers;
    one.ready->input = one.ready->monitor = true;
  }
}

void Poller::Add(Server& server) {
  impl_->Add(server.impl().socket, nullptr, server.impl().ready);
}

void Poller::Add(Channel& channel) {
  impl_->Add(channel.impl().socket, &channel.impl(), channel.impl().ready);
}

void Poller::AddFd(int fd) {
  impl_->items.push_back({fd, POLLIN, 0});
}

void Poller::RemoveFd(int fd) {
  auto& items = impl_->items;
  for (std::size_t i = items.size(); i-- > 0;) {
    const auto holds = [&](const Impl::Socket& one) { return i == one.item || (one.channel && i == one.item + 1); };
    if (items[i].fd != fd || std::any_of(impl_->sockets.begin(), impl_->sockets.end(), holds)) continue;
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(i));
    for (Impl::Socket& one : impl_->sockets)
      if (one.item > i) --one.item;
  }
}

bool Poller::Wait(std::chrono::milliseconds timeout) {
  for (const Impl::Socket& one : impl_->sockets) {
    if (!one.channel || !one.channel->retry_at) continue;
    const auto left = std::chrono::ceil<milliseconds>(*one.channel->retry_at - std::chrono::steady_clock::now());
    if (timeout < milliseconds(0) || left < timeout) timeout = std::max(left, milliseconds(0));
  }
  const bool input = impl_->AnyInput();
  const auto wait = input ? 0 : std::clamp<std::int64_t>(timeout.count(), -1, std::numeric_limits<int>::max());
  const int rc = ::poll(impl_->items.data(), impl_->items.size(), static_cast<int>(wait));
  FURROW_CHECK(rc >= 0 || errno == EINTR, std::string("poll: ") + std::strerror(errno));
  for (Impl::Socket& one : impl_->sockets) {
    if (rc > 0 && impl_->items[one.item].revents != 0) one.ready->input = true;
    if (!one.channel) continue;
    if (rc > 0 && impl_->items[one.item + 1].revents != 0) one.ready->monitor = true;
    one.channel->RetryIfDue();
  }
  return input || rc != 0;
}

namespace {

zmq::socket_t Monitor(zmq::context_t& context, zmq::socket_t& socket, int events) {
  static std::atomic<std::uint64_t> count{0};
  const std::string endpoint = "inproc://furrow.monitor." + std::to_string(++count);
  if (::zmq_socket_monitor(socket.handle(), endpoint.c_str(), events) != 0) throw zmq::error_t();
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  monitor.set(zmq::sockopt::linger, 0);
  // The events of days of reconnects fit; a full queue would hold up the I/O thread.
  monitor.set(zmq::sockopt::rcvhwm, 0);
  monitor.connect(endpoint);
  return monitor;
}

}  // namespace

zmq::socket_t OpenMonitor(zmq::context_t& context, zmq::socket_t& socket) {
  return Monitor(context, socket,
                 ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                     ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED);
}

zmq::socket_t OpenCounter(zmq::context_t& context, zmq::socket_t& socket) {
  return Monitor(context, socket, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);
}

void StopMonitor(zmq::socket_t& socket) {
  if (socket) ::zmq_socket_monitor(socket.handle(), nullptr, 0);
}

int NextEvent(zmq::socket_t& monitor) {
  zmq::message_t event, address;
  if (!monitor.recv(event, zmq::recv_flags::dontwait)) return 0;
  if (event.more()) static_cast<void>(monitor.recv(address, zmq::recv_flags::none));
  std::uint16_t number = 0;
  if (event.size() >= sizeof(number)) std::memcpy(&number, event.data(), sizeof(number));
  return number;
}

}  // namespace furrow
