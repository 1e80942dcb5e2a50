#include <algorithm>
#include <set>
#include <string_view>

#include "common/enrol/proof.h"
#include "common/pipeline/values.h"
#include "controller/reactor/access.h"
#include "controller/reactor/agents.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"
#include "controller/views/access.h"

namespace furrow {
namespace {

constexpr std::size_t kMaxEnrolments = 10'000;
constexpr std::int64_t kRememberedMs = std::int64_t{30} * 24 * 3'600'000;  // of an expired enrolment
constexpr Duration kAllowlistEdit = std::chrono::minutes(1);  // An editor may have removed a key for so long.
constexpr std::size_t kShortestFingerprint = 4;               // the shortest prefix of a fingerprint that names a key
constexpr std::size_t kNamedJobs = 5;                         // the most jobs that an answer names

std::int64_t Ms(WallTime time) {
  return static_cast<std::int64_t>(time);
}

Identity WhoHas(const KeyRecord& key) {
  return {key.role == KeyRole::kAgent ? Role::kAgent : Role::kClient, key.name};
}

const char* RoleWord(KeyRole role) {
  return role == KeyRole::kAgent ? "agent " : "client ";
}

void ForgetOldEnrolments(State& state, Outbox& out, Now now) {
  std::erase_if(state.access.enrolments, [&](const auto& entry) {
    const EnrolmentRecord& record = entry.second;
    if (Ms(now.wall) - Ms(record.expires) < kRememberedMs) return false;
    out.records.emplace_back(EraseEnrolment{record.id});
    return true;
  });
}

// Updates the revoked agents after the allowlist changed.
void NoteRevokedAgents(State& state, Now now) {
  std::set<std::string_view> admitted;
  for (const auto& [key, record] : state.access.keys)
    if (record.role == KeyRole::kAgent) admitted.insert(record.name);
  std::map<std::string, TimePoint>& revoked_agents = state.access.revoked_agents;
  std::erase_if(revoked_agents, [&](const auto& entry) { return admitted.contains(entry.first); });
  for (const auto& [name, agent] : state.agents)
    if (!admitted.contains(name)) revoked_agents.try_emplace(name, now.mono);
}

EnrolmentUseRecord* FindUse(EnrolmentRecord& enrolment, const std::string& key) {
  const auto use = std::find_if(enrolment.used.begin(), enrolment.used.end(),
                                [&](const auto& one) { return one.public_key == key; });
  return use == enrolment.used.end() ? nullptr : &*use;
}

// Formats a duration as "11m" or "90s".
std::string Words(Duration duration) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(duration).count();
  return seconds % 60 == 0 ? std::to_string(seconds / 60) + "m" : std::to_string(seconds) + "s";
}

// Returns what keeps this key from coming in under this name; kBusy with no words means that nothing does.
std::pair<EnrolRefusal, std::string> ObstacleOf(const State& state, const EnrolmentRecord& enrolment, Now now,
                                                const EnrolAsked& asked) {
  const Access& access = state.access;
  const std::string& name = asked.prove.name;
  if (Ms(now.wall) >= Ms(enrolment.expires))
    return {EnrolRefusal::kExpired, "this line has expired; make another with `furrow enrol new`"};
  if (enrolment.used.size() >= enrolment.uses)
    return {EnrolRefusal::kUsedUp, "this line is used up: it let in " + std::to_string(enrolment.used.size()) + " of " +
                                       std::to_string(enrolment.uses) +
                                       " agents; make another with `furrow enrol new`, with --uses for several"};
  if (!pipeline::IsName(name, /*dots=*/true))
    return {EnrolRefusal::kBadName,
            "\"" + name + "\" is no name: up to 64 letters, digits, _ - and dots; choose one with --name"};
  if (const auto known = access.keys.find(asked.key); known != access.keys.end())
    return {EnrolRefusal::kKeyTaken, "this machine's key is already that of " +
                                         std::string(RoleWord(known->second.role)) + known->second.name +
                                         "; if this machine is a copy of that one, enrol with --replace, which makes "
                                         "another key"};
  const KeyRecord* holder = access.FindAgentKey(name);
  const auto joining = access.joining.find(name);
  if (holder != nullptr || (joining != access.joining.end() && joining->second != asked.key))
    return {EnrolRefusal::kNameTaken,
            "there is an agent " + name + " with another key" +
                (holder != nullptr ? " (" + FingerprintOf(holder->public_key) + ")" : "") +
                "; choose another name with --name, or, if this machine takes its place, first "
                "`furrow keys revoke " +
                name + "`"};
  const auto agents = std::count_if(access.keys.begin(), access.keys.end(),
                                    [](const auto& entry) { return entry.second.role == KeyRole::kAgent; });
  if (static_cast<std::size_t>(agents) >= state.settings.max_agents)
    return {EnrolRefusal::kBusy, "the controller has its most agents already (agents.max)"};
  if (!state.refusing.empty()) return {EnrolRefusal::kBusy, state.refusing};
  return {EnrolRefusal::kBusy, ""};
}

// Returns the keys of this name, or else the keys whose fingerprints begin with these characters.
std::vector<const KeyRecord*> KeysNamed(const Access& access, const std::string& what) {
  std::vector<const KeyRecord*> found;
  for (const auto& [key, record] : access.keys)
    if (record.name == what) found.push_back(&record);
  if (!found.empty() || what.size() < kShortestFingerprint) return found;
  for (const auto& [key, record] : access.keys)
    if (FingerprintOf(key).starts_with(what)) found.push_back(&record);
  return found;
}

// Says what happens to the jobs of an agent whose key is gone.
std::string JobsLeft(const State& state, const std::string& name) {
  const auto agent = state.agents.find(name);
  if (agent == state.agents.end() || agent->second.booked.jobs.empty()) return "";
  std::string names;
  std::size_t count = 0;
  for (const JobId id : agent->second.booked.jobs) {
    if (++count > kNamedJobs) break;
    const auto [run, job] = state.FindJob(id);
    names += (names.empty() ? "" : ", ") + run->JobName(*job);
  }
  const std::size_t all = agent->second.booked.jobs.size();
  if (all > kNamedJobs) names += " and " + std::to_string(all - kNamedJobs) + " more";
  return "; " + std::to_string(all) + (all == 1 ? " job" : " jobs") +
         " that it has may run on there until its lease ends, and are lost and started elsewhere as their retry rules "
         "say "
         "within " +
         Words(state.settings.WithMargin(agent->second.lease)) + ": " + names;
}

}  // namespace

