#include "controller/store/record_codec.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "schemas/record.capnp.h"
#include "tests/support/codec_probe.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

constexpr AttemptRef kAttempt{JobId{1234567}, Epoch{3}};
constexpr Uuid kUuid{0x0123456789abcdef, 0xfedcba9876543210};
const std::string kPublicKey = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
constexpr WallTime kTime{1'700'000'000'123};
constexpr WallTime kLater{1'700'000'123'456};

LogRecord SampleLog() {
  return {123'456, SampleHash(1), {LogLocation::Kind::kPack, 3, 1ull << 33}};
}

AttemptRecord SampleAttempt() {
  return {.epoch = Epoch{2},
          .agent = "gpu-7",
          .gpu_uuids = {"GPU-1b2c3d4e-0000"},
          .started = kTime,
          .ended = kLater,
          .outcome = SampleOutcome(),
          .cpu_ms = 5000,
          .max_rss_bytes = 3ull << 30,
          .log = SampleLog(),
          .artifacts = SampleHash(2)};
}

JobRecord SampleJobRecord() {
  return {.id = JobId{1234567},
          .run = RunId{42},
          .state = JobState::kRunning,
          .epoch = Epoch{3},
          .agent = "gpu-7",
          .incarnation = kUuid,
          .gpu_uuids = {"GPU-1b2c3d4e-0000"},
          .cancelling = true,
          .ready = kTime,
          .assigned = kTime,
          .started = kLater,
          .retries = 2,
          .reused_run = RunId{41},
          .reused_job = JobId{1234},
          .attempts = {SampleAttempt(), AttemptRecord{}},
          .metrics = {{"accuracy", 0.8125}, {"loss", -1.5e-3}}};
}

// One of each kind, every field with a value that is not its default.
std::vector<Record> SampleRecords() {
  return {
      RunRecord{.id = RunId{42},
                .number = 17,
                .request = kUuid,
                .pipeline = SamplePipeline(),
                .source = SampleHash(3),
                .info = SampleSource(),
                .submitted = kTime,
                .ended = kLater,
                .state = RunState::kCancelled,
                .note = "cancelled by ada",
                .first_job = JobId{1234560},
                .retry_of = RunId{40},
                .jobs_passed = 7,
                .jobs_failed = 2,
                .cancelling = true},
      SampleJobRecord(),
      MetricsRecord{kAttempt, 100, SampleMetricLines()},
      SealRecord{kAttempt, SampleLog(), false},
      AgentRecord{"gpu-7",
                  "gpu-7.example",
                  "furrow-agent 0.1.0",
                  kUuid,
                  SampleOffer(),
                  kLater,
                  {11, 12},
                  {13, 14},
                  true,
                  std::chrono::seconds(90)},
      TriggerRecord{kUuid, "/srv/git/fashion.git", "refs/heads/main", std::string(40, '0'), std::string(40, 'a'),
                    false},
      RepositoryRecord{"/srv/git/fashion.git", {{"refs/heads/main", std::string(40, 'a')}, {"refs/tags/v1", ""}}, true},
      EnrolmentRecord{.id = EnrolmentId{0x1a2b3c4d},
                      .verify_key = SampleHash(4),
                      .labels = {"a100"},
                      .uses = 40,
                      .used = {{kPublicKey, "gpu-7", kTime, true}},
                      .made = kTime,
                      .expires = kLater,
                      .revoked = kLater,
                      .erased = false},
      KeyRecord{kPublicKey, KeyRole::kAgent, "gpu-7", kTime, EnrolmentId{0x1a2b3c4d}, false}};
}

// Decodes a value as the kind of record that `like` is.
Result<Record> DecodeLike(const Record& like, std::string_view value) {
  return std::visit(
      [&](const auto& kind) -> Result<Record> {
        auto record = DecodeRecord<std::decay_t<decltype(kind)>>(value);
        if (!record) return tl::unexpected<Error>(record.error());
        return Record(std::move(*record));
      },
      like);
}

// The bytes of the sample JobRecord as the first release writes them; stores hold such bytes for ever.
const std::string kJobRecord =
    "000000005400000000000000010001000200000000000000000000000b00040087d61200000000002a000000000000000300010002000000"
    "0300000000000000efcdab89674523011032547698badcfe7b68e5cf8b0100007b68e5cf8b010000404ae7cf8b0100002900000000000000"
    "d2040000000000000d000000320000000d0000000e00000019000000a7000000e9000000270000006770752d370000000100000092000000"
    "4750552d31623263336434652d3030303000000000000000080000000500050002000000000000007b68e5cf8b010000404ae7cf8b010000"
    "8813000000000000000000c0000000003900000032000000390000000e000000440000000200010060000000030001007d00000002010000"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "6c00000002000100740000000300010000000000000000006770752d3700000001000000920000004750552d31623263336434652d303030"
    "30000000000000000100000009000000020000000000000001000000220100006b696c6c656420627920746865206b65726e656c3a206f75"
    "74206f66206d656d6f7279000000000040e201000000000002000000030000000000000002000000010000000201000001080f161d242b32"
    "3940474e555c636a71787f868d949ba2a9b0b7bec5ccd3da020910171e252c333a41484f565d646b727980878e959ca3aab1b8bfc6cdd4db"
    "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "0800000001000100000000000000ea3f090000004a000000fa7e6abc749358bf090000002a00000061636375726163790000000000000000"
    "6c6f737300000000";
// FNV-1a of every sample.
const std::vector<std::uint64_t> kFingerprints{0x93a6275aeeffab94, 0x23ce11acc1a0bab0, 0xb9884743d8da5962,
                                               0x1885a6b0e6198f1e, 0x1c1c4435be2e37de, 0xf22a934238651cbd,
                                               0xf50e6a6c4c6ca111, 0x2b08ab8eab3285e6, 0xaf8c7861afc1b48d};

}  // namespace

