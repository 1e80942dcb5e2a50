// What the decoders make of frames that no codec of ours has written.
#include <capnp/message.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/wire/unreadable.h"
#include "schemas/agent.capnp.h"
#include "schemas/agent.h"
#include "schemas/bulk.capnp.h"
#include "schemas/bulk.h"
#include "schemas/client.capnp.h"
#include "schemas/client.h"
#include "schemas/enrol.h"
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

}  // namespace

TEST_CASE("codec: damaged frames are refused or understood, never fatal") {
  std::mt19937_64 random(20240229);
  constexpr int kFlips = 1000;
  for (const auto& sample : SampleEnrolRequests())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeEnrolRequest(f); },
        [](const EnrolRequest& m) { return Encode(m); });
  for (const auto& sample : SampleEnrolReplies())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeEnrolReply(f); },
        [](const EnrolReply& m) { return Encode(m); });
  for (const auto& sample : SampleAgentMessages())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeAgentMessage(f); },
        [](const AgentMessage& m) { return Encode(m); });
  for (const auto& sample : SampleToAgent())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeToAgent(f); },
        [](const ToAgent& m) { return Encode(m); });
  for (const auto& sample : SampleRequests())
    CheckHostile(
        Encode(7, sample).value(), kFlips, random, [](std::string_view f) { return DecodeClientRequest(f); },
        [](const auto& m) { return Encode(m.first, m.second); });
  for (const auto& sample : SampleReplies())
    CheckHostile(
        Encode(7, sample).value(), kFlips, random, [](std::string_view f) { return DecodeClientReply(f); },
        [](const auto& m) { return Encode(m.first, m.second); });
  for (const auto& sample : SampleBulkRequests())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeBulkRequest(f); },
        [](const BulkRequest& m) { return Encode(m); });
  for (const auto& sample : SampleBulkReplies())
    CheckHostile(
        Encode(sample).value(), kFlips, random, [](std::string_view f) { return DecodeBulkReply(f); },
        [](const BulkReply& m) { return Encode(m); });
}

TEST_CASE("codec: a frame may lie at any address") {
  const AgentMessage message = SampleAgentMessages()[4];
  const std::string frame = Encode(message).value();
  for (std::size_t shift = 0; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + frame;
    CHECK(DecodeAgentMessage(std::string_view(shifted).substr(shift)).value() == message);
  }
}

TEST_CASE("codec: a frame above its cap is refused unread") {
  CHECK(Says(Refusal(DecodeAgentMessage(std::string(kMaxAgentMessageFrame + 8, '\0'))), "4194312 bytes"));
  CHECK(Says(Refusal(DecodeToAgent(std::string(kMaxToAgentFrame + 8, '\0'))), "at most 4194304"));
  CHECK(Says(Refusal(DecodeBulkRequest(std::string(kMaxBulkRequestFrame + 8, '\0'))), "at most"));
  CHECK(Says(Refusal(DecodeBulkReply(std::string(kMaxBulkRequestFrame + 8, '\0'))), "at most"));
  CHECK(Says(Refusal(DecodeClientRequest(std::string(kMaxClientReplyFrame + 8, '\0'))), "at most"));
  CHECK(Says(Refusal(DecodeClientReply(std::string(kMaxClientReplyFrame + 8, '\0'))), "at most"));
}

TEST_CASE("codec: bytes behind a message are refused") {
  CHECK(Says(Refusal(DecodeToAgent(Encode(SampleToAgent()[0]).value() + std::string(8, '\0'))), "bytes follow"));
}

TEST_CASE("codec: an empty message is no message") {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::FromAgent>();
  CHECK(Says(Refusal(DecodeAgentMessage(FrameOf(message))), "empty"));
  CHECK(Says(Refusal(DecodeBulkReply(FrameOf(message))), "empty"));
}

TEST_CASE("codec: a kind from the future is refused and says what to do") {
  std::string frame = Encode(SampleToAgent()[2]).value();
  const auto tag = [&frame](std::uint16_t value) {  // word 2 of the frame is the root's data; its tag comes first
    frame[16] = static_cast<char>(value & 0xff);
    frame[17] = static_cast<char>(value >> 8);
  };
  tag(3);
  CHECK(DecodeToAgent(frame));
  tag(9);
  CHECK(Says(Refusal(DecodeToAgent(frame)), "newer protocol"));
  tag(65535);
  CHECK(Says(Refusal(DecodeToAgent(frame)), "newer protocol"));
}

TEST_CASE("codec: the number of a request from the future can still be read") {
  std::string frame = Encode(0x0102030405060708, SampleRequests()[11]).value();
  frame[24] = 99;  // word 3: the tag, behind the number
  REQUIRE(Says(Refusal(DecodeClientRequest(frame)), "newer protocol"));
  CHECK(RequestNumberOf(frame) == 0x0102030405060708);
  CHECK(RequestNumberOf(frame.substr(0, 16)) == 0);
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
  CHECK(Says(Refusal(DecodeAgentMessage(frame)), "not a well-formed"));
}

TEST_CASE("codec: words for a person are cut by the sender, at a whole character") {
  const AgentMessage finished =
      With<Finished>([](Finished& f) { f.outcome.detail = std::string(4095, 'x') + "ü and more"; });
  const auto message = DecodeAgentMessage(Encode(finished).value());
  REQUIRE(message);
  CHECK(std::get<Finished>(*message).outcome.detail == std::string(4095, 'x'));
}

TEST_CASE("codec: words for a person are repaired where they are not UTF-8") {
  const ToAgent kill = Kill{{}, {}, "caf\xe9, \xed\xa0\x80, \xf0\x9f\x8c\xb1 \xc0\xaf", false};
  const auto message = DecodeToAgent(Encode(kill).value());
  REQUIRE(message);
  CHECK(std::get<Kill>(*message).reason == "caf\ufffd, \ufffd\ufffd\ufffd, \U0001F331 \ufffd\ufffd");
}

TEST_CASE("codec: a job that has no spec is refused") {
  capnp::MallocMessageBuilder message;
  message.initRoot<wire::ToAgent>().initAssign();
  CHECK(Says(Refusal(DecodeToAgent(FrameOf(message))), "Assign.spec is missing"));
}

}  // namespace furrow
