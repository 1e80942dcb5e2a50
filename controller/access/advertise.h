// This header finds the address at which other machines reach this controller.
#pragma once

#include <string>

namespace furrow {

// Returns the host for enrolment lines: `advertise` if it is set; else `listen` where that is one address; else the
// first address of this machine that is not its loopback, IPv4 before IPv6; else the host name. IPv6 addresses have no
// brackets.
std::string AdvertisedHost(const std::string& advertise, const std::string& listen);

}  // namespace furrow
