#include "tests/support/hostile_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <zmq.hpp>  // for peers that are not ours

#include "common/base/check.h"

namespace furrow {

struct Claims::Impl {
  std::string address, server_key;
  KeyPair keys;
  zmq::context_t context;
  std::vector<zmq::socket_t> sockets;
};

Claims::Claims(std::string address, std::string server_key, KeyPair keys) : impl_(std::make_unique<Impl>()) {
  impl_->address = std::move(address);
  impl_->server_key = std::move(server_key);
  impl_->keys = std::move(keys);
}
Claims::~Claims() = default;
Claims::Claims(Claims&&) noexcept = default;

void Claims::Open(std::size_t connections) {
  for (std::size_t i = 0; i < connections; ++i) {
    zmq::socket_t socket(impl_->context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    const auto number = static_cast<std::uint32_t>(i / 2);
    std::string claim(5, '\0');
    for (std::size_t byte = 1; byte < 5; ++byte) claim[byte] = static_cast<char>(number >> (32 - 8 * byte));
    if (i % 2 == 1) claim = "000000000000000" + std::to_string(i % 10) + std::string(15, '0');
    socket.set(zmq::sockopt::routing_id, claim);
    socket.set(zmq::sockopt::curve_serverkey, impl_->server_key);
    socket.set(zmq::sockopt::curve_publickey, impl_->keys.public_key);
    socket.set(zmq::sockopt::curve_secretkey, impl_->keys.secret_key);
    socket.connect("tcp://" + impl_->address);
    impl_->sockets.push_back(std::move(socket));
  }
}

std::size_t Claims::Received() const {
  std::size_t received = 0;
  for (zmq::socket_t& socket : impl_->sockets) {
    zmq::message_t message;
    while (socket.recv(message, zmq::recv_flags::dontwait)) ++received;
  }
  return received;
}

void RawRubbish(const std::string& address, std::mt19937& random, int connections) {
  // The greeting of ZMTP 3.0 with CURVE: signature, version, mechanism, as-server, filler; then commands.
  std::string greeting = std::string("\xff\0\0\0\0\0\0\0\x01\x7f\x03", 11) + std::string(1, '\0') + "CURVE";
  greeting.resize(64, '\0');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < connections; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FURROW_CHECK(fd >= 0, "socket");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0) {
      std::string bytes = greeting;
      const std::size_t keep = random() % (greeting.size() + 1);
      if (i % 3 == 0) bytes.resize(keep);
      if (i % 3 == 1) bytes[random() % bytes.size()] = static_cast<char>(random());
      const std::array<std::string, 4> commands{
          std::string("\x04\xc8\x05HELLO", 8), std::string("\x04\xff\x08INITIATE", 11),
          std::string("\x06\xff\xff\xff\xff\xff\xff\xff\xff\x07MESSAGE", 17), std::string("\x02\xff\xff", 3)};
      bytes += commands[random() % commands.size()];
      for (int n = 0; n < 300; ++n) bytes += static_cast<char>(random());
      static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    ::close(fd);
  }
}

}  // namespace furrow
