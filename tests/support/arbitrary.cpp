#include "tests/support/arbitrary.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace furrow::testing {

std::uint64_t Arbitrary::Number(std::uint64_t min, std::uint64_t max) {
  const std::uint64_t top = max == 0 ? std::numeric_limits<std::uint64_t>::max() : max;
  switch (Pick(4)) {
    case 0: return min;
    case 1: return top;
    case 2: return min + (random_() % 100) % (top - min + (top - min == UINT64_MAX ? 0 : 1));
    default: return top - min == UINT64_MAX ? random_() : min + random_() % (top - min + 1);
  }
}

std::size_t Arbitrary::Pick(std::size_t count) {
  return random_() % count;
}

double Arbitrary::Float() {
  constexpr double kOdd[] = {0, -0.0, 1e308, -1e-308, std::numeric_limits<double>::infinity(), 0.1};
  return Coin() ? kOdd[Pick(std::size(kOdd))] : std::uniform_real_distribution<>(-1e6, 1e6)(random_);
}

std::size_t Arbitrary::Size(std::size_t min, std::size_t max) {
  std::size_t size = Pick(20) == 0 ? max : min + Pick(std::min<std::size_t>(max - min, 16) + 1);
  size = std::max(min, std::min(size, budget_));
  budget_ -= std::min(budget_, size);
  return size;
}

std::size_t Arbitrary::Count(std::size_t min, std::size_t max) {
  std::size_t count =
      Pick(20) == 0 ? std::min<std::size_t>(max, 200) : min + Pick(std::min<std::size_t>(max - min, 3) + 1);
  count = std::max(min, std::min(count, budget_ / 16));
  budget_ -= std::min(budget_, count * 16);
  return count;
}

std::string Arbitrary::Text(std::size_t min, std::size_t max, const char* without) {
  constexpr const char* kCharacters[] = {
      "a", "Z", "0", "-", "/", " ", "\n", "\x1b", "\"", "=", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f"};
  const std::size_t size = Size(min, max);
  std::string text;
  while (text.size() < size) {
    const std::string character = kCharacters[Pick(std::size(kCharacters))];
    if (character.find_first_of(without) != character.npos) continue;
    text += text.size() + character.size() > size ? "x" : character;
  }
  return text;
}

std::string Arbitrary::Wild() {
  constexpr std::array<std::string_view, 8> kParts{
      "a", "\xff", "\xc3", std::string_view("\0", 1), "\xe2\x82\xac", "\n", "/", "\xed\xa0\x80"};
  std::string text;
  const std::size_t parts = Pick(10) == 0 ? 20'000 : Pick(20);
  for (std::size_t i = 0; i < parts; ++i) text += kParts[Pick(kParts.size())];
  return text;
}

std::string Arbitrary::Bytes(std::size_t min, std::size_t max) {
  std::string bytes(Size(min, max), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random_());
  return bytes;
}

void Arbitrary::Fill(Hash& hash) {
  if (Pick(4) == 0) return;  // an absent hash
  for (std::uint8_t& byte : hash.bytes) byte = static_cast<std::uint8_t>(random_());
}

void Arbitrary::Fill(Uuid& uuid) {
  uuid = {random_(), random_()};
}

void Arbitrary::Fill(AttemptRef& attempt) {
  attempt = {JobId{Number(0, 0)}, Epoch{Number(0, 0)}};
}

void Arbitrary::Fill(WallTime& time) {
  time = WallTime{static_cast<std::int64_t>(random_())};
}

void Arbitrary::FillMap(std::map<std::string, std::string>& map, std::size_t max, std::size_t key_max,
                        std::size_t max_value, const char* key_without) {
  for (std::size_t left = Count(0, max); left > 0; --left) map[Text(1, key_max, key_without)] = Text(0, max_value, "");
}

void Arbitrary::Settle(Finished& value) {
  if (value.small_log) value.log_length = value.small_log->size();
}

void Arbitrary::Settle(Assign& value) {
  value.shard %= value.spec->shards;
}

void Arbitrary::Settle(LogAppend& value) {
  value.offset = std::min<std::uint64_t>(value.offset, UINT64_MAX - value.raw_length);
}

void Arbitrary::Settle(TreePut& value) {
  value.total_bytes = std::max<std::uint64_t>(value.total_bytes, value.bytes.size());
  value.offset %= value.total_bytes - value.bytes.size() + 1;
}

void Arbitrary::Settle(ChunkData& value) {
  value.total_bytes = std::max<std::uint64_t>(value.total_bytes, value.bytes.size());
  value.offset %= value.total_bytes - value.bytes.size() + 1;
}

void Arbitrary::Settle(ChunksMissing& value) {
  for (std::uint32_t& index : value.indexes) index %= kMaxHashesPerMessage;
}

void Arbitrary::Settle(NewEnrolment& value) {
  value.verify_key.bytes[0] |= 1;
}

void Arbitrary::Settle(MetricSeries& value) {
  value.values.resize(value.steps.size());
}

}  // namespace furrow::testing
