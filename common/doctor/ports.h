// doctor: who listens on this machine's ports, by /proc/net/tcp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/doctor/doctor.h"

namespace furrow::doctor {

struct Listener {
  bool any = false;     // on every address
  std::string address;  // "127.0.0.1", "::1"
  std::uint16_t port = 0;
  std::uint32_t uid = 0;
  std::uint64_t inode = 0;
};
// Listening TCP sockets, of both families.
std::vector<Listener> ReadListeners(const std::string& proc = "/proc");

struct PortHolder {
  bool taken = false;
  pid_t pid = 0;        // 0: not ours to see, unless as root
  std::string program;  // its name; empty: not known
  std::string user;     // whose socket it is
  std::string address;  // it listens on
};
// Who listens on `port`, where it would be in the way of `address` ("0.0.0.0", "[::]", an address).
PortHolder HolderOfPort(std::uint16_t port, const std::string& address, const std::string& proc = "/proc");

// `daemon`: the process that should have it; 0: does not run. `key`: of the configuration, "ports.control".
Finding CheckPort(const std::string& key, std::uint16_t port, pid_t daemon, const PortHolder& holder,
                  const std::string& config_file);

}  // namespace furrow::doctor
