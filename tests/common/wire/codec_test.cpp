#include "common/wire/codec.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "schemas/agent.capnp.h"
#include "schemas/bulk.capnp.h"
#include "schemas/client.capnp.h"
#include "schemas/enrol.capnp.h"
#include "tests/common/wire/codec_golden.h"
#include "tests/support/codec_probe.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

// Every sample of one direction: encoded, decoded, compared; every field of the schema in use.
template <class Message, class Encode, class Decode>
void CheckRoundTrips(const std::vector<Message>& samples, capnp::StructSchema root, Encode encode, Decode decode) {
  REQUIRE(samples.size() == std::variant_size_v<Message>);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    REQUIRE(samples[i].index() == i);
    const std::string frame = encode(samples[i]);
    const auto message = decode(BytesOf(frame));
    if (!message) FAIL(message.error().message);
    CHECK(*message == samples[i]);
    CHECK(encode(*message) == frame);
    for (const std::string& field : UnsetFields(frame, root)) FAIL_CHECK("a sample leaves at its default: " << field);
  }
}

// Every sample's bytes by their fingerprint.
template <class Message, class Encode>
void CheckFingerprints(const std::string& union_name, const std::vector<std::uint64_t>& known,
                       const std::vector<Message>& samples, Encode encode) {
  CAPTURE(union_name);
  REQUIRE(known.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CAPTURE(i);
    CHECK(known[i] == Fingerprint(encode(samples[i])));
  }
}

std::string EncodeRequest(const ClientRequest& message) {
  return Encode(0x1122334455667788, message);
}
std::string EncodeReply(const ClientReply& message) {
  return Encode(0x1122334455667788, message);
}
template <class Message>
std::string EncodePlain(const Message& message) {
  return Encode(message);
}

// The message behind a request number, which must be the one that was encoded.
template <class Message>
Result<Message> Unnumbered(Result<std::pair<std::uint64_t, Message>> numbered) {
  if (!numbered) return tl::unexpected<Error>(numbered.error());
  CHECK(numbered->first == 0x1122334455667788);
  return numbered->second;
}

}  // namespace

TEST_CASE("codec: every message of an agent comes back with all its fields") {
  CheckRoundTrips(SampleAgentMessages(), capnp::Schema::from<wire::FromAgent>(), EncodePlain<AgentMessage>,
                  DecodeAgentMessage);
}

TEST_CASE("codec: every message to an agent comes back with all its fields") {
  CheckRoundTrips(SampleToAgent(), capnp::Schema::from<wire::ToAgent>(), EncodePlain<ToAgent>, DecodeToAgent);
}

TEST_CASE("codec: every request comes back with its number and all its fields") {
  CheckRoundTrips(SampleRequests(), capnp::Schema::from<wire::Request>(), EncodeRequest,
                  [](Bytes frame) { return Unnumbered(DecodeClientRequest(frame)); });
}

TEST_CASE("codec: every reply comes back with its number and all its fields") {
  CheckRoundTrips(SampleReplies(), capnp::Schema::from<wire::Reply>(), EncodeReply,
                  [](Bytes frame) { return Unnumbered(DecodeClientReply(frame)); });
}

TEST_CASE("codec: every bulk request comes back with all its fields") {
  CheckRoundTrips(SampleBulkRequests(), capnp::Schema::from<wire::BulkRequest>(), EncodePlain<BulkRequest>,
                  DecodeBulkRequest);
}

TEST_CASE("codec: every bulk reply comes back with all its fields") {
  CheckRoundTrips(SampleBulkReplies(), capnp::Schema::from<wire::BulkReply>(), EncodePlain<BulkReply>, DecodeBulkReply);
}

TEST_CASE("codec: every message of the enrol endpoint comes back with all its fields") {
  CheckRoundTrips(SampleEnrolRequests(), capnp::Schema::from<wire::EnrolRequest>(), EncodePlain<EnrolRequest>,
                  DecodeEnrolRequest);
  CheckRoundTrips(SampleEnrolReplies(), capnp::Schema::from<wire::EnrolReply>(), EncodePlain<EnrolReply>,
                  DecodeEnrolReply);
}

TEST_CASE("codec: messages at their defaults come back, too") {
  const std::vector<AgentMessage> messages{Register{}, Heartbeat{}, Started{}, MetricsReport{}, Finished{}};
  for (const AgentMessage& message : messages) CHECK(DecodeAgentMessage(BytesOf(Encode(message))).value() == message);
  const BulkReply reply = BulkError{};
  CHECK(DecodeBulkReply(BytesOf(Encode(reply))).value() == reply);
  Assign assign;
  JobSpec spec;
  spec.name = "a";
  spec.steps = {{"", ExecStep{{"true"}}}};
  assign.spec = std::make_shared<const JobSpec>(spec);
  CHECK(DecodeToAgent(BytesOf(Encode(ToAgent(assign)))).value() == ToAgent(assign));
}

