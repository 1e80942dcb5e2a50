// Every cap of every field, on both ways. The reader's side is found in the schemas themselves: each field of each
// sample message is given, in turn, what its annotations forbid.
#include <capnp/dynamic.h>
#include <capnp/schema.h>
#include <capnp/serialize.h>
#include <doctest/doctest.h>

#include <cctype>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "common/wire/codec.h"
#include "schemas/agent.capnp.h"
#include "schemas/bulk.capnp.h"
#include "schemas/client.capnp.h"
#include "schemas/enrol.capnp.h"
#include "schemas/record.capnp.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

using namespace testing;
using capnp::schema::Type;

// Of schemas/annotations.capnp.
constexpr std::uint64_t kMax = 0xe8d1b3f6a2c49571, kMin = 0x9b6c0f4d83e1a725, kEach = 0xd4f7a5096b28c13e,
                        kMessage = 0xa17f62c8054ed39b, kHash = 0xe3158ad90f7b64c2, kHashes = 0x9f71d4c806eb5a23,
                        kExactly = 0xd05c9e6ba4f81732;

std::optional<std::uint64_t> NoteOf(capnp::StructSchema::Field field, std::uint64_t annotation) {
  for (const auto note : field.getProto().getAnnotations())
    if (note.getId() == annotation) return note.getValue().isUint64() ? note.getValue().getUint64() : 0;
  return std::nullopt;
}

std::string Snake(const std::string& camel) {
  std::string snake;
  for (const char c : camel) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) snake += '_';
    snake += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return snake.ends_with("_ms") ? snake.substr(0, snake.size() - 3) : snake;
}

using Change = std::function<void(capnp::DynamicStruct::Builder)>;
struct Breach {
  std::string field;  // as an error names it, ".trees"
  std::string what;
  std::vector<capnp::StructSchema::Field> path;  // to the struct that holds it; of a list the first entry
  Change change;
};

// Everything that may not be done to one field of a struct.
void AddBreaches(capnp::StructSchema::Field field, const std::vector<capnp::StructSchema::Field>& path,
                 std::vector<Breach>& breaches) {
  const std::string name = "." + Snake(field.getProto().getName().cStr());
  const auto add = [&](const std::string& what, const Change& change) {
    breaches.push_back({name, what, path, change});
  };
  const auto text = [&](const std::string& what, const std::string& value) {
    add(what, [field, value](capnp::DynamicStruct::Builder to) {
      to.set(field, capnp::DynamicValue::Reader(capnp::Text::Reader(value.c_str(), value.size())));
    });
  };
  const auto data = [&](const std::string& what, std::size_t size) {
    add(what, [field, size](capnp::DynamicStruct::Builder to) { to.init(field, static_cast<unsigned>(size)); });
  };
  const auto max = NoteOf(field, kMax), min = NoteOf(field, kMin);
  const bool message = NoteOf(field, kMessage).has_value();
  const auto type = field.getType();
  switch (type.which()) {
    case Type::TEXT:
      text("too long", std::string(max.value_or(message ? 4096 : 1024) + 1, 'x'));
      if (!message) text("not UTF-8", "a\xff");
      if (!message) text("with NUL", std::string("a\0b", 3));
      if (min) text("too short", std::string(*min - 1, 'x'));
      break;
    case Type::DATA:
      if (NoteOf(field, kHash)) data("a short hash", 31);
      if (NoteOf(field, kHashes)) data("a short hash", 33);
      if (NoteOf(field, kExactly)) data("a byte more", *NoteOf(field, kExactly) + 1);
      if (max) data("too long", (NoteOf(field, kHashes) ? 32 : 1) * (*max + 1));
      break;
    case Type::LIST:
      data("too many", max.value() + 1);
      if (min) data("too few", *min - 1);
      if (type.asList().whichElementType() == Type::TEXT)
        add("a long entry", [field, each = NoteOf(field, kEach).value_or(1024)](capnp::DynamicStruct::Builder to) {
          const std::string entry(each + 1, 'x');
          to.init(field, 1).as<capnp::DynamicList>().set(0, capnp::Text::Reader(entry.c_str(), entry.size()));
        });
      break;
    case Type::ENUM:
      add("a value from the future", [field, type](capnp::DynamicStruct::Builder to) {
        const auto schema = type.asEnum();
        to.set(field, capnp::DynamicEnum(schema, static_cast<std::uint16_t>(schema.getEnumerants().size())));
      });
      break;
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::INT64:
      if (max) add("too great", [field, max](capnp::DynamicStruct::Builder to) { to.set(field, *max + 1); });
      if (min) add("too small", [field, min](capnp::DynamicStruct::Builder to) { to.set(field, *min - 1); });
      break;
    default: break;
  }
}

