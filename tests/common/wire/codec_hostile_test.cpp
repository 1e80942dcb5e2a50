// What the decoders make of frames that no codec of ours has written.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/wire/codec.h"
#include "schemas/agent.capnp.h"
#include "schemas/bulk.capnp.h"
#include "schemas/client.capnp.h"
#include "tests/support/codec_probe.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

std::string FrameOf(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

// The words of a refusal; fails the test if it was none.
template <class T>
std::string Refusal(const Result<T>& result) {
  if (result) {
    FAIL_CHECK("was not refused");
    return "";
  }
  CHECK(result.error().code == Errc::kInvalid);
  return result.error().message;
}
std::string RefusedFromAgent(const AgentMessage& message) {
  return Refusal(DecodeAgentMessage(BytesOf(Encode(message))));
}
std::string RefusedToAgent(const ToAgent& message) {
  return Refusal(DecodeToAgent(BytesOf(Encode(message))));
}
std::string RefusedBulk(const BulkRequest& message) {
  return Refusal(DecodeBulkRequest(BytesOf(Encode(message))));
}
std::string RefusedRequest(const ClientRequest& message) {
  return Refusal(DecodeClientRequest(BytesOf(Encode(1, message))));
}

bool Says(const std::string& words, const char* part) {
  INFO(words);
  return words.find(part) != words.npos;
}

// A T at its defaults but for what `set` does to it.
template <class T>
T With(void (*set)(T&)) {
  T message;
  set(message);
  return message;
}

Assign SampleAssign() {
  return std::get<Assign>(SampleToAgent()[4]);
}
Assign AssignOf(const JobSpec& spec) {
  Assign assign = SampleAssign();
  assign.spec = std::make_shared<const JobSpec>(spec);
  return assign;
}

}  // namespace

TEST_CASE("codec: damaged frames are refused or understood, never fatal") {
  std::mt19937_64 random(20240229);
  constexpr int kFlips = 1000;
  for (const auto& sample : SampleEnrolRequests())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeEnrolRequest(BytesOf(f)); },
        [](const EnrolRequest& m) { return Encode(m); });
  for (const auto& sample : SampleEnrolReplies())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeEnrolReply(BytesOf(f)); },
        [](const EnrolReply& m) { return Encode(m); });
  for (const auto& sample : SampleAgentMessages())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeAgentMessage(BytesOf(f)); },
        [](const AgentMessage& m) { return Encode(m); });
  for (const auto& sample : SampleToAgent())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeToAgent(BytesOf(f)); },
        [](const ToAgent& m) { return Encode(m); });
  for (const auto& sample : SampleRequests())
    CheckHostile(
        Encode(7, sample), kFlips, random, [](const std::string& f) { return DecodeClientRequest(BytesOf(f)); },
        [](const auto& m) { return Encode(m.first, m.second); });
  for (const auto& sample : SampleReplies())
    CheckHostile(
        Encode(7, sample), kFlips, random, [](const std::string& f) { return DecodeClientReply(BytesOf(f)); },
        [](const auto& m) { return Encode(m.first, m.second); });
  for (const auto& sample : SampleBulkRequests())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeBulkRequest(BytesOf(f)); },
        [](const BulkRequest& m) { return Encode(m); });
  for (const auto& sample : SampleBulkReplies())
    CheckHostile(
        Encode(sample), kFlips, random, [](const std::string& f) { return DecodeBulkReply(BytesOf(f)); },
        [](const BulkReply& m) { return Encode(m); });
}

TEST_CASE("codec: a frame may lie at any address") {
  const AgentMessage message = SampleAgentMessages()[4];
  const std::string frame = Encode(message);
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + frame;
    CHECK(DecodeAgentMessage(BytesOf(shifted).subspan(shift)).value() == message);
  }
}

TEST_CASE("codec: a frame above its cap is refused unread") {
  CHECK(Says(Refusal(DecodeAgentMessage(BytesOf(std::string(kMaxAgentFrame + 8, '\0')))), "4194312 bytes"));
  CHECK(Says(Refusal(DecodeToAgent(BytesOf(std::string(kMaxAgentFrame + 8, '\0')))), "at most 4194304"));
  CHECK(Says(Refusal(DecodeBulkRequest(BytesOf(std::string(kMaxBulkFrame + 8, '\0')))), "at most"));
  CHECK(Says(Refusal(DecodeBulkReply(BytesOf(std::string(kMaxBulkFrame + 8, '\0')))), "at most"));
  CHECK(Says(Refusal(DecodeClientRequest(BytesOf(std::string(kMaxClientFrame + 8, '\0')))), "at most"));
  CHECK(Says(Refusal(DecodeClientReply(BytesOf(std::string(kMaxClientFrame + 8, '\0')))), "at most"));
}

TEST_CASE("codec: bytes behind a message are refused") {
  CHECK(Says(Refusal(DecodeToAgent(BytesOf(Encode(SampleToAgent()[0]) + std::string(8, '\0')))), "bytes follow"));
}