void On(State& state, Outbox& out, Now now, const Asker& asker, const NewEnrolment& request) {
  Access& access = state.access;
  const auto refuse = [&](Errc code, std::string message) { Refuse(out, asker, code, std::move(message)); };
  ForgetOldEnrolments(state, out, now);
  const auto known = access.enrolments.find(request.id);
  if (known != access.enrolments.end() && known->second.verify_key != request.verify_key)
    return refuse(Errc::kRejected, "another enrolment has this number; try again");
  if (known == access.enrolments.end()) {
    for (const std::string& label : request.labels)
      if (!pipeline::IsName(label, /*dots=*/true))
        return refuse(Errc::kInvalid, "\"" + label + "\" is no label: letters, digits, _ - . and at most 64 of them");
    if (access.enrolments.size() >= kMaxEnrolments)
      return refuse(Errc::kRejected,
                    "there are 10,000 enrolments already; those that can no longer be used are "
                    "forgotten 30 days after they expired");
    if (!state.refusing.empty()) return refuse(Errc::kUnavailable, state.refusing);
    EnrolmentRecord record;
    record.id = request.id;
    record.verify_key = request.verify_key;
    record.labels = request.labels;
    record.uses = request.uses;
    record.made = now.wall;
    record.expires = WallTime{Ms(now.wall) + request.valid.count()};
    out.records.emplace_back(record);
    EventRecord& event = Tell(out, now, EventKind::kEnrolmentMade);
    event.by = asker.name;
    event.subject = FormatEnrolmentId(record.id);
    access.enrolments[request.id] = std::move(record);
  }
  Answer(out, asker,
         EnrolmentMade{ViewOf(access.enrolments.at(request.id)), access.host, access.advertised, access.enrol_port});
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const RevokeEnrolment& request) {
  const auto found = state.access.enrolments.find(request.id);
  if (found == state.access.enrolments.end())
    return Refuse(out, asker, Errc::kNotFound,
                  "there is no enrolment " + FormatEnrolmentId(request.id) + "; `furrow enrol list` shows them");
  EnrolmentRecord& record = found->second;
  if (record.revoked == WallTime{}) {
    record.revoked = now.wall;
    out.records.emplace_back(record);
    EventRecord& event = Tell(out, now, EventKind::kEnrolmentRevoked);
    event.by = asker.name;
    event.subject = FormatEnrolmentId(record.id);
  }
  const std::string left = record.used.empty() ? ""
                                               : "; the " + std::to_string(record.used.size()) +
                                                     " that it let in stay: `furrow keys revoke` revokes them";
  Answer(out, asker, Done{"enrolment " + FormatEnrolmentId(record.id) + " lets nobody in any more" + left});
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListEnrolments&) {
  EnrolmentList list;
  for (const auto& [id, record] : state.access.enrolments) list.enrolments.push_back(ViewOf(record));
  std::sort(list.enrolments.begin(), list.enrolments.end(),
            [](const auto& a, const auto& b) { return a.made > b.made; });
  Answer(out, asker, std::move(list));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const ListKeys&) {
  KeyList list;
  for (const auto& [public_key, record] : state.access.keys) {
    list.keys.push_back(ViewOf(state, record));
  }
  std::sort(list.keys.begin(), list.keys.end(),
            [](const auto& a, const auto& b) { return std::tie(a.role, a.name) < std::tie(b.role, b.name); });
  Answer(out, asker, std::move(list));
}