// Walks what is set in a message; of a list its first entry.
void Walk(capnp::DynamicStruct::Reader reader, const std::vector<capnp::StructSchema::Field>& path,
          std::vector<Breach>& breaches) {
  const auto active = reader.which();
  for (const auto field : reader.getSchema().getFields()) {
    if (field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT) {
      KJ_IF_MAYBE (member, active) {
        if (*member != field) continue;
      }
    }
    AddBreaches(field, path, breaches);
    auto below = path;
    below.push_back(field);
    if (field.getType().isStruct() && (field.getProto().isGroup() || reader.has(field)))
      Walk(reader.get(field).as<capnp::DynamicStruct>(), below, breaches);
    if (field.getType().isList() && field.getType().asList().whichElementType() == Type::STRUCT && reader.has(field)) {
      const auto list = reader.get(field).as<capnp::DynamicList>();
      if (list.size() > 0) Walk(list[0].as<capnp::DynamicStruct>(), below, breaches);
    }
  }
}

capnp::DynamicStruct::Builder Find(capnp::DynamicStruct::Builder at,
                                   const std::vector<capnp::StructSchema::Field>& path) {
  for (const auto field : path) {
    auto value = at.get(field);
    at = field.getType().isList() ? value.as<capnp::DynamicList>()[0].as<capnp::DynamicStruct>()
                                  : value.as<capnp::DynamicStruct>();
  }
  return at;
}

// Returns how many breaches there were.
template <class Decode>
int CheckReader(const std::string& frame, capnp::StructSchema root, Decode decode) {
  std::vector<std::uint64_t> words(frame.size() / sizeof(capnp::word));
  std::memcpy(words.data(), frame.data(), frame.size());
  capnp::FlatArrayMessageReader reader({reinterpret_cast<const capnp::word*>(words.data()), words.size()});
  const auto sample = reader.getRoot<capnp::DynamicStruct>(root);
  std::vector<Breach> breaches;
  Walk(sample, {}, breaches);
  for (const Breach& breach : breaches) {
    CAPTURE(breach.field);
    CAPTURE(breach.what);
    capnp::MallocMessageBuilder message;
    message.setRoot(sample);
    breach.change(Find(message.getRoot<capnp::DynamicStruct>(root), breach.path));
    const auto flat = capnp::messageToFlatArray(message);
    const auto bytes = flat.asBytes();
    const auto decoded = decode(std::string_view(reinterpret_cast<const char*>(bytes.begin()), bytes.size()));
    if (decoded) {
      FAIL_CHECK("was read");
      continue;
    }
    INFO(decoded.error().message);
    CHECK(decoded.error().code == Errc::kInvalid);
    const std::string& said = decoded.error().message;
    CHECK((said.find(breach.field) != said.npos || said.find("a frame of") != said.npos));
  }
  return static_cast<int>(breaches.size());
}

template <class Root, class T, class Decode>
int CheckReaders(const std::vector<T>& samples, Decode decode) {
  int breaches = 0;
  for (const T& sample : samples) {
    CAPTURE(sample.index());
    breaches += CheckReader(Encode(sample).value(), capnp::Schema::from<Root>(), decode);
  }
  return breaches;
}
template <class Root, class T, class Decode>
int CheckNumberedReaders(const std::vector<T>& samples, Decode decode) {
  int breaches = 0;
  for (const T& sample : samples) {
    CAPTURE(sample.index());
    breaches += CheckReader(Encode(7, sample).value(), capnp::Schema::from<Root>(), decode);
  }
  return breaches;
}

