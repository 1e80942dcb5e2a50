#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/pipeline/pipeline.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"
#include "controller/reactor/pipelines.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/repositories.h"
#include "controller/reactor/runs.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

bool IsZeroCommit(const std::string& commit) {
  return commit.empty() || std::all_of(commit.begin(), commit.end(), [](char c) { return c == '0'; });
}

constexpr const char* kFile = "furrow.yaml";  // the pipeline file of a repository
constexpr std::string_view kHeads = "refs/heads/";

bool IsBranch(const std::string& ref) {
  return ref.starts_with(kHeads);
}

std::string BranchOf(const std::string& ref) {
  return IsBranch(ref) ? ref.substr(kHeads.size()) : "";
}

constexpr std::uint32_t kMaxTries = 20;
constexpr std::uint32_t kMaxFaults = 3;
constexpr Duration kFirstPause = std::chrono::seconds(30);
constexpr Duration kLongestPause = std::chrono::hours(1);

// Returns how long a push waits after so many tries that stored nothing.
Duration PauseAfter(std::uint32_t tries) {
  Duration pause = kFirstPause;
  for (std::uint32_t i = 1; i < tries && pause < kLongestPause; ++i) pause *= 2;
  return std::min(pause, kLongestPause);
}

// The try is on record before it begins, so that one which ends the controller itself is counted, too.
void Import(Outbox& out, std::uint64_t ticket, Push& push) {
  push.importing = true;
  TriggerRecord& record = push.record;
  ++record.tries;
  out.records.emplace_back(record);
  out.repositories.emplace_back(
      ImportCommit{ticket, {record.repository, record.ref, record.old_commit, record.new_commit}});
}

// Makes the request id of a push that a look found, from the push itself, so that the same push is known again.
Uuid RequestOf(const std::string& repository, const std::string& ref, const std::string& commit) {
  const Hash digest = HashOf(repository + "\n" + ref + "\n" + commit);
  Uuid id;
  static_assert(sizeof(digest.bytes) >= 2 * sizeof(std::uint64_t));
  std::memcpy(&id.high, digest.bytes.data(), sizeof(id.high));
  std::memcpy(&id.low, digest.bytes.data() + sizeof(id.high), sizeof(id.low));
  return id;
}

// Returns the run that a push of this commit started, if the run is in memory or a look found the push.
std::optional<RunId> RunOfPush(const State& state, const std::string& repository, const std::string& ref,
                               const std::string& commit) {
  const auto found = state.requests.find(RequestOf(repository, ref, commit));
  if (found != state.requests.end()) return found->second;
  for (auto it = state.runs.rbegin(); it != state.runs.rend(); ++it) {
    const SourceInfo& info = it->second.record.info;
    if (info.commit == commit && info.ref == ref && info.repository == repository) return it->first;
  }
  return std::nullopt;
}

// Learns which repository a push is of. If another path of it is watched, the push is that one's from now on; returns
// its run if it had one there.
std::optional<RunId> TakeIdentity(State& state, Outbox& out, Now now, Push& push, const std::string& identity) {
  TriggerRecord& record = push.record;
  const std::string same = SameRepository(state, record.repository, identity);
  if (same.empty()) {
    const auto found = state.repositories.find(record.repository);
    if (found != state.repositories.end() && found->second.record.identity != identity) {
      found->second.record.identity = identity;
      out.records.emplace_back(found->second.record);
    }
    return std::nullopt;
  }
  if (Unite(state, out, now, record.repository, same) == record.repository) return std::nullopt;
  record.repository = same;
  Repository& repository = state.repositories.at(same);
  repository.moved = true;
  repository.record.refs[record.ref] = record.new_commit;
  return RunOfPush(state, same, record.ref, record.new_commit);
}

// Records a push and has its commit imported. Returns its ticket.
std::uint64_t NotePush(State& state, Outbox& out, Now now, TriggerRecord record) {
  const std::uint64_t ticket = ++state.last_ticket;
  Push& push = state.pushes[ticket];
  push.record = std::move(record);
  EventRecord& event = Tell(out, now, EventKind::kPushNoted, kDefaultProject);
  event.subject = push.record.repository;
  event.detail = push.record.ref + " " + push.record.new_commit;
  Import(out, ticket, push);
  return ticket;
}

void AnswerAskers(Outbox& out, Push& push, const ClientReply& reply) {
  for (const Asker& asker : std::exchange(push.asked_by, {})) Answer(out, asker, reply);
}

