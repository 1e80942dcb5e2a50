// Checks what a decoder makes of damaged frames, and shows the bytes of a frame as text.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <string>

#include "common/base/error.h"

namespace furrow::testing {

std::string HexOf(const std::string& bytes);
std::string BytesOfHex(const std::string& hex);

// Gives `decode` every prefix of the frame and `flips` copies with 1 to 8 random bits flipped. Fails the test unless
// each gives kInvalid (or `refusal`) with a message, or a value that survives another round trip.
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
    const Result<std::string> again = encode(*message);
    if (!again) FAIL(again.error().message);
    const auto second = decode(*again);
    if (!second) FAIL(second.error().message);
    if (encode(*second).value() != *again) FAIL("decoding and encoding it once more gives other bytes");
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
