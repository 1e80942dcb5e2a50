// Peers that libzmq lets anybody be.
#pragma once

#include <cstddef>
#include <memory>
#include <random>
#include <string>

#include "common/transport/transport.h"

namespace furrow {

// Connections with one key that claim the routing ids that others might have.
class Claims {
 public:
  Claims(std::string address, std::string server_key, KeyPair keys);
  ~Claims();
  Claims(Claims&&) noexcept;
  void Open(std::size_t connections);
  std::size_t Received() const;  // messages that came over any of them

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Opens so many TCP connections, one after the other, and sends bytes that are nearly a ZMTP greeting, or nothing like
// it, on each.
void RawRubbish(const std::string& address, std::mt19937& random, int connections);

}  // namespace furrow