// Puts what became of a push on the record of its repository, if that is watched.
void NoteLast(State& state, Outbox& out, Now now, const std::string& name, const LastPush& push) {
  const auto found = state.repositories.find(name);
  if (found == state.repositories.end()) return;
  found->second.record.last_push = push;
  found->second.record.last_push->at = now.wall;
  out.records.emplace_back(found->second.record);
}

// Writes to the log that a push is lost for trouble, of which its author may not have heard.
void Warn(Outbox& out, const TriggerRecord& record, const std::string& reason) {
  out.warnings.push_back("a push to " + record.repository + " starts nothing: " + record.ref + " " + record.new_commit +
                         ": " + reason);
}

// Ends a push. `reason` says why it became nothing; empty: it is done, and `run` is its run.
void Settle(State& state, Outbox& out, Now now, std::uint64_t ticket, const std::string& reason,
            const std::string& run = "", const std::string& note = "") {
  const TriggerRecord& record = state.pushes.at(ticket).record;
  NoteLast(state, out, now, record.repository,
           {.ref = record.ref, .commit = record.new_commit, .run = run, .note = reason.empty() ? note : reason});
  out.records.emplace_back(ErasePush{record.request});
  EventRecord& settled = Tell(out, now, EventKind::kPushSettled, kDefaultProject);
  settled.subject = record.repository;
  settled.detail = record.ref + " " + record.new_commit + (reason.empty() ? "" : ": " + reason);
  state.pushes.erase(ticket);
}

// Ends a push whose import was tried often enough. Who asked must not ask again, so the reason is none that passes.
void GiveUp(State& state, Outbox& out, Now now, std::uint64_t ticket, const std::string& why) {
  Push& push = state.pushes.at(ticket);
  const std::string reason = "given up after " + std::to_string(push.record.tries) +
                             " tries that got no further: " + why + "; push again when that is mended";
  AnswerAskers(out, push, Failure{Errc::kRejected, reason, push.record.repository, {}});
  Warn(out, push.record, reason);
  Settle(state, out, now, ticket, reason);
}

void TakeFailure(State& state, Outbox& out, Now now, std::uint64_t ticket, const Error& error, bool progressed) {
  Push& push = state.pushes.at(ticket);
  TriggerRecord& record = push.record;
  if (error.code != Errc::kUnavailable && error.code != Errc::kInternal) {
    AnswerAskers(out, push, Failure{error.code, error.message, record.repository, {}});
    Warn(out, record, error.message);
    return Settle(state, out, now, ticket, error.message);
  }
  if (error.code == Errc::kInternal) ++record.faults;
  if (progressed) record.tries = record.faults = 0;
  if (record.tries >= kMaxTries || record.faults >= kMaxFaults) return GiveUp(state, out, now, ticket, error.message);
  if (error.code == Errc::kInternal || progressed) out.records.emplace_back(record);
  const Duration pause = PauseAfter(record.tries);
  push.next_try = now.mono + pause;
  const std::string words = error.message + "; it is tried again in " +
                            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(pause).count()) + " s";
  AnswerAskers(out, push, Failure{error.code, words, record.repository, {}});
  out.warnings.push_back(record.repository + ": " + record.ref + " " + record.new_commit + ": " + words);
}

}  // namespace

