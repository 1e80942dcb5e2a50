// Where other machines reach this controller.
#pragma once

#include <string>

namespace furrow {

// The host that enrolment lines lead to: what `advertise` says; else `listen` where that is one address; else the first
// address of this machine that is not its loopback, IPv4 before IPv6; else its name. IPv6 without brackets.
std::string AdvertisedHost(const std::string& advertise, const std::string& listen);

}  // namespace furrow
