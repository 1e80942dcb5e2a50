// A turn changes the store by RecordChanges: records of schemas/record.capnp, and keys whose records are deleted.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "common/base/ids.h"
#include "schemas/record.h"

namespace furrow {

// An Erase deletes the record with this key. A key without a record changes nothing.
template <class Record, class Key>
struct Erase {
  Key key{};
  friend bool operator==(const Erase&, const Erase&) = default;
};
// A SharedSpec is a parsed pipeline, a SharedText the bytes of a pipeline file. Runs share these values by their hash,
// so that each is stored once.
struct SharedSpec {
  Hash hash;  // of EncodeValue
  std::shared_ptr<const Pipeline> pipeline;
  friend bool operator==(const SharedSpec& a, const SharedSpec& b) {
    return a.hash == b.hash && *a.pipeline == *b.pipeline;
  }
};
struct SharedText {
  Hash hash;  // of `bytes`
  std::shared_ptr<const std::string> bytes;
  friend bool operator==(const SharedText& a, const SharedText& b) { return a.hash == b.hash && *a.bytes == *b.bytes; }
};

using EraseSeal = Erase<SealRecord, AttemptRef>;
using EraseAgent = Erase<AgentRecord, std::string>;            // by name
using ErasePush = Erase<TriggerRecord, Uuid>;                  // by request
using EraseRepository = Erase<RepositoryRecord, std::string>;  // by path or address
using EraseEnrolment = Erase<EnrolmentRecord, EnrolmentId>;
using EraseKey = Erase<KeyRecord, std::string>;  // by public key

using RecordChange = std::variant<RunRecord, JobRecord, AttemptRecord, MetricsRecord, SealRecord, AgentRecord,
                                  TriggerRecord, RepositoryRecord, EnrolmentRecord, KeyRecord, FarmRecord,
                                  CountersRecord, ProjectRecord, PersonRecord, PipelineRecord, SharedSpec, SharedText,
                                  EraseSeal, EraseAgent, ErasePush, EraseRepository, EraseEnrolment, EraseKey>;

}  // namespace furrow