void On(State& state, Outbox& out, Now now, const Asker& asker, const Trigger& told) {
  Trigger request = told;
  request.repository = KnownPath(state, told.repository);
  if (const auto known = state.requests.find(request.request); known != state.requests.end()) {
    const Run* run = state.FindRun(known->second);
    Answer(out, asker, Submitted{known->second, run != nullptr ? run->Name() : "", true, ""});
    return;
  }
  if (!state.refusing.empty()) {
    Refuse(out, asker, Errc::kUnavailable, "no new work is accepted: " + state.refusing);
    return;
  }
  if (!IsBranch(request.ref) || IsZeroCommit(request.new_commit)) {
    const std::string why =
        IsBranch(request.ref) ? "a deleted branch starts nothing" : "only pushes to branches start runs";
    if (const auto known = state.repositories.find(request.repository);
        known != state.repositories.end() && IsZeroCommit(request.new_commit))
      known->second.record.refs.erase(request.ref);
    NoteLast(state, out, now, request.repository, {.ref = request.ref, .commit = request.new_commit, .note = why});
    Answer(out, asker, Submitted{RunId{}, "", false, why});
    return;
  }
  // The hook and a look at the refs may report the same push; both reports are one push.
  for (auto& [ticket, push] : state.pushes) {
    if (push.record.repository != request.repository || push.record.ref != request.ref ||
        push.record.new_commit != request.new_commit)
      continue;
    push.asked_by.push_back(asker);
    if (!push.importing) Import(out, ticket, push);
    return;
  }
  Repository& repository = state.repositories[request.repository];
  bool newest = true;
  if (repository.record.repository.empty()) {
    repository.record.repository = request.repository;
    repository.looked = now.mono;
  } else if (const auto seen = repository.record.refs.find(request.ref);
             seen != repository.record.refs.end() && seen->second != request.old_commit) {
    // The push does not begin at the last seen commit of the ref, so a look may have found the push before the hook.
    if (const auto run = RunOfPush(state, request.repository, request.ref, request.new_commit)) {
      const Run* known = state.FindRun(*run);
      Answer(out, asker, Submitted{*run, known != nullptr ? known->Name() : "", true, ""});
      return;
    }
    // A hook that was refused for a while may tell of a push after a later one: the next look shows what the ref is.
    newest = false;
  }
  if (WireBytes(repository.record) > kMaxRecordFrame / 2) {
    Refuse(out, asker, Errc::kRejected,
           "the refs of " + request.repository + " are more than one record holds; delete refs that nobody needs");
    return;
  }
  repository.moved = true;
  if (newest) repository.record.refs[request.ref] = request.new_commit;
  out.records.emplace_back(repository.record);
  const std::uint64_t ticket = NotePush(
      state, out, now, {request.request, request.repository, request.ref, request.old_commit, request.new_commit});
  state.pushes[ticket].asked_by.push_back(asker);
}

void On(State& state, Outbox& out, Now now, const CommitImported& event) {
  const Result<ImportedCommit>& imported = event.commit;
  const PreparedPipeline& file = event.pipeline;
  const auto it = state.pushes.find(event.ticket);
  if (it == state.pushes.end()) return;
  Push& push = it->second;
  push.importing = false;
  if (!imported) return TakeFailure(state, out, now, event.ticket, imported.error(), event.progressed);
  const std::optional<RunId> known_run = TakeIdentity(state, out, now, push, imported->identity);
  const TriggerRecord record = push.record;
  const auto starts_nothing = [&](const std::string& why) {
    AnswerAskers(out, push, Submitted{RunId{}, "", false, why});
    Settle(state, out, now, event.ticket, why);
  };
  if (known_run) {
    const Run* run = state.FindRun(*known_run);
    const std::string name = run != nullptr ? run->Name() : "";
    AnswerAskers(out, push, Submitted{*known_run, name, true, ""});
    return Settle(state, out, now, event.ticket, "", name);
  }
  const std::string commit = imported->commit.substr(0, 10);
  if (!imported->has_pipeline)
    return starts_nothing("there is no furrow.yaml at " + commit +
                          (imported->hint.empty() ? "" : ", but " + imported->hint));
  if (!file.ok()) {
    const std::string mistakes = "furrow.yaml at " + commit + " has mistakes";
    AnswerAskers(out, push, Failure{Errc::kInvalid, mistakes, kFile, file.diagnostics});
    return Settle(state, out, now, event.ticket, mistakes + ": " + FormatDiagnostics(kFile, file.diagnostics));
  }
  const std::string branch = BranchOf(record.ref);
  if (const std::string why =
          WhyPushStartsNothing(*file.spec.pipeline, branch, imported->changed_paths, imported->all_paths);
      !why.empty())
    return starts_nothing(why);
  if (!state.refusing.empty()) {  // The push stays on record and is tried again when work is accepted.
    push.record.tries = push.record.faults = 0;
    push.next_try = now.mono;
    AnswerAskers(out, push, Failure{Errc::kUnavailable, "noted; no new work is accepted: " + state.refusing, "", {}});
    return;
  }
  SourceInfo info{
      record.repository, record.ref, branch, imported->commit, imported->title, imported->author, false, "", kFile,
      imported->notes};
  if (info.notes.size() > kMaxSourceNotes) info.notes.resize(kMaxSourceNotes);
  for (std::string& words : info.notes) words = ClippedUtf8(RepairedUtf8(words), kMaxSourceNoteBytes);
  const PipelinePlace place = PlaceOf(state, file.spec.pipeline->name, info);
  const PipelineRecord& pipeline = PipelineAt(state, out, now, place);
  std::string note = NoteOnName(state, pipeline);
  for (const std::string& words : info.notes) note += (note.empty() ? "" : "; ") + words;
  Run& run = AcceptRun(state, out, now,
                       {.request = record.request,
                        .pipeline = pipeline.id,
                        .spec = file.spec,
                        .text = file.text,
                        .source = imported->tree,
                        .info = std::move(info)});
  StartRun(state, now, run);
  AnswerAskers(out, push, Submitted{run.record.id, run.Name(), false, note});
  Settle(state, out, now, event.ticket, "", run.Name(), note);
}