TEST_CASE("codec: an empty message is no message") {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::FromAgent>();
  CHECK(Says(Refusal(DecodeAgentMessage(BytesOf(FrameOf(message)))), "empty"));
  CHECK(Says(Refusal(DecodeBulkReply(BytesOf(FrameOf(message)))), "empty"));
}

TEST_CASE("codec: a kind from the future is refused and says what to do") {
  std::string frame = Encode(SampleToAgent()[2]);
  const auto tag = [&frame](std::uint16_t value) {  // word 2 of the frame is the root's data; its tag comes first
    frame[16] = static_cast<char>(value & 0xff);
    frame[17] = static_cast<char>(value >> 8);
  };
  tag(3);
  CHECK(DecodeToAgent(BytesOf(frame)));
  tag(9);
  CHECK(Says(Refusal(DecodeToAgent(BytesOf(frame))), "newer protocol"));
  tag(65535);
  CHECK(Says(Refusal(DecodeToAgent(BytesOf(frame))), "newer protocol"));
}

TEST_CASE("codec: the number of a request from the future can still be read") {
  std::string frame = Encode(0x0102030405060708, SampleRequests()[11]);
  frame[24] = 99;  // word 3: the tag, behind the number
  REQUIRE(Says(Refusal(DecodeClientRequest(BytesOf(frame))), "newer protocol"));
  CHECK(RequestNumberOf(BytesOf(frame)) == 0x0102030405060708);
  CHECK(RequestNumberOf(BytesOf(frame.substr(0, 16))) == 0);
}

TEST_CASE("codec: a message that refers to the same bytes again and again is refused") {
  capnp::MallocMessageBuilder message;
  auto labels = message.initRoot<wire::FromAgent>().initRegister().initOffer().initLabels(1000);
  labels.set(0, std::string(1000, 'x').c_str());
  std::string frame = FrameOf(message);
  // Points every label at the text of the first: pointers are relative, in words, in bits 2 to 31.
  const std::size_t text = frame.find(std::string(1000, 'x'));
  const std::size_t list = text - 1000 * 8;
  for (std::size_t i = 1; i < 1000; ++i) {
    const std::uint64_t pointer = std::uint64_t{(999 - i) << 2 | 1} | std::uint64_t{1001u << 3 | 2} << 32;
    for (int b = 0; b < 8; ++b) frame[list + i * 8 + b] = static_cast<char>(pointer >> 8 * b);
  }
  CHECK(Says(Refusal(DecodeAgentMessage(BytesOf(frame))), "not a well-formed"));
}