// The words of a refusal to write; fails the test if it was written.
template <class T>
bool Refuses(const T& message, const char* part) {
  Result<std::string> frame;
  if constexpr (std::is_same_v<T, ClientRequest> || std::is_same_v<T, ClientReply>)
    frame = Encode(1, message);
  else
    frame = Encode(message);
  if (frame) return false;
  INFO(frame.error().message);
  CHECK(frame.error().code == Errc::kInvalid);
  return frame.error().message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("caps: a reader refuses every value that the schema forbids, and names the field") {
  CHECK(CheckReaders<wire::FromAgent>(SampleAgentMessages(), DecodeAgentMessage) > 20);
  CHECK(CheckReaders<wire::ToAgent>(SampleToAgent(), DecodeToAgent) > 20);
  CHECK(CheckNumberedReaders<wire::Request>(SampleRequests(), DecodeClientRequest) > 20);
  CHECK(CheckNumberedReaders<wire::Reply>(SampleReplies(), DecodeClientReply) > 20);
  CHECK(CheckReaders<wire::BulkRequest>(SampleBulkRequests(), DecodeBulkRequest) > 5);
  CHECK(CheckReaders<wire::BulkReply>(SampleBulkReplies(), DecodeBulkReply) > 5);
  CHECK(CheckReaders<wire::EnrolRequest>(SampleEnrolRequests(), DecodeEnrolRequest) > 5);
  CHECK(CheckReaders<wire::EnrolReply>(SampleEnrolReplies(), DecodeEnrolReply) > 5);
  CHECK(CheckReaders<wire::Record>(SampleRecords(), DecodeRecord) > 20);
}

TEST_CASE("caps: a writer refuses them, too") {
  Register host;
  host.host = "caf\xe9";
  CHECK(Refuses(AgentMessage(host), "Register.host is not UTF-8 at byte 3"));
  host.host = std::string("a\0b", 3);
  CHECK(Refuses(AgentMessage(host), "Register.host contains a NUL"));
  host.host = std::string(1025, 'x');
  CHECK(Refuses(AgentMessage(host), "Register.host has 1025 bytes; at most 1024"));
  host.host.clear();
  host.offer.labels = {"fine", std::string(1025, 'x')};
  CHECK(Refuses(AgentMessage(host), "Offer.labels has 1025 bytes"));
  CHECK(Refuses(AgentMessage(Heartbeat{{}, 0, std::vector<HeldAttempt>(kMaxHeldAttempts + 1), 0, ""}),
                "Heartbeat.held has 100001 entries; at most 100000"));
  CHECK(Refuses(AgentMessage(MetricsReport{{}, {}, 0, {{0, {}, std::vector<Metric>(kMaxMetricsPerLine + 1)}}}),
                "MetricLine.values has 4097"));
  Assign assign = std::get<Assign>(SampleToAgent()[4]);
  assign.trees.resize(kMaxTreesPerAssign + 1);
  CHECK(Refuses(ToAgent(assign), "Assign.trees has"));
  assign = std::get<Assign>(SampleToAgent()[4]);
  assign.spec = nullptr;
  CHECK(Refuses(ToAgent(assign), "Assign.spec is missing"));
  CHECK(Refuses(BulkRequest(ChunkPut{{}, std::string(kMaxPartBytes + 1, 'x')}), "ChunkPut.bytes has 1048577"));
  CHECK(Refuses(ClientRequest(ListRuns{"", 0, {}}), "ListRuns.limit is 0; 1 to 1000"));
  CHECK(Refuses(ClientRequest(Why{}), "Selector.pipeline has 0 bytes"));
  Submit submit;
  submit.overrides = {{"A=B", "c"}};
  CHECK(Refuses(ClientRequest(submit), "EnvVar.name may not contain ="));
  submit.overrides = {{"", "c"}};
  CHECK(Refuses(ClientRequest(submit), "EnvVar.name has 0 bytes"));
  AgentRecord agent;
  agent.lease = std::chrono::hours(24 * 400);
  CHECK(Refuses(Record(agent), "AgentRecord.lease is"));
}

TEST_CASE("caps: fields that depend on each other are held together by both") {
  Finished finished;
  finished.log_length = 5;
  finished.small_log = "less";
  CHECK(Refuses(AgentMessage(finished), "not the whole log"));
  Assign beyond = std::get<Assign>(SampleToAgent()[4]);
  beyond.shard = 8;
  CHECK(Refuses(ToAgent(beyond), "beyond the job's shards"));
  CHECK(Refuses(BulkRequest(TreePut{{}, 10, 8, "abc"}), "beyond the whole"));
  CHECK(Refuses(BulkRequest(TreePut{{}, 10, UINT64_MAX, "abc"}), "beyond the whole"));
  CHECK(Refuses(BulkReply(ChunksMissing{1, {8192}}), "ChunksMissing.indexes is 8192"));
  CHECK(Refuses(ClientReply(MetricsAnswer{{{"a", "b", {1}, {}, 0}}}), "not as many as its steps"));
  // The readers' side of one: the shard behind the last.
  capnp::MallocMessageBuilder message;
  auto to = message.initRoot<wire::ToAgent>().initAssign();
  to.setShard(1);
  to.initSpec().setName("a");
  to.getSpec().setShards(1);
  to.getSpec().initSteps(1)[0].getAction().setRun("true");
  const auto flat = capnp::messageToFlatArray(message);
  const auto bytes = flat.asBytes();
  const auto read = DecodeToAgent({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
  REQUIRE_FALSE(read);
  CHECK(read.error().message.find("beyond the job's shards") != std::string::npos);
}

}  // namespace furrow
