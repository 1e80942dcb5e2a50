#include "agent/join/machine_id.h"

#include <fstream>
#include <string>

#include "common/base/hash.h"

namespace furrow {
namespace {

Uuid DigestOf(const std::string& use, const char* path) {
  std::ifstream file(path);
  std::string id;
  if (!(file >> id) || id == "uninitialized") return {};
  const Hash digest = HashOf(use + id);
  Uuid uuid;
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.high = uuid.high << 8 | digest.bytes[i];
    uuid.low = uuid.low << 8 | digest.bytes[8 + i];
  }
  return uuid;
}

}  // namespace

MachineIdentity IdentifyMachine() {
  return {DigestOf("furrow machine ", "/etc/machine-id"), DigestOf("furrow boot ", "/proc/sys/kernel/random/boot_id"),
          Uuid::Random()};
}

}  // namespace furrow
