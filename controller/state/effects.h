// The loop exchanges these values with other threads: the commands that the reactors put into the outbox, and the
// events that other threads post to the loop. Nothing here knows which thread handles a value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
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

// An Asker identifies a client's request that waits for an answer.
struct Asker {
  PeerId peer = 0;
  std::uint64_t number = 0;  // the number that the client gave the request
  std::string name = {};     // the name of the client's key; `peer` and `number` alone tell requests apart
  friend bool operator==(const Asker& a, const Asker& b) { return a.peer == b.peer && a.number == b.number; }
};

// A Sender is an agent and the connection that a message of this agent came over.
struct Sender {
  PeerId peer = 0;
  std::string agent;
};

// ---- the store -----------------------------------------------------------------------------------------------

// A SmallLog is the whole log of a short job; the store keeps the log in the run's pack file.
struct SmallLog {
  RunId run{};
  AttemptRef attempt;
  std::string bytes;
};

// A Turn holds everything that one turn of the loop makes durable.
struct Turn {
  std::uint64_t number = 0;           // counts up; Committed repeats the number
  std::vector<RecordChange> records;  // in order: a later record with the same key wins
  std::vector<SmallLog> small_logs;   // The store appends and syncs these logs first and writes their locations, in the
                                      // same turn, into the AttemptRecord.
  std::vector<EventRecord> events{};  // in order; the store numbers them
};

// Committed reports the result of all turns up to and including `number`.
struct Committed {
  std::uint64_t number = 0;
  Status status;  // After an error nothing since the last success is durable, and the controller must stop accepting.
};

// ---- the bulk endpoint -----------------------------------------------------------------------------------------

// A BulkGrant lets the agent append to the attempt's log, store chunks and fetch the attempt's trees. The reactor
// grants before the Assign leaves, and at the start for every unfinished attempt.
struct BulkGrant {
  AttemptRef attempt;
  RunId run{};
  std::string agent;
  std::uint64_t log_quota_bytes = 0;  // 0: none
  // The trees of the attempt's Assign, shared by the shards of a job; null: none.
  std::shared_ptr<const std::vector<Hash>> trees = nullptr;
};
// A BulkRevoke says that the attempt is over, however the attempt ended. Followers of the log get the bytes that are
// there, and the end.
struct BulkRevoke {
  AttemptRef attempt;
};
// A BulkLogFinal says that the record of the attempt's whole log is committed (a small log lies in its pack, for
// example). Followers get the rest of the log and the end. The command comes before the BulkRevoke.
struct BulkLogFinal {
  RunId run{};
  AttemptRef attempt;
  LogRecord log;
};
// A BulkSealDurable says that the SealRecord is committed and that the agent may learn of the seal. Every BulkLogSealed
// gets this answer.
struct BulkSealDurable {
  AttemptRef attempt;
};
using BulkCommand = std::variant<BulkGrant, BulkRevoke, BulkLogFinal, BulkSealDurable>;

// A BulkLogSealed says that the log is whole, sealed and durable. The event repeats when the agent asks again; each one
// gets the answer BulkSealDurable.
struct BulkLogSealed {
  AttemptRef attempt;
  LogRecord log;
};
// A BulkFailed says that the disk of the logs or chunks failed: the bulk endpoint acknowledges nothing more, and the
// farm must stop accepting.
struct BulkFailed {
  std::string message;
};
using BulkEvent = std::variant<BulkLogSealed, BulkFailed>;

// ---- pipeline files --------------------------------------------------------------------------------------------

// A PreparedPipeline is a pipeline file, parsed and hashed outside the loop, since both take time that grows with the
// file.
struct PreparedPipeline {
  SharedSpec spec;                      // meaningful only if there are no diagnostics
  SharedText text;                      // hash 0: the file is not at hand, see RunRecord::text
  std::vector<Diagnostic> diagnostics;  // every mistake of the file
  bool ok() const { return diagnostics.empty(); }
};
struct PrepareSubmission {
  Asker asker;
  Submit request;  // without its text, after it was prepared
};
struct SubmissionPrepared {
  Asker asker;
  Submit request;
  PreparedPipeline pipeline;
};

