// Waiting for sockets and descriptors together, and the monitors of connections.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/transport_impl.h"

namespace furrow {

using std::chrono::milliseconds;

struct Poller::Impl {
  std::vector<zmq::pollitem_t> items;
  std::vector<Channel::Impl*> channels;
};

Poller::Poller() : impl_(std::make_unique<Impl>()) {}
Poller::~Poller() = default;

void Poller::Add(Server& server) {
  impl_->items.push_back({server.impl().socket.handle(), 0, ZMQ_POLLIN, 0});
}

void Poller::Add(Channel& channel) {
  impl_->channels.push_back(&channel.impl());
  impl_->items.push_back({channel.impl().socket.handle(), 0, ZMQ_POLLIN, 0});
  impl_->items.push_back({channel.impl().monitor.handle(), 0, ZMQ_POLLIN, 0});
}

void Poller::AddFd(int fd) {
  impl_->items.push_back({nullptr, fd, ZMQ_POLLIN, 0});
}

void Poller::RemoveFd(int fd) {
  std::erase_if(impl_->items, [&](const zmq::pollitem_t& item) { return item.socket == nullptr && item.fd == fd; });
}

bool Poller::Wait(std::chrono::milliseconds timeout) {
  for (const Channel::Impl* channel : impl_->channels) {
    if (!channel->retry_at) continue;
    const auto left = std::chrono::ceil<milliseconds>(*channel->retry_at - std::chrono::steady_clock::now());
    if (timeout < milliseconds(0) || left < timeout) timeout = std::max(left, milliseconds(0));
  }
  // zmq_poll asks each socket for its state before and after it sleeps on the descriptors: level-triggered.
  const int rc = ::zmq_poll(impl_->items.data(), static_cast<int>(impl_->items.size()), timeout.count());
  FURROW_CHECK(rc >= 0 || zmq_errno() == EINTR, std::string("zmq_poll: ") + zmq_strerror(zmq_errno()));
  for (Channel::Impl* channel : impl_->channels) channel->RetryIfDue();
  return rc != 0;
}

zmq::socket_t OpenMonitor(zmq::context_t& context, zmq::socket_t& socket) {
  static std::atomic<std::uint64_t> count{0};
  const std::string endpoint = "inproc://furrow.monitor." + std::to_string(++count);
  const int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                     ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED;
  if (::zmq_socket_monitor(socket.handle(), endpoint.c_str(), events) != 0) throw zmq::error_t();
  zmq::socket_t monitor(context, zmq::socket_type::pair);
  monitor.set(zmq::sockopt::linger, 0);
  monitor.set(zmq::sockopt::rcvhwm, 0);  // reconnects of days fit; a full queue would hold up the I/O thread
  monitor.connect(endpoint);
  return monitor;
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
