// Makes bytes that look random and are the same on every run.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>

namespace furrow {

inline std::string RandomBytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(count, '\0');
  for (std::size_t i = 0; i < count; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, count - i));
  }
  return bytes;
}

}  // namespace furrow
