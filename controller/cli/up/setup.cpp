#include "controller/cli/up/setup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <random>

#include "common/base/file_io.h"
#include "common/base/replace_file.h"
#include "common/transport/transport.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

// YAML takes a JSON string as it is.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

Status WriteConfig(const fs::path& path, const std::string& text) {
  const Status written =
      ReplaceFile(path.string(), "# Written by `furrow up` at each start: changes here are lost.\n" + text, 0600,
                  Durability::kNotSynced);
  if (!written) return Fail(Errc::kInvalid, written.error().message);
  return {};
}

std::uint32_t Cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<std::uint32_t>(std::max(CPU_COUNT(&set), 1));
}

std::uint64_t MemoryMiB() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || size <= 0) return 1024;
  return (static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)) >> 20;
}

// Returns the offer of one of several agents; a lone agent offers what it finds.
std::string OfferOf(std::uint32_t agents, std::uint32_t index) {
  if (agents == 1) return "";
  const std::uint32_t cpus = std::max(Cpus() / agents, 1u);
  const std::uint64_t memory = std::max<std::uint64_t>(MemoryMiB() / agents, 1);
  return "offer:\n  cpus: " + std::to_string(cpus) + "\n  memory: " + std::to_string(memory) +
         "MiB\n  gpus: " + (index == 1 ? "auto" : "none") + "\n";
}

std::string Local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

Result<DaemonPlan> PrepareController(const FarmPlan& plan) {
  const fs::path config = plan.state / "controller.yaml";
  FURROW_TRY(WriteConfig(config, "listen: 127.0.0.1\nports:\n  control: " + std::to_string(plan.control_port) +
                                     "\n  bulk: " + std::to_string(plan.bulk_port) +
                                     "\n  enrol: " + std::to_string(plan.enrol_port) +
                                     "\nstate: " + Quoted(plan.state.string()) + "\n"));
  return DaemonPlan{"controller",
                    {(plan.programs / "furrow-controller").string(), "--config", config.string()},
                    plan.state / "daemons" / "controller.log",
                    plan.state};
}

Result<DaemonPlan> PrepareAgent(const FarmPlan& plan, const std::string& controller_key, std::uint32_t index) {
  const std::string name = "agent-" + std::to_string(index);
  const fs::path folder = plan.state / "agents" / name;
  FURROW_TRY(MakeFolders(folder.string()));
  FURROW_ASSIGN(const KeyPair keys, LoadOrMakeKeyPair(folder / "agent.key"));
  // An agent whose folder was deleted has a new key, so the line of the old key is removed.
  FURROW_TRY(RemoveFromAllowlist(plan.state / "allowlist", [&](const AllowedKey& known) {
    return known.who == Identity{Role::kAgent, name} && known.public_key != keys.public_key;
  }));
  FURROW_TRY(AddToAllowlist(plan.state / "allowlist", {{Role::kAgent, name}, keys.public_key}));
  const fs::path config = folder / "agent.yaml";
  FURROW_TRY(WriteConfig(config, "name: " + name + "\ncontroller:\n  control: " + Local(plan.control_port) +
                                     "\n  bulk: " + Local(plan.bulk_port) + "\n  key: " + Quoted(controller_key) +
                                     "\nstate: " + Quoted(folder.string()) + "\n" + OfferOf(plan.agents, index)));
  return DaemonPlan{name,
                    {(plan.programs / "furrow-agent").string(), "--config", config.string()},
                    plan.state / "daemons" / (name + ".log"),
                    folder};
}

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
  address.sin_port = ::htons(port);
  return address;
}

}  // namespace

Result<std::vector<DaemonPlan>> PrepareFarm(const FarmPlan& plan) {
  FURROW_TRY(MakeFolders((plan.state / "daemons").string()));
  FURROW_TRY(MakeFolders((plan.state / "agents").string()));
  FURROW_ASSIGN(const KeyPair controller, LoadOrMakeKeyPair(plan.state / "controller.key"));
  std::vector<DaemonPlan> daemons;
  FURROW_ASSIGN(DaemonPlan first, PrepareController(plan));
  daemons.push_back(std::move(first));
  for (std::uint32_t i = 1; i <= plan.agents; ++i) {
    FURROW_ASSIGN(DaemonPlan agent, PrepareAgent(plan, controller.public_key, i));
    daemons.push_back(std::move(agent));
  }
  return daemons;
}

Status CheckPortIsFree(std::uint16_t port) {
  const FileHandle socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.Get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = Loopback(port);
  if (::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::listen(socket.Get(), 1) == 0)
    return {};
  if (errno != EADDRINUSE) return tl::unexpected(ErrnoError("cannot listen on " + Local(port), errno));
  return Fail(Errc::kUnavailable, "port " + std::to_string(port) +
                                      " is in use; another farm may be running here (ss -ltnp shows what listens). " +
                                      "Choose other ports with --port, 0 for free ones");
}

Result<FarmPorts> FreePorts() {
  std::random_device random;
  std::uniform_int_distribution<int> ports(10'000, 32'000);
  for (int tries = 0; tries < 1000; ++tries) {
    const auto port = static_cast<std::uint16_t>(ports(random));
    const auto bulk = static_cast<std::uint16_t>(port + 1), enrol = static_cast<std::uint16_t>(port + 2);
    if (CheckPortIsFree(port) && CheckPortIsFree(bulk) && CheckPortIsFree(enrol)) return FarmPorts{port, bulk, enrol};
  }
  return Fail(Errc::kUnavailable, "found no three free ports on 127.0.0.1");
}

Result<FarmPorts> ChoosePorts(std::uint16_t first, bool named, std::string& remark) {
  if (first == 0) return FreePorts();
  const FarmPorts usual{static_cast<std::uint16_t>(first + 1), static_cast<std::uint16_t>(first + 2),
                        static_cast<std::uint16_t>(first + 3)};
  for (const std::uint16_t port : {usual.control, usual.bulk, usual.enrol}) {
    const Status free = CheckPortIsFree(port);
    if (free) continue;
    if (named || free.error().code != Errc::kUnavailable) return tl::unexpected(free.error());
    remark = "port " + std::to_string(port) +
             " is in use, perhaps by an installed furrow-controller: this farm takes " +
             "free ports; --port chooses others";
    return FreePorts();
  }
  return usual;
}

}  // namespace furrow::cli
