// The secret of an enrolment line, and how an agent proves to have it without sending it: the secret is the seed of an
// Ed25519 key, of which the controller keeps the public half alone. Nothing on the controller's disk lets anyone in.
// libsodium is used in common/enrol_proof and enrol_line alone. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "schemas/enrol.h"

namespace furrow {

using EnrolSecret = std::array<std::uint8_t, 16>;
EnrolSecret MakeEnrolSecret();  // random
EnrolmentId MakeEnrolmentId();  // random
Hash MakeEnrolChallenge();      // random

// The public half that a proof is checked with.
Hash VerifyKeyOf(const EnrolSecret& secret);

// What a proof is about. Whoever has heard one cannot use it for another key, name, controller or connection.
struct EnrolClaim {
  EnrolmentId enrolment{};
  std::string controller_key;  // Z85
  std::string agent_key;       // Z85
  std::string name;
  Hash challenge;
};
// Signs "furrow enrolment 1", the enrolment's number (8 bytes, little-endian), both keys (40 bytes each), the challenge
// and the name, one behind the other.
using EnrolSignature = decltype(EnrolProve::proof);
EnrolSignature ProveEnrolment(const EnrolSecret& secret, const EnrolClaim& claim);
bool CheckEnrolment(const Hash& verify_key, const EnrolClaim& claim, const EnrolSignature& proof);

// What people tell a public key by: "3f2a-9c01-77de", the start of its BLAKE2b digest.
std::string FingerprintOf(std::string_view public_key);

// "1a2b3c4d", and back; 0: that is none.
std::string FormatEnrolmentId(EnrolmentId id);
EnrolmentId ParseEnrolmentId(std::string_view text);

}  // namespace furrow
