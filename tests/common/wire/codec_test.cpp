#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/wire/metrics.h"
#include "schemas/agent_arbitrary.h"
#include "schemas/bulk_arbitrary.h"
#include "schemas/client_arbitrary.h"
#include "schemas/enrol_arbitrary.h"
#include "schemas/record_arbitrary.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

constexpr std::uint64_t kNumber = 0x1122334455667788;

// The root's pointer and the table of segments.
constexpr std::size_t kFrameBytes = 256;

// Arbitrary values of one root: what is written is read as what it was, and written again as the same bytes; it is as
// large as WireBytes says, or somewhat smaller.
template <class T, class Encode, class Decode>
void CheckRoundTrips(Encode encode, Decode decode) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Arbitrary any(seed);
    T value;
    Fill(any, value);
    const Result<std::string> frame = encode(value);
    const std::size_t bound = WireBytes(value) + kFrameBytes;
    if (frame) CHECK(frame->size() <= bound);
    if (frame) CHECK(frame->size() * 2 + 4096 >= bound);
    if (!frame) {
      // All caps are kept but the frame's own, which the fields of one message may break together.
      CHECK(frame.error().message.find("a frame of") != std::string::npos);
      continue;
    }
    const Result<T> read = decode(*frame);
    if (!read) FAIL_CHECK(read.error().message);
    if (!read) continue;
    CHECK(*read == value);
    CHECK(encode(*read).value() == *frame);
  }
}

template <class T>
Result<T> Unnumbered(Result<std::pair<std::uint64_t, T>> numbered) {
  if (!numbered) return tl::unexpected<Error>(numbered.error());
  CHECK(numbered->first == kNumber);
  return std::move(numbered->second);
}

template <class T>
Result<std::string> EncodePlain(const T& message) {
  return Encode(message);
}

}  // namespace

TEST_CASE("codec: every message and record comes back with all its fields, whatever they are") {
  CheckRoundTrips<AgentMessage>(EncodePlain<AgentMessage>, DecodeAgentMessage);
  CheckRoundTrips<ToAgent>(EncodePlain<ToAgent>, DecodeToAgent);
  CheckRoundTrips<ClientRequest>([](const ClientRequest& m) { return Encode(kNumber, m); },
                                 [](std::string_view f) { return Unnumbered(DecodeClientRequest(f)); });
  CheckRoundTrips<ClientReply>([](const ClientReply& m) { return Encode(kNumber, m); },
                               [](std::string_view f) { return Unnumbered(DecodeClientReply(f)); });
  CheckRoundTrips<BulkRequest>(EncodePlain<BulkRequest>, DecodeBulkRequest);
  CheckRoundTrips<BulkReply>(EncodePlain<BulkReply>, DecodeBulkReply);
  CheckRoundTrips<EnrolRequest>(EncodePlain<EnrolRequest>, DecodeEnrolRequest);
  CheckRoundTrips<EnrolReply>(EncodePlain<EnrolReply>, DecodeEnrolReply);
  CheckRoundTrips<Record>(EncodePlain<Record>, DecodeRecord);
}

TEST_CASE("codec: messages at their defaults come back, too") {
  const std::vector<AgentMessage> messages{Register{}, Heartbeat{}, Started{}, MetricsReport{}, Finished{}};
  for (const AgentMessage& message : messages) CHECK(DecodeAgentMessage(Encode(message).value()).value() == message);
  const BulkReply reply = BulkError{};
  CHECK(DecodeBulkReply(Encode(reply).value()).value() == reply);
  Assign assign;
  JobSpec spec;
  spec.name = "a";
  spec.steps = {{"", ExecStep{{"true"}}}};
  assign.spec = std::make_shared<const JobSpec>(spec);
  CHECK(DecodeToAgent(Encode(ToAgent(assign)).value()).value() == ToAgent(assign));
}

TEST_CASE("codec: an empty log in Finished is not an absent one") {
  Finished finished;
  finished.small_log = "";
  const auto message = DecodeAgentMessage(Encode(AgentMessage(finished)).value());
  REQUIRE(message);
  CHECK(std::get<Finished>(*message).small_log == "");
}

TEST_CASE("codec: a megabyte travels whole, whatever its size and its bytes") {
  for (const std::size_t size :
       {std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, kMaxPartBytes - 1, kMaxPartBytes}) {
    CAPTURE(size);
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 131 >> 3);
    const std::vector<BulkRequest> requests{ChunkPut{SampleHash(1), bytes},
                                            TreePut{SampleHash(2), kMaxTreeBytes, kMaxTreeBytes - size, bytes},
                                            LogAppend{{JobId{1}, Epoch{1}}, 5, kMaxPartBytes, bytes}};
    for (const BulkRequest& request : requests) {
      const std::string frame = Encode(request).value();
      CHECK(frame.size() < size + 256);
      CHECK(frame.size() <= kMaxBulkRequestFrame);
      CHECK(DecodeBulkRequest(frame).value() == request);
    }
    const std::vector<BulkReply> replies{ChunkData{SampleHash(3), kMaxTreeBytes, 0, bytes}, LogData{1, 2, bytes, true}};
    for (const BulkReply& reply : replies) CHECK(DecodeBulkReply(Encode(reply).value()).value() == reply);
  }
}

TEST_CASE("codec: a message larger than the reused memory comes back") {
  Heartbeat heartbeat;
  for (std::uint64_t i = 0; i < kMaxHeldAttempts; ++i)
    heartbeat.held.push_back({{JobId{i + 1}, Epoch{1}}, Phase::kRunning});
  const AgentMessage message = heartbeat;
  const std::string frame = Encode(message).value();
  CHECK(frame.size() < kMaxAgentMessageFrame);
  CHECK(DecodeAgentMessage(frame).value() == message);
  const AgentMessage small = Heartbeat{};  // the memory is clean again
  CHECK(DecodeAgentMessage(Encode(small).value()).value() == small);
}

TEST_CASE("codec: metrics that keep to their bytes fit a frame, whatever their shape") {
  for (const std::size_t name_bytes : {std::size_t{1}, std::size_t{7}, std::size_t{8}, kMaxMetricNameBytes}) {
    for (const std::size_t values : {std::size_t{0}, std::size_t{1}, std::size_t{4000}}) {
      CAPTURE(name_bytes);
      CAPTURE(values);
      MetricLine line;
      line.values.assign(values, Metric{std::string(name_bytes, 'n'), 0.5});
      const std::size_t lines = std::min(kMaxMetricsBytes / WireBytes(line), kMaxMetricLines);
      Finished finished = std::get<Finished>(SampleAgentMessages()[4]);
      finished.metrics.assign(lines, line);
      finished.outcome.detail.assign(4096, 'd');
      const AgentMessage message = finished;
      const std::string frame = Encode(message).value();
      CHECK(frame.size() <= kMaxAgentMessageFrame);
      CHECK(frame.size() <= WireBytes(message) + kFrameBytes);
      CHECK(DecodeAgentMessage(frame).value() == message);
    }
  }
}

}  // namespace furrow