void On(State& state, Outbox& out, Now, const Asker& asker, const RevokeKey& request) {
  const std::vector<const KeyRecord*> found = KeysNamed(state.access, request.what);
  const auto refuse = [&](Errc code, std::string message) { Refuse(out, asker, code, std::move(message)); };
  if (found.empty())
    return refuse(Errc::kNotFound,
                  "no key has the name or fingerprint " + request.what + "; `furrow keys` shows all of them");
  if (found.size() > 1) {
    std::string message = request.what + " means several keys; say which by its fingerprint:";
    for (const KeyRecord* key : found)
      message += "\n  " + FingerprintOf(key->public_key) + "  " + RoleWord(key->role) + key->name;
    return refuse(Errc::kInvalid, std::move(message));
  }
  const KeyRecord& key = *found.front();
  if (key.role == KeyRole::kClient && key.name == kLocalClient)
    return refuse(Errc::kRejected,
                  "client local is the command line on the controller's own machine, let in anew at each "
                  "start; it cannot be revoked");
  const auto agent = key.role == KeyRole::kAgent ? state.agents.find(key.name) : state.agents.end();
  // The Reregister leaves before the key does: the agent registers again, gets no answer, and finds out why.
  if (agent != state.agents.end() && agent->second.link.session)
    out.to_agents.push_back({agent->second.link.session->peer, Reregister{agent->second.link.session->id}});
  const std::uint64_t ticket = ++state.access.last_ticket;
  state.access.revoking[ticket] = {asker, key, agent != state.agents.end() && agent->second.link.session.has_value()};
  out.access.emplace_back(DropKey{ticket, key.public_key});
}

void On(State& state, Outbox& out, Now, const KeyDropped& event) {
  const auto found = state.access.revoking.find(event.ticket);
  if (found == state.access.revoking.end()) return;
  const Access::Revocation waiting = std::move(found->second);
  state.access.revoking.erase(found);
  if (!event.status) return Refuse(out, waiting.asker, event.status.error().code, event.status.error().message);
  const bool agent = waiting.key.role == KeyRole::kAgent;
  Answer(out, waiting.asker,
         Done{RoleWord(waiting.key.role) + waiting.key.name + " (" + FingerprintOf(waiting.key.public_key) +
              ") is revoked" + (waiting.was_connected ? "; its session is ended" : "") +
              (agent ? JobsLeft(state, waiting.key.name) : "")});
}

void On(State& state, Outbox& out, Now now, const AllowlistRead& event) {
  Access& access = state.access;
  std::map<std::string, KeyRecord> keys;
  for (const AllowedKey& allowed : event.keys) {
    const KeyRole role = allowed.who.role == Role::kAgent ? KeyRole::kAgent : KeyRole::kClient;
    const auto known = access.keys.find(allowed.public_key);
    if (known != access.keys.end() && WhoHas(known->second) == allowed.who) {
      keys.insert(access.keys.extract(known));
      continue;
    }
    KeyRecord record{allowed.public_key, role, allowed.who.name, now.wall, EnrolmentId{}};
    for (auto& [id, enrolment] : access.enrolments)
      if (role == KeyRole::kAgent && FindUse(enrolment, allowed.public_key) != nullptr) record.enrolment = id;
    out.records.emplace_back(record);
    EventRecord& admitted = Tell(out, now, EventKind::kKeyAdmitted);
    admitted.subject = record.name;
    admitted.detail = record.public_key;
    keys[allowed.public_key] = std::move(record);
  }
  for (auto& [public_key, gone] : access.keys) {  // the keys that the new list does not take over
    if (gone.role == KeyRole::kAgent)
      if (Agent* agent = state.FindAgent(gone.name); agent != nullptr) EndSession(state, *agent);
    if (keys.contains(public_key)) continue;  // The key has another name now.
    out.records.emplace_back(EraseKey{public_key});
    EventRecord& revoked = Tell(out, now, EventKind::kKeyRevoked);
    revoked.subject = gone.name;
    revoked.detail = public_key;
    for (const auto& [ticket, asked] : access.revoking)
      if (asked.key.public_key == public_key) revoked.by = asked.asker.name;
  }
  access.SetKeys(std::move(keys));
  access.read = true;
  NoteRevokedAgents(state, now);
  state.plan_needed = true;
}

