// Looks into encoded messages: which fields of the schema a frame leaves at their default, and what a
// decoder makes of damaged frames.
#pragma once

#include <capnp/schema.h>
#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow::testing {

inline std::span<const std::uint8_t> BytesOf(const std::string& frame) {
  return {reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()};
}

// "finished.outcome.detail" for every field of the frame's root that has its default value. Of a union only
// the member that is set counts, of a list its first element (of steps: all).
std::vector<std::string> UnsetFields(const std::string& frame, capnp::StructSchema root);

// FNV-1a, 64 bits: names the bytes of a frame in a test.
std::uint64_t Fingerprint(const std::string& frame);
std::string HexOf(const std::string& bytes);

// Gives `decode` every prefix of the frame and `flips` copies with 1 to 8 random bits turned. Fails the test
// unless each gives kInvalid (or `refusal`) with words, or a message that survives another round trip.
template <class Decode, class Encode>
void CheckHostile(const std::string& frame, int flips, std::mt19937_64& random, Decode decode, Encode encode,
                  Errc refusal = Errc::kInvalid) {
  int accepted = 0;
  const auto check = [&](const std::string& damaged) {
    const auto message = decode(damaged);
    if (!message) {
      if (message.error().code != refusal || message.error().message.empty()) FAIL(message.error().message);
      return;
    }
    ++accepted;
    const std::string again = encode(*message);
    const auto second = decode(again);
    if (!second) FAIL(second.error().message);
    if (encode(*second) != again) FAIL("decoding and encoding it once more gives other bytes");
  };
  for (std::size_t size = 0; size < frame.size(); ++size) check(frame.substr(0, size));
  CHECK(accepted == 0);
  for (int i = 0; i < flips; ++i) {
    std::string damaged = frame;
    for (auto bits = 1 + random() % 8; bits > 0; --bits)
      damaged[random() % damaged.size()] ^= static_cast<char>(1u << random() % 8);
    check(damaged);
  }
}

}  // namespace furrow::testing
