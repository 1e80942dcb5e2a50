// Makes random values of every message and record, within their ranges: schemas/compiler writes a Fill for each struct
// of a schema, so that a new field of a schema is tested at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "schemas/agent.h"
#include "schemas/bulk.h"
#include "schemas/client.h"

namespace furrow::testing {

class Arbitrary {
 public:
  explicit Arbitrary(std::uint64_t seed) : random_(seed) {}

  // Returns a number from `min` to `max` (0: no bound), often a bound itself.
  std::uint64_t Number(std::uint64_t min, std::uint64_t max);
  std::size_t Pick(std::size_t count);  // below count
  bool Coin() { return Pick(2) == 0; }
  double Float();

  // Text and Bytes return mostly short values, now and then one of the greatest length.
  std::string Text(std::size_t min, std::size_t max, const char* without);
  std::string Bytes(std::size_t min, std::size_t max);
  // Returns text as libraries, file systems and people bring it: not always UTF-8, with NUL, now and then 20,000
  // characters long.
  std::string Wild();
  void Fill(Hash& hash);
  void Fill(Uuid& uuid);
  void Fill(AttemptRef& attempt);
  void Fill(WallTime& time);
  template <std::size_t N>
  void Fill(std::array<std::uint8_t, N>& array) {
    for (std::uint8_t& byte : array) byte = static_cast<std::uint8_t>(random_());
  }
  template <class T, class Visit>
  void Each(std::vector<T>& list, std::size_t min, std::size_t max, Visit fill) {
    list.resize(Count(min, max));
    for (T& one : list) fill(one);
  }
  void FillMap(std::map<std::string, std::string>& map, std::size_t max, std::size_t key_max, std::size_t max_value,
               const char* key_without);

  // Makes fields that depend on each other fit, as common/wire/checks.cpp demands.
  void Settle(Finished& value);
  void Settle(Assign& value);
  void Settle(LogAppend& value);
  void Settle(TreePut& value);
  void Settle(ChunkData& value);
  void Settle(ChunksMissing& value);
  void Settle(NewEnrolment& value);
  void Settle(MetricSeries& value);

 private:
  std::size_t Size(std::size_t min, std::size_t max);
  std::size_t Count(std::size_t min, std::size_t max);

  std::mt19937_64 random_;
  std::size_t budget_ = 200'000;  // bytes of a value; parts beyond them are as small as possible
};

}  // namespace furrow::testing