TEST_CASE("record_codec: every record comes back with all its fields") {
  const auto samples = SampleRecords();
  REQUIRE(samples.size() == std::variant_size_v<Record>);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    REQUIRE(samples[i].index() == i);
    const std::string value = EncodeRecord(samples[i]);
    const auto record = DecodeLike(samples[i], value);
    if (!record) FAIL(record.error().message);
    CHECK(*record == samples[i]);
    for (const std::string& field : UnsetFields(value, capnp::Schema::from<wire::Record>()))
      FAIL_CHECK("a sample leaves at its default: " << field);
  }
}

TEST_CASE("record_codec: a record that was never assigned comes back") {
  const JobRecord job;
  CHECK(DecodeRecord<JobRecord>(EncodeRecord(job)).value() == job);
  const AgentRecord agent;
  CHECK(DecodeRecord<AgentRecord>(EncodeRecord(agent)).value() == agent);
}

TEST_CASE("record_codec: a value may lie at any address") {
  const std::string value = EncodeRecord(SampleJobRecord());
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + value;
    CHECK(DecodeRecord<JobRecord>(std::string_view(shifted).substr(shift)).value() == SampleJobRecord());
  }
}

TEST_CASE("record_codec: another kind of record, or one from the future, is kCorrupt and says so") {
  const auto other = DecodeRecord<RunRecord>(EncodeRecord(SampleJobRecord()));
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Errc::kCorrupt);
  CHECK(other.error().message == "record of a run: another kind of record lies here");
  std::string value = EncodeRecord(SampleJobRecord());
  value[16] = 99;  // word 2 is the root's data; the union's tag comes first
  const auto newer = DecodeRecord<JobRecord>(value);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Errc::kCorrupt);
  CHECK(newer.error().message.find("newer Furrow") != std::string::npos);
}

TEST_CASE("record_codec: damaged values are kCorrupt or understood, never fatal") {
  std::mt19937_64 random(20240229);
  for (const Record& sample : SampleRecords())
    CheckHostile(
        EncodeRecord(sample), 1000, random, [&](const std::string& value) { return DecodeLike(sample, value); },
        [](const Record& record) { return EncodeRecord(record); }, Errc::kCorrupt);
}

TEST_CASE("record_codec: stored records have the bytes that they always had") {
  CHECK(HexOf(EncodeRecord(SampleJobRecord())) == kJobRecord);
  const auto samples = SampleRecords();
  REQUIRE(kFingerprints.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    CHECK(Fingerprint(EncodeRecord(samples[i])) == kFingerprints[i]);
  }
}

}  // namespace furrow
