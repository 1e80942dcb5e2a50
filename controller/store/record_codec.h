// Records to the values of the store and back. Each value is one Cap'n Proto message whose root is
// schemas/record.capnp:Record, so it says itself what it is; `capnp decode` prints it.
// Any thread. Nothing here throws.
#pragma once

#include <string>
#include <string_view>

#include "common/base/error.h"
#include "controller/state/records.h"

namespace furrow {

// The value to be stored. The caller keeps `erased` records out: they delete a key and have no value.
std::string EncodeRecord(const Record& record);
std::string EncodeRecord(const RunRecord& record);
std::string EncodeRecord(const JobRecord& record);
std::string EncodeRecord(const MetricsRecord& record);
std::string EncodeRecord(const SealRecord& record);
std::string EncodeRecord(const AgentRecord& record);
std::string EncodeRecord(const TriggerRecord& record);
std::string EncodeRecord(const RepositoryRecord& record);
std::string EncodeRecord(const EnrolmentRecord& record);
std::string EncodeRecord(const KeyRecord& record);

// The record in a stored value, which may lie at any address. kCorrupt: the bytes are damaged, are a
// record of another kind, or were written by a newer Furrow; the message says which.
template <class T>
Result<T> DecodeRecord(std::string_view value);
template <>
Result<RunRecord> DecodeRecord(std::string_view value);
template <>
Result<JobRecord> DecodeRecord(std::string_view value);
template <>
Result<MetricsRecord> DecodeRecord(std::string_view value);
template <>
Result<SealRecord> DecodeRecord(std::string_view value);
template <>
Result<AgentRecord> DecodeRecord(std::string_view value);
template <>
Result<TriggerRecord> DecodeRecord(std::string_view value);
template <>
Result<RepositoryRecord> DecodeRecord(std::string_view value);
template <>
Result<EnrolmentRecord> DecodeRecord(std::string_view value);
template <>
Result<KeyRecord> DecodeRecord(std::string_view value);

}  // namespace furrow