TEST_CASE("codec: an empty log in Finished is not an absent one") {
  Finished finished;
  finished.small_log = "";
  const auto message = DecodeAgentMessage(BytesOf(Encode(AgentMessage(finished))));
  REQUIRE(message);
  CHECK(std::get<Finished>(*message).small_log == "");
}

TEST_CASE("codec: a megabyte travels whole, whatever its size and its bytes") {
  for (const std::size_t size :
       {std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, kMaxChunkBytes - 1, kMaxChunkBytes}) {
    CAPTURE(size);
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 131 >> 3);
    const std::vector<BulkRequest> requests{ChunkPut{SampleHash(1), bytes},
                                            TreePut{SampleHash(2), kMaxTreeBytes, kMaxTreeBytes - size, bytes},
                                            LogAppend{{JobId{1}, Epoch{1}}, 5, kMaxChunkBytes, bytes}};
    for (const BulkRequest& request : requests) {
      const std::string frame = Encode(request);
      CHECK(frame.size() < size + 256);
      CHECK(frame.size() <= kMaxBulkFrame);
      CHECK(DecodeBulkRequest(BytesOf(frame)).value() == request);
    }
    const std::vector<BulkReply> replies{ChunkData{SampleHash(3), kMaxTreeBytes, 0, bytes}, LogData{1, 2, bytes, true}};
    for (const BulkReply& reply : replies) CHECK(DecodeBulkReply(BytesOf(Encode(reply))).value() == reply);
  }
}

TEST_CASE("codec: a message larger than the reused memory comes back") {
  Heartbeat heartbeat;
  for (std::uint64_t i = 0; i < kMaxHeldAttempts; ++i)
    heartbeat.held.push_back({{JobId{i + 1}, Epoch{1}}, Phase::kRunning});
  const AgentMessage message = heartbeat;
  const std::string frame = Encode(message);
  CHECK(frame.size() < kMaxAgentFrame);
  CHECK(DecodeAgentMessage(BytesOf(frame)).value() == message);
  const AgentMessage small = Heartbeat{};  // the memory is clean again
  CHECK(DecodeAgentMessage(BytesOf(Encode(small))).value() == small);
}

TEST_CASE("codec: metrics that keep to their bytes fit a frame, whatever their shape") {
  for (const std::size_t name_bytes : {std::size_t{1}, std::size_t{7}, std::size_t{8}, kMaxMetricNameBytes}) {
    for (const std::size_t values : {std::size_t{0}, std::size_t{1}, std::size_t{4000}}) {
      CAPTURE(name_bytes);
      CAPTURE(values);
      MetricLine line;
      line.values.assign(values, {std::string(name_bytes, 'n'), 0.5});
      const std::size_t lines = std::min(kMaxMetricsBytes / WireBytes(line), kMaxMetricLines);
      Finished finished = std::get<Finished>(SampleAgentMessages()[4]);
      finished.metrics.assign(lines, line);
      finished.outcome.detail.assign(4096, 'd');
      const AgentMessage message = finished;
      const std::string frame = Encode(message);
      CHECK(frame.size() <= kMaxAgentFrame);
      CHECK(frame.size() >= lines * WireBytes(line));
      CHECK(DecodeAgentMessage(BytesOf(frame)).value() == message);
    }
  }
}

// Bytes on the wire and on disk outlive this build: what changes them breaks running farms.
TEST_CASE("codec: encoded messages have the bytes that they always had") {
  CHECK(HexOf(Encode(SampleAgentMessages()[4])) == golden::kFinished);
  CHECK(HexOf(Encode(SampleToAgent()[4])) == golden::kAssign);
  CHECK(HexOf(EncodeRequest(SampleRequests()[0])) == golden::kSubmit);
  CHECK(HexOf(EncodeReply(SampleReplies()[4])) == golden::kRunDetail);
  CHECK(HexOf(Encode(SampleBulkRequests()[7])) == golden::kLogRead);
  CHECK(HexOf(Encode(SampleBulkReplies()[7])) == golden::kBulkError);
  CHECK(HexOf(Encode(SampleEnrolRequests()[2])) == golden::kEnrolProve);

  CheckFingerprints("AgentMessages", golden::kAgentMessages, SampleAgentMessages(), EncodePlain<AgentMessage>);
  CheckFingerprints("ToAgent", golden::kToAgent, SampleToAgent(), EncodePlain<ToAgent>);
  CheckFingerprints("Requests", golden::kRequests, SampleRequests(), EncodeRequest);
  CheckFingerprints("Replies", golden::kReplies, SampleReplies(), EncodeReply);
  CheckFingerprints("BulkRequests", golden::kBulkRequests, SampleBulkRequests(), EncodePlain<BulkRequest>);
  CheckFingerprints("EnrolRequests", golden::kEnrolRequests, SampleEnrolRequests(), EncodePlain<EnrolRequest>);
  CheckFingerprints("EnrolReplies", golden::kEnrolReplies, SampleEnrolReplies(), EncodePlain<EnrolReply>);
  CheckFingerprints("BulkReplies", golden::kBulkReplies, SampleBulkReplies(), EncodePlain<BulkReply>);
}

}  // namespace furrow
