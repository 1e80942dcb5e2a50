// Implements IoFence with one pair of connected sockets for each I/O thread.
#include <array>
#include <cstdint>

#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr int kPatienceMs = 1000;

}  // namespace

IoFence::IoFence(zmq::context_t& context, int io_threads) {
  for (int thread = 0; thread < io_threads; ++thread) {
    Lane lane{zmq::socket_t(context, zmq::socket_type::pair), zmq::socket_t(context, zmq::socket_type::pair)};
    for (zmq::socket_t* end : {&lane.near, &lane.far}) {
      end->set(zmq::sockopt::linger, 0);
      end->set(zmq::sockopt::affinity, std::uint64_t{1} << thread);
    }
    // Nobody can connect before this process does: the name cannot be guessed, and a PAIR takes one connection.
    std::array<std::uint8_t, 16> random{};
    FillRandom(random.data(), random.size());
    std::array<char, 21> name{};
    ::zmq_z85_encode(name.data(), random.data(), random.size());
    std::string address = "ipc://@furrow-";
    for (const char c : std::string_view(name.data())) address += c == '/' ? '_' : c;
    lane.near.bind(address);
    lane.far.connect(address);
    lanes_.push_back(std::move(lane));
  }
}

bool IoFence::Pass() {
  ++round_;
  for (Lane& lane : lanes_) {
    if (!lane.far.send(zmq::buffer(&round_, sizeof(round_)), zmq::send_flags::dontwait)) return false;
  }
  for (Lane& lane : lanes_) {
    std::uint64_t arrived = 0;
    while (arrived != round_) {  // A round that was given up may arrive first.
      zmq::pollitem_t item{lane.near.handle(), 0, ZMQ_POLLIN, 0};
      if (::zmq_poll(&item, 1, kPatienceMs) == 0) return false;
      static_cast<void>(lane.near.recv(zmq::buffer(&arrived, sizeof(arrived)), zmq::recv_flags::dontwait));
    }
  }
  return true;
}

}  // namespace furrow
