// Checks fields of one message that depend on each other; the schema states what holds for one field alone. The writer
// and the reader of such a message call these checks.
#include "common/wire/codec.h"
#include "schemas/agent_codec.h"
#include "schemas/bulk_codec.h"
#include "schemas/client_codec.h"

namespace furrow::codec {
namespace {

// Throws Malformed unless [offset, offset + size) lies in a whole of `total` bytes.
void CheckPart(std::uint64_t total, std::uint64_t offset, std::size_t size, const char* field) {
  if (offset > total || size > total - offset) throw Malformed{std::string(field) + ": a part beyond the whole"};
}

}  // namespace

void Check(const Finished& value) {
  if (value.small_log && value.small_log->size() != value.log_length)
    throw Malformed{"Finished.small_log is not the whole log"};
}

void Check(const Assign& value) {
  if (value.spec != nullptr && value.shard >= value.spec->shards)
    throw Malformed{"Assign.shard is beyond the job's shards"};
}

void Check(const LogAppend& value) {
  if (value.offset > UINT64_MAX - value.raw_length) throw Malformed{"LogAppend.offset is beyond any log"};
}

void Check(const TreePut& value) {
  CheckPart(value.total_bytes, value.offset, value.bytes.size(), "TreePut.bytes");
}

void Check(const ChunkData& value) {
  CheckPart(value.total_bytes, value.offset, value.bytes.size(), "ChunkData.bytes");
}

void Check(const ChunksMissing& value) {
  for (const std::uint32_t index : value.indexes)
    InRange(std::uint64_t{index}, {0, kMaxHashesPerMessage - 1, "ChunksMissing.indexes"});
}

void Check(const NewEnrolment& value) {
  if (value.verify_key.IsZero()) throw Malformed{"NewEnrolment.verify_key is missing"};
}

void Check(const MetricSeries& value) {
  if (value.steps.size() != value.values.size()) throw Malformed{"MetricSeries.values are not as many as its steps"};
}

}  // namespace furrow::codec