void On(State& state, Outbox& out, Now now, const RefsListed& event) {
  const std::string& name = event.repository;
  const auto& answer = event.refs;
  const auto found = state.repositories.find(name);
  if (found == state.repositories.end()) return;
  Repository& repository = found->second;
  repository.looking = false;
  const std::string same = answer ? SameRepository(state, name, event.identity) : "";
  const std::vector<Asker> askers = std::exchange(repository.asked_by, {});
  const std::string watched = same.empty() ? name : Unite(state, out, now, name, same);
  for (const Asker& asker : askers) {
    if (answer)
      Answer(out, asker,
             Done{"watching " + (watched == name ? name : watched + ", which is the same repository as " + name) +
                  (event.left_out.empty() ? "" : "; " + event.left_out)});
    else
      Answer(out, asker, Failure{answer.error().code, answer.error().message, name, {}});
  }
  if (!same.empty()) return;
  NoteLook(out, now, repository, event);
  if (repository.gone) FollowAlias(state, out, now, name);
  if (!answer) return;
  const std::map<std::string, std::string>& refs = *answer;
  const bool first_look = !repository.record.looked;  // A ref that existed before the first look is not a push.
  const bool identified = std::exchange(repository.record.identity, event.identity) != event.identity;
  if (repository.moved) return;
  bool changed = identified || first_look || (event.hooked && !repository.record.hooked);
  repository.record.looked = true;
  repository.record.hooked = repository.record.hooked || event.hooked;
  for (const auto& [ref, commit] : refs) {
    if (!IsBranch(ref)) continue;
    const auto seen = repository.record.refs.find(ref);
    if (seen != repository.record.refs.end() && seen->second == commit) continue;
    const std::string old = seen == repository.record.refs.end() ? std::string(40, '0') : seen->second;
    const bool on_its_way =
        std::any_of(state.pushes.begin(), state.pushes.end(), [&, &ref = ref, &commit = commit](const auto& entry) {
          const TriggerRecord& record = entry.second.record;
          return record.repository == name && record.ref == ref && record.new_commit == commit;
        });
    const bool was_there = first_look && seen == repository.record.refs.end();
    repository.record.refs[ref] = commit;
    changed = true;
    if (was_there || on_its_way || RunOfPush(state, name, ref, commit)) continue;
    NotePush(state, out, now, {RequestOf(name, ref, commit), name, ref, old, commit});
  }
  for (auto it = repository.record.refs.begin(); it != repository.record.refs.end();) {
    if (refs.contains(it->first)) {
      ++it;
      continue;
    }
    it = repository.record.refs.erase(it);
    changed = true;
  }
  if (changed) out.records.emplace_back(repository.record);
}

void ResumePush(State& state, Outbox& out, Now now, TriggerRecord record) {
  const std::uint64_t ticket = ++state.last_ticket;
  Push& push = state.pushes[ticket];
  push.record = std::move(record);
  const std::uint32_t tries = push.record.tries;
  if (tries >= kMaxTries) return GiveUp(state, out, now, ticket, "the controller ended during the last one");
  // The restart has most likely cut a first try short. More of them may be why the controller ended.
  if (tries <= 1) return Import(out, ticket, push);
  push.next_try = now.mono + PauseAfter(tries);
}

void TryPushesAgain(State& state, Outbox& out, Now now) {
  if (!state.refusing.empty()) return;  // An import needs space on the disk.
  for (auto& [ticket, push] : state.pushes)
    if (!push.importing && now.mono >= push.next_try) Import(out, ticket, push);
}

}  // namespace furrow
