// What the loop is asked to do and what it hears back, as values: what the reactor puts into its outbox, what other
// threads post to the loop. Nothing here knows who does it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/wire/peer.h"
#include "controller/state/records.h"
#include "schemas/client.h"
#include "schemas/enrol.h"

namespace furrow {

// A client's request that waits for its answer.
struct Asker {
  PeerId peer = 0;
  std::uint64_t number = 0;  // of the request
  std::string name = {};     // of the client's key; the two above tell requests apart
  friend bool operator==(const Asker& a, const Asker& b) { return a.peer == b.peer && a.number == b.number; }
};

// A connection of an agent.
struct Sender {
  PeerId peer = 0;
  std::string agent;
};

// ---- the store -----------------------------------------------------------------------------------------------

// The whole log of a short job, to be kept in its run's pack file.
struct SmallLog {
  RunId run{};
  AttemptRef attempt;
  std::string bytes;
};

// Everything that one turn of the loop wants remembered.
struct Turn {
  std::uint64_t number = 0;           // counts up; echoed in Committed
  std::vector<RecordChange> records;  // in order: a later one with the same key wins
  std::vector<SmallLog> small_logs;   // appended and synced first; the location goes into the JobRecord's
                                      // attempt of the same epoch, in this same turn
};

// The fate of all turns up to and including `number`.
struct Committed {
  std::uint64_t number = 0;
  Status status;  // an error: nothing since the last success is durable; stop accepting
};

// ---- the bulk endpoint -----------------------------------------------------------------------------------------

// This agent may append to this attempt's log. Before the Assign leaves, and for every unfinished attempt at start.
struct BulkGrant {
  AttemptRef attempt;
  RunId run{};
  std::string agent;
  std::uint64_t log_quota_bytes = 0;  // 0: none
};
// The attempt is over, however it ended. Its followers get what is there and the end.
struct BulkRevoke {
  AttemptRef attempt;
};
// The attempt's whole log is on record (a small one in its pack, say). Its followers get the rest of it and
// the end. After the record was committed; before the BulkRevoke.
struct BulkLogFinal {
  RunId run{};
  AttemptRef attempt;
  LogRecord log;
};
// The SealRecord is committed: the agent may be told. The answer to every BulkLogSealed.
struct BulkSealDurable {
  AttemptRef attempt;
};
using BulkCommand = std::variant<BulkGrant, BulkRevoke, BulkLogFinal, BulkSealDurable>;

// The log is whole, sealed and durable. Again if the agent asks again; answer each with BulkSealDurable.
struct BulkLogSealed {
  AttemptRef attempt;
  LogRecord log;
};
// The disk of the logs failed: nothing more is acknowledged. The farm must stop accepting.
struct BulkFailed {
  std::string message;
};
using BulkEvent = std::variant<BulkLogSealed, BulkFailed>;

// ---- git -------------------------------------------------------------------------------------------------------

struct ImportRequest {
  std::string repository;
  std::string ref;
  std::string old_commit;  // may be zeros
  std::string commit;      // full hex; of a tag object: the commit it names is taken
};
struct ImportCommit {
  std::uint64_t ticket = 0;
  ImportRequest request;
};
struct LookAtRefs {
  std::string repository;
};
using RepositoryCommand = std::variant<ImportCommit, LookAtRefs>;

// A commit whose tree is in the chunk store.
struct ImportedCommit {
  std::string commit;  // full hex
  Hash tree;           // committed in the chunk store
  std::string title;
  std::string author;
  std::string pipeline_text;  // furrow.yaml at the root; empty with has_pipeline false
  bool has_pipeline = false;
  std::vector<std::string> changed_paths;  // against old_commit; every path where that is unknown; ≤ 10,000
  std::vector<std::string> notes;          // for people: submodules that were left out
};
struct CommitImported {
  std::uint64_t ticket = 0;
  Result<ImportedCommit> commit;
};
struct RefsListed {
  std::string repository;
  Result<std::map<std::string, std::string>> refs;  // name, which a record can hold → commit
  std::string left_out = {};                        // which refs cannot be watched, for people; empty: none
};

// ---- history: what state alone cannot answer ---------------------------------------------------------------------

struct HistoryQuery {
  Asker asker;
  ClientRequest request;
  std::vector<RunSummary> live;  // of ListRuns: the runs in state, newest first
};

struct HistoryAnswer {
  Asker asker;
  std::vector<ClientReply> replies;  // in order; several to a Watch of many jobs alone
};
// What a Retry needs to begin.
struct RetryFound {
  Asker asker;
  Retry request;
  RunRecord run;
  std::vector<JobRecord> jobs;
};
using HistoryEvent = std::variant<HistoryAnswer, RetryFound>;

// ---- the enrol endpoint --------------------------------------------------------------------------------------------

// Somebody wants to join; whether the proof is right is not known yet.
struct EnrolAsked {
  std::uint64_t ticket = 0;
  std::string key;  // that the connection proved to have
  EnrolProve prove;
};
// The answer to AdmitKey: the line stands in the allowlist, or why not.
struct KeyAdmitted {
  EnrolmentId enrolment{};
  AllowedKey key;
  Status status;
};
struct KeyDropped {
  std::uint64_t ticket = 0;
  Status status;
};
// The allowlist was read, at the start or because it changed.
struct AllowlistRead {
  std::vector<AllowedKey> keys;
};
using AccessEvent = std::variant<EnrolAsked, KeyAdmitted, KeyDropped, AllowlistRead>;

// The use is on record: put the key on the allowlist, then tell its owner.
struct AdmitKey {
  std::uint64_t ticket = 0;
  EnrolmentId enrolment{};
  AllowedKey key;
  std::vector<std::string> labels;
};
struct RefuseKey {
  std::uint64_t ticket = 0;
  EnrolRefusal reason = EnrolRefusal::kUnknown;
  std::string message;
};
struct DropKey {
  std::uint64_t ticket = 0;
  std::string key;
};
using AccessCommand = std::variant<AdmitKey, RefuseKey, DropKey>;

// ---- everything that other threads tell the loop
// ---------------------------------------------------------------------

using LoopEvent = std::variant<Committed, BulkLogSealed, BulkFailed, HistoryAnswer, RetryFound, CommitImported,
                               RefsListed, EnrolAsked, KeyAdmitted, KeyDropped, AllowlistRead>;

}  // namespace furrow