void ForgetRevokedAgents(State& state, Outbox& out, Now now) {
  std::erase_if(state.access.revoked_agents, [&](const auto& entry) {
    const Agent* agent = state.FindAgent(entry.first);
    if (agent == nullptr) return true;
    if (now.mono - entry.second < kAllowlistEdit || agent->link.session || !agent->booked.jobs.empty() ||
        !agent->link.orphaned.empty())
      return false;
    out.records.emplace_back(EraseAgent{agent->name});
    Tell(out, now, EventKind::kAgentForgotten, *agent);
    Unfile(state, state.agents.at(entry.first));
    state.agents.erase(entry.first);
    state.plan_needed = true;  // The reason why a job waits may be another one now.
    return true;
  });
}

void On(State& state, Outbox& out, Now now, const EnrolAsked& asked) {
  Access& access = state.access;
  const auto refuse = [&](EnrolRefusal reason, std::string message) {
    out.access.emplace_back(RefuseKey{asked.ticket, reason, std::move(message)});
  };
  const EnrolProve& prove = asked.prove;
  const auto found = access.enrolments.find(prove.enrolment);
  if (found == access.enrolments.end())
    return refuse(EnrolRefusal::kUnknown, "the controller knows no enrolment " + FormatEnrolmentId(prove.enrolment) +
                                              ": the line is of another farm, or long expired; make another with "
                                              "`furrow enrol new`");
  EnrolmentRecord& enrolment = found->second;
  if (!CheckEnrolment(enrolment.verify_key,
                      {prove.enrolment, access.public_key, asked.key, prove.name, prove.challenge}, prove.proof))
    return refuse(EnrolRefusal::kWrongSecret, "the secret in this line is wrong; copy the line anew");
  if (enrolment.revoked != WallTime{})
    return refuse(EnrolRefusal::kRevoked, "this line was revoked; make another with `furrow enrol new`");
  EnrolmentUseRecord* use = FindUse(enrolment, asked.key);
  const bool inside = access.keys.contains(asked.key);
  if (use != nullptr && use->admitted && !inside)
    return refuse(EnrolRefusal::kRevoked, "this machine's key was revoked; enrol with --replace and another line");
  // The machine asks again: its answer was lost, or the controller stopped in between.
  if (use != nullptr) {
    out.access.emplace_back(
        AdmitKey{asked.ticket, enrolment.id, {{Role::kAgent, use->name}, asked.key}, enrolment.labels});
    return;
  }
  const auto [reason, message] = ObstacleOf(state, enrolment, now, asked);
  if (!message.empty()) return refuse(reason, message);
  enrolment.used.push_back({asked.key, prove.name, now.wall, false});
  access.joining[prove.name] = asked.key;
  out.records.emplace_back(enrolment);
  out.access.emplace_back(
      AdmitKey{asked.ticket, enrolment.id, {{Role::kAgent, prove.name}, asked.key}, enrolment.labels});
}

void On(State& state, Outbox& out, Now, const KeyAdmitted& event) {
  Access& access = state.access;
  if (const auto joining = access.joining.find(event.key.who.name);
      joining != access.joining.end() && joining->second == event.key.public_key)
    access.joining.erase(joining);
  const auto found = access.enrolments.find(event.enrolment);
  if (found == access.enrolments.end()) return;
  EnrolmentRecord& enrolment = found->second;
  EnrolmentUseRecord* use = FindUse(enrolment, event.key.public_key);
  if (use == nullptr || use->admitted) return;
  if (event.status) {
    use->admitted = true;
  } else {
    std::erase_if(enrolment.used, [&](const auto& one) { return one.public_key == event.key.public_key; });
  }
  out.records.emplace_back(enrolment);
}

}  // namespace furrow
