// Finds out for doctor who listens on this machine's ports, by /proc/net/tcp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/doctor/doctor.h"

namespace furrow::doctor {

struct Listener {
  bool any = false;     // listens on every address
  std::string address;  // "127.0.0.1", "::1"
  std::uint16_t port = 0;
  std::uint32_t uid = 0;
  std::uint64_t inode = 0;
};
// Returns the listening TCP sockets of both families.
std::vector<Listener> ReadListeners(const std::string& proc = "/proc");

struct PortHolder {
  bool taken = false;
  pid_t pid = 0;        // 0: only root could see the process
  std::string program;  // the name of its program; empty: not known
  std::string user;     // the user that owns the socket
  std::string address;  // the address that the socket listens on
};
// Returns who listens on `port` and is in the way of `address` ("0.0.0.0", "[::]", an address).
PortHolder HolderOfPort(std::uint16_t port, const std::string& address, const std::string& proc = "/proc");

// `daemon` is the process that should have the port; 0: it does not run. `key` is a key of the configuration, such as
// "ports.control".
Finding CheckPort(const std::string& key, std::uint16_t port, pid_t daemon, const PortHolder& holder,
                  const std::string& config_file);

}  // namespace furrow::doctor
