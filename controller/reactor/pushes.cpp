#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/hash.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"
#include "controller/reactor/pipelines.h"
#include "controller/reactor/pushes.h"
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

// Ends a push. `reason` says why it became nothing; empty: it is done.
void Settle(State& state, Outbox& out, Now now, std::uint64_t ticket, const std::string& reason = "") {
  const TriggerRecord& record = state.pushes.at(ticket).record;
  out.records.emplace_back(ErasePush{record.request});
  EventRecord& settled = Tell(out, now, EventKind::kPushSettled, kDefaultProject);
  settled.subject = record.repository;
  settled.detail = record.ref + " " + record.new_commit + (reason.empty() ? "" : ": " + reason);
  if (!reason.empty()) out.warnings.push_back("a push to " + record.repository + " starts nothing: " + settled.detail);
  state.pushes.erase(ticket);
}

// Ends a push whose import was tried often enough. Who asked must not ask again, so the reason is none that passes.
void GiveUp(State& state, Outbox& out, Now now, std::uint64_t ticket, const std::string& why) {
  Push& push = state.pushes.at(ticket);
  const std::string reason = "given up after " + std::to_string(push.record.tries) +
                             " tries that got no further: " + why + "; push again when that is mended";
  AnswerAskers(out, push, Failure{Errc::kRejected, reason, push.record.repository, {}});
  Settle(state, out, now, ticket, reason);
}

void TakeFailure(State& state, Outbox& out, Now now, std::uint64_t ticket, const Error& error, bool progressed) {
  Push& push = state.pushes.at(ticket);
  TriggerRecord& record = push.record;
  if (error.code != Errc::kUnavailable && error.code != Errc::kInternal) {
    AnswerAskers(out, push, Failure{error.code, error.message, record.repository, {}});
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

void On(State& state, Outbox& out, Now now, const Asker& asker, const Trigger& request) {
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
    Answer(out, asker,
           Submitted{RunId{}, "", false,
                     IsBranch(request.ref) ? "a deleted branch starts nothing" : "only pushes to branches start runs"});
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

void On(State& state, Outbox& out, Now now, const Asker& asker, const WatchRepository& request) {
  Repository& repository = state.repositories[request.repository];
  if (repository.record.repository.empty()) {
    repository.record.repository = request.repository;
    out.records.emplace_back(repository.record);
  }
  if (!repository.looking) LookAt(out, now, repository);
  if (std::find(repository.asked_by.begin(), repository.asked_by.end(), asker) == repository.asked_by.end())
    repository.asked_by.push_back(asker);
}

void LookAt(Outbox& out, Now now, Repository& repository) {
  repository.looked = now.mono;
  repository.looking = true;
  repository.moved = false;
  out.repositories.emplace_back(LookAtRefs{repository.record.repository});
}

void On(State& state, Outbox& out, Now now, const CommitImported& event) {
  const Result<ImportedCommit>& imported = event.commit;
  const PreparedPipeline& file = event.pipeline;
  const auto it = state.pushes.find(event.ticket);
  if (it == state.pushes.end()) return;
  Push& push = it->second;
  push.importing = false;
  if (!imported) return TakeFailure(state, out, now, event.ticket, imported.error(), event.progressed);
  const TriggerRecord record = push.record;
  const auto settle = [&](const ClientReply& reply) {
    AnswerAskers(out, push, reply);
    Settle(state, out, now, event.ticket);
  };
  if (!imported->has_pipeline) {
    return settle(Submitted{RunId{}, "", false, "there is no furrow.yaml at " + imported->commit.substr(0, 10)});
  }
  if (!file.ok()) {
    return settle(Failure{Errc::kInvalid, "furrow.yaml at " + imported->commit.substr(0, 10) + " has mistakes", kFile,
                          file.diagnostics});
  }
  const std::string branch = BranchOf(record.ref);
  if (const std::string why = WhyPushStartsNothing(*file.spec.pipeline, branch, imported->changed_paths); !why.empty())
    return settle(Submitted{RunId{}, "", false, why});
  if (!state.refusing.empty()) {  // The push stays on record and is tried again when work is accepted.
    push.record.tries = push.record.faults = 0;
    push.next_try = now.mono;
    AnswerAskers(out, push, Failure{Errc::kUnavailable, "noted; no new work is accepted: " + state.refusing, "", {}});
    return;
  }
  SourceInfo info{
      record.repository, record.ref, branch, imported->commit, imported->title, imported->author, false, "", kFile};
  const PipelineRecord& pipeline = PipelineAt(state, out, now, PlaceOf(state, file.spec.pipeline->name, info));
  const std::string note = NoteOnName(state, pipeline);
  Run& run = AcceptRun(state, out, now,
                       {.request = record.request,
                        .pipeline = pipeline.id,
                        .spec = file.spec,
                        .text = file.text,
                        .source = imported->tree,
                        .info = std::move(info)});
  StartRun(state, now, run);
  settle(Submitted{run.record.id, run.Name(), false, note});
}

void On(State& state, Outbox& out, Now now, const RefsListed& event) {
  const std::string& name = event.repository;
  const auto& answer = event.refs;
  const auto found = state.repositories.find(name);
  if (found == state.repositories.end()) return;
  Repository& repository = found->second;
  repository.looking = false;
  for (const Asker& asker : std::exchange(repository.asked_by, {})) {
    if (answer)
      Answer(out, asker, Done{"watching " + name + (event.left_out.empty() ? "" : "; " + event.left_out)});
    else
      Answer(out, asker, Failure{answer.error().code, answer.error().message, name, {}});
  }
  if (!answer) return;
  const std::map<std::string, std::string>& refs = *answer;
  const bool first_look = !repository.record.looked;  // A ref that existed before the first look is not a push.
  if (repository.moved) return;
  bool changed = first_look;
  repository.record.looked = true;
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

void LookAtRepositories(State& state, Outbox& out, Now now) {
  for (auto& [name, repository] : state.repositories) {
    if (repository.looking || now.mono - repository.looked < state.settings.repository_poll) continue;
    LookAt(out, now, repository);
  }
}

}  // namespace furrow
