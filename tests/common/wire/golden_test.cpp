// Bytes on the wire and on disk outlive this build: what cannot read them breaks running farms.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/support/codec_probe.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;

constexpr std::uint64_t kNumber = 0x1122334455667788;  // of the requests and replies there

// "AgentMessage 4" → its bytes.
std::map<std::string, std::string> ReadGolden() {
  std::ifstream file(GOLDEN_FILE);
  REQUIRE(file);
  std::map<std::string, std::string> golden;
  std::string name;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') {
      name.clear();
    } else if (name.empty()) {
      name = line;
    } else {
      golden[name] += BytesOfHex(line);
    }
  }
  return golden;
}

// What was decoded, without the number of a request.
template <class T>
const T& Unnumbered(const T& message) {
  return message;
}
template <class T>
const T& Unnumbered(const std::pair<std::uint64_t, T>& message) {
  CHECK(message.first == kNumber);
  return message.second;
}

template <class T, class Decode>
void CheckKind(const std::map<std::string, std::string>& golden, const std::string& kind, const std::vector<T>& samples,
               Decode decode) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::string name = kind + " " + std::to_string(i);
    CAPTURE(name);
    REQUIRE(golden.contains(name));
    const auto message = decode(golden.at(name));
    if (!message) FAIL_CHECK(message.error().message);
    if (message) CHECK(Unnumbered(*message) == samples[i]);
  }
}

}  // namespace

TEST_CASE("golden: what 0.1.0 wrote is read as what it meant") {
  const auto golden = ReadGolden();
  CHECK(golden.size() == 77);
  CheckKind(golden, "AgentMessage", SampleAgentMessages(), DecodeAgentMessage);
  CheckKind(golden, "ToAgent", SampleToAgent(), DecodeToAgent);
  CheckKind(golden, "ClientRequest", SampleRequests(), DecodeClientRequest);
  CheckKind(golden, "ClientReply", SampleReplies(), DecodeClientReply);
  CheckKind(golden, "BulkRequest", SampleBulkRequests(), DecodeBulkRequest);
  CheckKind(golden, "BulkReply", SampleBulkReplies(), DecodeBulkReply);
  CheckKind(golden, "EnrolRequest", SampleEnrolRequests(), DecodeEnrolRequest);
  CheckKind(golden, "EnrolReply", SampleEnrolReplies(), DecodeEnrolReply);
  CheckKind(golden, "Record", SampleRecords(), DecodeRecord);
}

}  // namespace furrow
