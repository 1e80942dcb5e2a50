#include "controller/access/advertise.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace furrow {
namespace {

std::string FirstAddress(int family) {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return "";
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(found, ::freeifaddrs);
  for (const ifaddrs* one = found; one != nullptr; one = one->ifa_next) {
    const bool usable = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || one->ifa_addr == nullptr || one->ifa_addr->sa_family != family) continue;
    if (family == AF_INET6 &&  // A link-local address (fe80::/10) is valid on one link only.
        IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr))
      continue;
    std::array<char, NI_MAXHOST> text{};
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (::getnameinfo(one->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
      return text.data();
  }
  return "";
}

}  // namespace

std::string AdvertisedHost(const std::string& advertise, const std::string& listen) {
  if (!advertise.empty()) return advertise;
  const bool bracketed = listen.starts_with('[');
  std::string address = bracketed ? listen.substr(1, listen.size() - 2) : listen;
  if (address != "0.0.0.0" && address != "::") return address;
  for (const int family : {AF_INET, AF_INET6})
    if (std::string found = FirstAddress(family); !found.empty()) return found;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace furrow
