#include <doctest/doctest.h>

#include <set>
#include <string>

#include "common/enrol/line.h"
#include "common/enrol/proof.h"
#include "common/wire/protocol_version.h"

namespace furrow {
namespace {

const std::string kController = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
const std::string kAgent = "9876543210abcdefghijklmnopqrstuvwxyzABCD";
const std::string kVerifyKeyOfCounting = "0047855eb46637998f1e82657c9e2f37393d5317b1d3f2b96068dffa0dc775e7";

EnrolLine SampleLine(const std::string& host = "farm.example") {
  EnrolLine line{host, 7073, kController, EnrolmentId{0x1a2b3c4d}, {}};
  for (std::size_t i = 0; i < line.secret.size(); ++i) line.secret[i] = static_cast<std::uint8_t>(17 * i + 3);
  return line;
}

EnrolClaim SampleClaim() {
  EnrolClaim claim{EnrolmentId{0x1a2b3c4d}, kController, kAgent, "gpu-1", {}};
  claim.challenge.bytes.fill(9);
  return claim;
}

bool Agree(ProtocolRange controller, ProtocolRange agent, std::uint16_t version) {
  const auto agreed = NegotiateProtocol(controller, "c", agent, "a");
  return agreed && *agreed == version;
}
std::string Disagree(ProtocolRange controller, ProtocolRange agent) {
  const auto agreed = NegotiateProtocol(controller, "furrow-controller 9", agent, "furrow-agent 8");
  return agreed ? "" : agreed.error().message;
}
bool Says(const std::string& words, const char* part) {
  INFO(words);
  return words.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("enrol_line: comes back whole, and no shell touches it") {
  for (const std::string host : {"farm.example", "10.0.0.1", "fd00::1", "h"}) {
    CAPTURE(host);
    const EnrolLine line = SampleLine(host);
    const std::string text = FormatEnrolLine(line);
    CHECK(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == text.npos);
    CHECK(ParseEnrolLine(text).value() == line);
    CHECK(ParseEnrolLine("  " + text + "\r\n").value() == line);
  }
  CHECK(FormatEnrolLine(SampleLine()).starts_with("furrow1."));
}

TEST_CASE("enrol_line: cut, changed or foreign, it is refused, with the reason and without repeating it") {
  const std::string text = FormatEnrolLine(SampleLine());
  for (std::size_t size = 0; size < text.size(); ++size) CHECK_FALSE(ParseEnrolLine(text.substr(0, size)));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    const auto line = ParseEnrolLine(changed);
    CHECK_FALSE(line);
    if (!line) CHECK(line.error().message.find(changed) == std::string::npos);
  }
  CHECK(Says(ParseEnrolLine("").error().message, "no enrolment line"));
  CHECK(Says(ParseEnrolLine("furrow2.AAAA").error().message, "newer Furrow"));
  CHECK(Says(ParseEnrolLine(text.substr(0, text.size() - 5)).error().message, "not whole"));
}

TEST_CASE("enrol_line: addresses with and without port") {
  const auto parsed = [](const std::string& text) {
    const auto place = ParseHostPort(text);
    return place ? FormatHostPort(place->host, place->port) : "wrong";
  };
  CHECK(parsed("farm.example:7073") == "farm.example:7073");
  CHECK(parsed("farm.example") == "farm.example:0");
  CHECK(parsed("[fd00::1]:7073") == "[fd00::1]:7073");
  CHECK(parsed("[fd00::1]") == "[fd00::1]:0");
  for (const std::string wrong :
       {"", ":7073", "a b", "h:0", "h:99999", "h:7073x", "[fd00::1", "[zz]:1", "fd00::1", "h/x"})
    CHECK_MESSAGE(parsed(wrong) == "wrong", wrong);
}

TEST_CASE("enrol_proof: proves the secret for one claim and no other") {
  const EnrolSecret secret = MakeEnrolSecret();
  const Hash verify_key = VerifyKeyOf(secret);
  const EnrolSignature proof = ProveEnrolment(secret, SampleClaim());
  CHECK(CheckEnrolment(verify_key, SampleClaim(), proof));

  CHECK_FALSE(CheckEnrolment(VerifyKeyOf(MakeEnrolSecret()), SampleClaim(), proof));
  EnrolClaim other = SampleClaim();
  other.name = "gpu-2";
  CHECK_FALSE(CheckEnrolment(verify_key, other, proof));
  other = SampleClaim();
  other.agent_key = kController;
  CHECK_FALSE(CheckEnrolment(verify_key, other, proof));
  other = SampleClaim();
  other.controller_key = kAgent;
  CHECK_FALSE(CheckEnrolment(verify_key, other, proof));
  other = SampleClaim();
  other.challenge.bytes[5] ^= 1;
  CHECK_FALSE(CheckEnrolment(verify_key, other, proof));
  other = SampleClaim();
  other.enrolment = EnrolmentId{5};
  CHECK_FALSE(CheckEnrolment(verify_key, other, proof));
  EnrolSignature damaged = proof;
  damaged[40] ^= 1;
  CHECK_FALSE(CheckEnrolment(verify_key, SampleClaim(), damaged));
}

TEST_CASE("enrol_proof: what the controller keeps is not the secret, and is the same every time") {
  EnrolSecret secret{};
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i);
  CHECK(VerifyKeyOf(secret) == VerifyKeyOf(secret));
  CHECK(VerifyKeyOf(secret).ToHex() == kVerifyKeyOfCounting);  // lines outlive this build
  CHECK(MakeEnrolSecret() != MakeEnrolSecret());
  CHECK(MakeEnrolChallenge() != MakeEnrolChallenge());
}

TEST_CASE("enrol_proof: numbers and fingerprints as people read them") {
  CHECK(FormatEnrolmentId(EnrolmentId{0x1a2b3c4d}) == "1a2b3c4d");
  CHECK(FormatEnrolmentId(EnrolmentId{7}) == "00000007");
  CHECK(ParseEnrolmentId("1a2b3c4d") == EnrolmentId{0x1a2b3c4d});
  for (const char* wrong : {"", "1a2b3c4", "1a2b3c4d5", "1a2b3c4g", " 1a2b3c4"})
    CHECK(ParseEnrolmentId(wrong) == EnrolmentId{});
  std::set<EnrolmentId> made;
  for (int i = 0; i < 100; ++i) made.insert(MakeEnrolmentId());
  CHECK(made.size() == 100);
  CHECK(FingerprintOf(kAgent).size() == 14);
  CHECK(FingerprintOf(kAgent) != FingerprintOf(kController));
}

TEST_CASE("protocol: one released version apart works both ways, and two do not") {
  CHECK(Agree({1, 1}, {1, 1}, 1));
  CHECK(Agree({1, 2}, {1, 1}, 1));  // a new controller, an old agent
  CHECK(Agree({1, 1}, {1, 2}, 1));  // and the reverse
  CHECK(Agree({4, 5}, {5, 6}, 5));
  CHECK(Says(Disagree({3, 4}, {1, 2}), "upgrade the agent"));
  CHECK(Says(Disagree({1, 2}, {3, 4}), "upgrade the controller"));
  CHECK(Says(Disagree({3, 4}, {1, 2}), "furrow-agent 8"));
  CHECK_FALSE(Agree({1, 2}, {2, 1}, 2));  // a range the wrong way round
  // What this build speaks: its own version and the one before.
  CHECK((kOldestProtocol == kNewestProtocol - 1 || (kOldestProtocol == 1 && kNewestProtocol == 1)));
}

}  // namespace furrow
