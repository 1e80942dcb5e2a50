// What a turn changes in the store: records of schemas/record.capnp, and keys whose records are deleted.
#pragma once

#include <string>
#include <variant>

#include "common/base/ids.h"
#include "schemas/record.h"

namespace furrow {

// The record with this key is deleted; nothing happens where there is none.
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