TEST_CASE("codec: values out of range are refused and named") {
  Heartbeat heartbeat{SessionId{1}, 1, {{{JobId{1}, Epoch{1}}, static_cast<Phase>(3)}}};
  CHECK(Says(RefusedFromAgent(heartbeat), "phase is 3"));
  CHECK(Says(RefusedFromAgent(With<Finished>([](Finished& f) { f.outcome.kind = static_cast<OutcomeKind>(10); })),
             "outcome is 10"));
  CHECK(Says(RefusedBulk(LogAppend{{}, 0, kMaxChunkBytes + 1, ""}), "raw length is 1048577"));
  CHECK(Says(RefusedBulk(TreePut{{}, kMaxTreeBytes + 1, 0, ""}), "tree is"));
  CHECK(Says(RefusedBulk(TreePut{{}, 10, 8, "abc"}), "beyond the whole"));
  CHECK(Says(RefusedBulk(TreePut{{}, 10, UINT64_MAX, "abc"}), "beyond the whole"));
  CHECK(Says(RefusedRequest(ListRuns{"", 0, {}}), "limit is 0"));
  CHECK(Says(RefusedRequest(ListRuns{"", 1001, {}}), "limit is 1001"));
  CHECK(Says(RefusedRequest(ShowRun{{"a", 0, "", {}}, 0, 10'001}), "limit is 10001"));
  CHECK(Says(RefusedRequest(Why{}), "without a pipeline"));
  Assign beyond = SampleAssign();
  beyond.shard = 8;
  CHECK(Says(RefusedToAgent(beyond), "beyond the job's shards"));
  const BulkReply error = With<BulkError>([](BulkError& e) { e.code = static_cast<Errc>(6); });
  CHECK(Says(Refusal(DecodeBulkReply(BytesOf(Encode(error)))), "error code is 6"));
  const BulkReply missing = ChunksMissing{1, {8192}};
  CHECK(Says(Refusal(DecodeBulkReply(BytesOf(Encode(missing)))), "missing chunk is 8192"));
  const ClientReply uneven = MetricsAnswer{{{"a", "b", {1}, {}}}};
  CHECK(Says(Refusal(DecodeClientReply(BytesOf(Encode(1, uneven)))), "steps than values"));
}

TEST_CASE("codec: counts and sizes above their caps are refused and named") {
  CHECK(Says(RefusedFromAgent(Heartbeat{{}, 0, std::vector<HeldAttempt>(kMaxHeldAttempts + 1)}), "held has 100001"));
  CHECK(Says(RefusedFromAgent(MetricsReport{{}, {}, 0, std::vector<MetricLine>(kMaxMetricLines + 1)}),
             "metrics has 10001"));
  const std::vector<std::pair<std::string, double>> wide(kMaxMetricsPerLine + 1, {"a", 1});
  CHECK(Says(RefusedFromAgent(MetricsReport{{}, {}, 0, {{0, {}, wide}}}), "metrics has 4097"));
  const std::string long_name(kMaxMetricNameBytes + 1, 'n');
  CHECK(Says(RefusedFromAgent(MetricsReport{{}, {}, 0, {{0, {}, {{long_name, 1}}}}}), "at most 256"));
  Finished finished;
  finished.log_length = 4097;
  finished.small_log = std::string(4097, 'x');
  CHECK(Says(RefusedFromAgent(finished), "small log has 4097"));
  finished.small_log = "less";
  CHECK(Says(RefusedFromAgent(finished), "not the whole log"));
  CHECK(Says(RefusedBulk(ChunkQuery{1, std::vector<Hash>(kMaxHashesPerMessage + 1)}), "8193 entries"));
  CHECK(Says(RefusedBulk(ChunkPut{{}, std::string(kMaxChunkBytes + 1, 'x')}), "chunk has 1048577"));
  CHECK(Says(RefusedRequest(With<Submit>([](Submit& s) { s.text.assign(kMaxPipelineBytes + 1, 'x'); })),
             "pipeline file has"));
  CHECK(Says(RefusedRequest(WatchRepository{std::string(4097, 'x')}), "repository has 4097"));
}

TEST_CASE("codec: words for a person are cut by the sender, at a whole character") {
  const AgentMessage finished =
      With<Finished>([](Finished& f) { f.outcome.detail = std::string(4095, 'x') + "ü and more"; });
  const auto message = DecodeAgentMessage(BytesOf(Encode(finished)));
  REQUIRE(message);
  CHECK(std::get<Finished>(*message).outcome.detail == std::string(4095, 'x'));
}

TEST_CASE("codec: words for a person are repaired where they are not UTF-8") {
  const ToAgent kill = Kill{{}, {}, "caf\xe9, \xed\xa0\x80, \xf0\x9f\x8c\xb1 \xc0\xaf", false};
  const auto message = DecodeToAgent(BytesOf(Encode(kill)));
  REQUIRE(message);
  CHECK(std::get<Kill>(*message).reason == "caf\ufffd, \ufffd\ufffd\ufffd, \U0001F331 \ufffd\ufffd");
}

TEST_CASE("codec: names that are not UTF-8 or hold a NUL are refused") {
  CHECK(Says(RefusedFromAgent(With<Register>([](Register& r) { r.host = "caf\xe9"; })), "host is not UTF-8 at byte 3"));
  CHECK(Says(RefusedFromAgent(With<Register>([](Register& r) { r.host = std::string("a\0b", 3); })),
             "host contains a NUL"));
  CHECK(Says(RefusedFromAgent(
                 With<Register>([](Register& r) { r.host = "long enough to be read in eights\xf4\x90\x80\x80"; })),
             "at byte 32"));
}

TEST_CASE("codec: hashes of a wrong length are refused") {
  capnp::MallocMessageBuilder message;
  const std::uint8_t bytes[40] = {};
  message.initRoot<wire::BulkRequest>().initChunkPut().setHash(capnp::Data::Reader(bytes, 31));
  CHECK(Says(Refusal(DecodeBulkRequest(BytesOf(FrameOf(message)))), "chunk has 31 bytes"));
  capnp::MallocMessageBuilder query;
  query.initRoot<wire::BulkRequest>().initChunkQuery().setHashes(capnp::Data::Reader(bytes, 40));
  CHECK(Says(Refusal(DecodeBulkRequest(BytesOf(FrameOf(query)))), "hashes have 32"));
}

TEST_CASE("codec: jobs that could not be run are refused") {
  JobSpec spec = SampleJobSpec();
  spec.steps.clear();
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "without steps"));
  spec = SampleJobSpec();
  spec.steps = {{"x", ExecStep{{""}}}};
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "without a program"));
  spec = SampleJobSpec();
  spec.shards = 0;
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "no shards"));
  spec.shards = kMaxShards + 1;
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "shards is 100001"));
  spec = SampleJobSpec();
  spec.name.clear();
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "without a name"));
  spec = SampleJobSpec();
  spec.env = {{"A=B", "c"}};
  CHECK(Says(RefusedToAgent(AssignOf(spec)), "env has no valid name"));
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::ToAgent>().initAssign();
  CHECK(Says(Refusal(DecodeToAgent(BytesOf(FrameOf(message)))), "without a spec"));
}

TEST_CASE("codec: a reply too large for a frame becomes a Failure that says so") {
  MetricsAnswer answer;
  answer.series.assign(200,
                       MetricSeries{"a", "b", std::vector<std::int64_t>(10'000, 1), std::vector<double>(10'000, 1), 0});
  const auto reply = DecodeClientReply(BytesOf(Encode(9, ClientReply(answer))));
  REQUIRE(reply);
  CHECK(reply->first == 9);
  REQUIRE(std::holds_alternative<Failure>(reply->second));
  CHECK(Says(std::get<Failure>(reply->second).message, "ask for less"));
}

}  // namespace furrow
