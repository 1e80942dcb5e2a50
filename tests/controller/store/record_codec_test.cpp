#include "controller/store/record_codec.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "tests/support/codec_probe.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

JobRecord SampleJobRecord() {
  return std::get<JobRecord>(SampleRecords()[1]);
}

}  // namespace

TEST_CASE("record_codec: every kind of record comes back as what it is") {
  for (const Record& sample : SampleRecords())
    std::visit(
        [](const auto& record) {
          using T = std::decay_t<decltype(record)>;
          CHECK(DecodeValue<T>(EncodeValue(record).value()).value() == record);
        },
        sample);
}

TEST_CASE("record_codec: a value may lie at any address") {
  const std::string value = EncodeValue(SampleJobRecord()).value();
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + value;
    CHECK(DecodeValue<JobRecord>(std::string_view(shifted).substr(shift)).value() == SampleJobRecord());
  }
}

TEST_CASE("record_codec: another kind of record, or one from the future, is kCorrupt and says so") {
  std::string value = EncodeValue(SampleJobRecord()).value();
  const auto other = DecodeValue<RunRecord>(value);
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::kCorrupt);
  CHECK(other.error().message == "record: another kind of record lies here");
  value[16] = 99;  // word 2 is the root's data; the union's tag comes first
  const auto newer = DecodeValue<JobRecord>(value);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Errc::kCorrupt);
  CHECK(newer.error().message.find("upgrade this side") != std::string::npos);
}

TEST_CASE("record_codec: damaged values are kCorrupt or understood, never fatal") {
  std::mt19937_64 random(20240229);
  for (const Record& sample : SampleRecords())
    std::visit(
        [&](const auto& record) {
          using T = std::decay_t<decltype(record)>;
          CheckHostile(
              EncodeValue(record).value(), 1000, random, [](const std::string& value) { return DecodeValue<T>(value); },
              [](const T& one) { return EncodeValue(one); }, Errc::kCorrupt);
        },
        sample);
}

}  // namespace furrow
