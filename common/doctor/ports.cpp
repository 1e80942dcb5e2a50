#include "common/doctor/ports.h"

#include <arpa/inet.h>
#include <pwd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/doctor/machine.h"

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

// Reads "0100007F" or four such words: the kernel prints an address so, each word in the machine's byte order.
std::string AddressOf(const std::string& hex) {
  std::uint32_t words[4] = {};
  const std::size_t count = hex.size() / 8;
  if (count != 1 && count != 4) return "";
  for (std::size_t i = 0; i < count; ++i)
    words[i] = static_cast<std::uint32_t>(std::strtoul(hex.substr(i * 8, 8).c_str(), nullptr, 16));
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(count == 1 ? AF_INET : AF_INET6, words, text, sizeof(text));
  return text;
}

void ReadTable(const std::string& path, std::vector<Listener>& out) {
  std::ifstream table(path);
  std::string line;
  std::getline(table, line);  // skips the headings
  while (std::getline(table, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer, retransmits;
    Listener one;
    std::string timeout;
    if (!(words >> number >> local >> remote >> state >> queues >> timer >> retransmits >> one.uid >> timeout >>
          one.inode))
      continue;
    const std::size_t colon = local.find(':');
    if (state != "0A" || colon == std::string::npos) continue;  // 0A is TCP_LISTEN
    one.address = AddressOf(local.substr(0, colon));
    one.any = one.address == "0.0.0.0" || one.address == "::";
    one.port = static_cast<std::uint16_t>(std::strtoul(local.substr(colon + 1).c_str(), nullptr, 16));
    out.push_back(one);
  }
}

pid_t OwnerOfSocket(std::uint64_t inode, const std::string& proc) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  std::error_code ignored;
  for (const auto& process : fs::directory_iterator(proc, ignored)) {
    const std::string name = process.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (auto fd = fs::directory_iterator(process.path() / "fd", hidden); fd != fs::directory_iterator();
         fd.increment(hidden)) {
      std::error_code gone;
      if (fs::read_symlink(fd->path(), gone) == wanted) return static_cast<pid_t>(std::atol(name.c_str()));
      if (hidden) break;
    }
  }
  return 0;
}

}  // namespace

std::vector<Listener> ReadListeners(const std::string& proc) {
  std::vector<Listener> listeners;
  ReadTable(proc + "/net/tcp", listeners);
  ReadTable(proc + "/net/tcp6", listeners);
  return listeners;
}

PortHolder HolderOfPort(std::uint16_t port, const std::string& address, const std::string& proc) {
  const bool any = address == "0.0.0.0" || address == "[::]";
  std::string bare = address;
  if (bare.starts_with('[')) bare = bare.substr(1, bare.size() - 2);
  for (const Listener& one : ReadListeners(proc)) {
    if (one.port != port || (!any && !one.any && one.address != bare)) continue;
    PortHolder holder;
    holder.taken = true;
    holder.address = one.address;
    holder.pid = OwnerOfSocket(one.inode, proc);
    holder.program = NameOfProcess(holder.pid, proc);
    const passwd* user = ::getpwuid(one.uid);
    holder.user = user != nullptr ? user->pw_name : std::to_string(one.uid);
    return holder;
  }
  return {};
}

Finding CheckPort(const std::string& key, std::uint16_t port, pid_t daemon, const PortHolder& holder,
                  const std::string& config_file) {
  const std::string words = key + " " + std::to_string(port);
  if (!holder.taken) {
    if (daemon != 0)
      return Wrong("port", words + ": process " + std::to_string(daemon) + " runs, but does not listen there",
                   "was the configuration changed since it started? systemctl restart furrow-controller");
    return Ok("port", words + " is free");
  }
  if (daemon != 0 && (holder.pid == daemon || holder.pid == 0))
    return Ok("port",
              words + ": listening on " + holder.address +
                  (holder.pid == 0 ? " (user " + holder.user + "; whose process it is, only root can see)" : ""));
  std::string by = holder.program.empty() ? "a program of user " + holder.user
                                          : holder.program + " (process " + std::to_string(holder.pid) + ")";
  return Wrong("port", words + " is taken by " + by + " on " + holder.address,
               "stop that program (ss -ltnp 'sport = :" + std::to_string(port) + "' shows it), or set " + key + " in " +
                   config_file + " and tell the agents");
}

}  // namespace furrow::doctor
