// Proves that an agent has the secret of an enrolment line without sending the secret: it is the seed of an Ed25519
// key, of which the controller keeps only the public half. No file on the controller's disk lets a machine in. Only
// common/enrol/proof.cpp and common/enrol/line.cpp use libsodium. Any thread may call these functions.
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

// Returns the public half, with which a proof is checked.
Hash VerifyKeyOf(const EnrolSecret& secret);

// A proof is made for one claim. A listener cannot use it for another key, name, controller or connection.
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

// Returns what people recognise a public key by: "3f2a-9c01-77de", the start of its BLAKE2b digest.
std::string FingerprintOf(std::string_view public_key);

// Writes an id as "1a2b3c4d" and reads it back; 0: the text is no id.
std::string FormatEnrolmentId(EnrolmentId id);
EnrolmentId ParseEnrolmentId(std::string_view text);

}  // namespace furrow