// ---- git -------------------------------------------------------------------------------------------------------

struct ImportRequest {
  std::string repository;
  std::string ref;
  std::string old_commit;  // zeros: none
  std::string commit;      // full hex; of a tag object, the import takes the commit that the tag names
};
struct ImportCommit {
  std::uint64_t ticket = 0;
  ImportRequest request;
};
struct LookAtRefs {
  std::string repository;
};
using RepositoryCommand = std::variant<ImportCommit, LookAtRefs>;

// An ImportedCommit is a commit whose tree is in the chunk store.
struct ImportedCommit {
  std::string repository;
  std::string commit;  // full hex
  Hash tree;           // the root in the chunk store
  std::string title;
  std::string author;
  std::string pipeline_text;  // furrow.yaml at the root; empty if has_pipeline is false
  bool has_pipeline = false;
  // The paths that changed against old_commit: every path where old_commit is unknown, at most 10,000.
  std::vector<std::string> changed_paths;
  bool all_paths = true;           // false: more paths changed than changed_paths has
  std::vector<std::string> notes;  // for people: how the tree differs from a checkout of the commit
  std::string hint;                // where has_pipeline is false: the file that may have been meant
  std::string identity;            // as in RefsListed
};
struct CommitImported {
  std::uint64_t ticket = 0;
  Result<ImportedCommit> commit;
  PreparedPipeline pipeline;  // the commit's, if it has one
  bool progressed = false;    // Something was stored that another try need not store again.
};
struct RefsListed {
  std::string repository;
  Result<std::map<std::string, std::string>> refs;  // name that a record can hold → commit
  std::string left_out = {};                        // for people: the refs that cannot be watched; empty: none
  // Says which repository this is, whatever its path; empty: not known.
  std::string identity = {};
  bool hooked = false;  // The farm's hook is there.
};

// ---- history: what state alone cannot answer ---------------------------------------------------------------------

struct HistoryQuery {
  Asker asker;
  ClientRequest request;
  PipelineId pipeline{};         // that the request names; 0: it names none
  std::vector<RunSummary> live;  // for ListRuns: the runs in state, newest first
  bool at_once = false;          // The turns that wait for the disk are not waited for.
};

struct HistoryAnswer {
  Asker asker;
  std::vector<ClientReply> replies;  // in order; only a Watch of many jobs gets several
};
// RetryFound carries the stored run and jobs that a Retry starts from.
struct RetryFound {
  Asker asker;
  Retry request;
  RunRecord run;
  SharedSpec spec;
  std::vector<JobRecord> jobs;
  std::vector<AttemptRecord> attempts;  // the newest one of each job that passed
};
using HistoryEvent = std::variant<HistoryAnswer, RetryFound>;

// ---- the enrol endpoint --------------------------------------------------------------------------------------------

// An EnrolAsked says that a machine asks to join; its proof is not checked yet.
struct EnrolAsked {
  std::uint64_t ticket = 0;
  std::string key;  // the key that the connection proved to have
  EnrolProve prove;
};
// KeyAdmitted answers AdmitKey: the key's line is in the allowlist, or `status` says why not.
struct KeyAdmitted {
  EnrolmentId enrolment{};
  AllowedKey key;
  Status status;
};
struct KeyDropped {
  std::uint64_t ticket = 0;
  Status status;
};
// An AllowlistRead says that the allowlist was read, at the start or because the file changed.
struct AllowlistRead {
  std::vector<AllowedKey> keys;
};
using AccessEvent = std::variant<EnrolAsked, KeyAdmitted, KeyDropped, AllowlistRead>;

// The use of the enrolment is on record: AdmitKey puts the key on the allowlist and then answers the key's owner.
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

using LoopEvent = std::variant<Committed, BulkLogSealed, BulkFailed, HistoryAnswer, RetryFound, SubmissionPrepared,
                               CommitImported, RefsListed, EnrolAsked, KeyAdmitted, KeyDropped, AllowlistRead>;

}  // namespace furrow
