// A turn changes the store by RecordChanges: records of schemas/record.capnp, and keys whose records are deleted.
#pragma once

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
using EraseSeal = Erase<SealRecord, AttemptRef>;
using EraseAgent = Erase<AgentRecord, std::string>;  // by name
using ErasePush = Erase<TriggerRecord, Uuid>;        // by request
using EraseEnrolment = Erase<EnrolmentRecord, EnrolmentId>;
using EraseKey = Erase<KeyRecord, std::string>;  // by public key

using RecordChange =
    std::variant<RunRecord, JobRecord, MetricsRecord, SealRecord, AgentRecord, TriggerRecord, RepositoryRecord,
                 EnrolmentRecord, KeyRecord, EraseSeal, EraseAgent, ErasePush, EraseEnrolment, EraseKey>;

}  // namespace furrow
