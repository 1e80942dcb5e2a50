#include "agent/runner/process_owners.h"

#include <algorithm>

#include "agent/runner/log.h"
#include "agent/runner/protocol.h"

namespace furrow::runner {

void ProcessOwners::AddJob(const AttemptRef& ref, std::string token, std::string workspace, std::string spool) {
  Job& job = jobs_[ref];
  job.token = std::move(token);
  job.workspace = std::move(workspace);
  job.spool = std::move(spool);
  job.since = TicksSinceBoot();
}

void ProcessOwners::AddLeader(const AttemptRef& ref, const Leader& leader) {
  jobs_[ref].leaders.push_back(leader);
  leaders_[leader.pid] = ref;
}

void ProcessOwners::SetEnding(const AttemptRef& ref) {
  jobs_[ref].ending = true;
}

void ProcessOwners::RemoveJob(const AttemptRef& ref) {
  jobs_.erase(ref);
  for (auto it = known_.begin(); it != known_.end();) {
    Known& known = it->second;
    const bool last = known.suspects.erase(ref) > 0 && known.suspects.empty();
    it = last && !known.denied ? known_.erase(it) : std::next(it);
  }
}

std::optional<AttemptRef> ProcessOwners::OnReaped(pid_t pid) {
  known_.erase(pid);
  const auto leader = leaders_.find(pid);
  if (leader == leaders_.end()) return std::nullopt;
  const AttemptRef ref = leader->second;
  leaders_.erase(leader);
  return ref;
}

std::set<AttemptRef> ProcessOwners::SuspectsOf(const Process& process) const {
  const Leader* nearest = nullptr;  // the last leader before the process that had the pid of its session
  AttemptRef owner;
  for (const auto& [ref, job] : jobs_) {
    for (const Leader& leader : job.leaders) {
      if (leader.pid != process.session || leader.earliest > process.start) continue;
      if (nearest != nullptr && leader.earliest < nearest->earliest) continue;
      nearest = &leader;
      owner = ref;
    }
  }
  if (nearest != nullptr) return {owner};
  const std::string token = TokenOf(process.pid);
  for (const auto& [ref, job] : jobs_) {
    if (!token.empty() && job.token == token) return {ref};
  }
  std::set<AttemptRef> suspects;
  for (const auto& [ref, job] : jobs_) {
    if (UsesFiles(process.pid, job.workspace, job.spool)) return {ref};
    if (job.since <= process.start) suspects.insert(ref);
  }
  return suspects;
}

void ProcessOwners::Look() {
  orphans_.clear();
  for (const pid_t pid : children_.Read()) {
    if (leaders_.contains(pid)) continue;
    const auto process = ReadProcess(pid);
    if (!process || process->state == 'Z' || process->state == 'X') continue;  // SIGCHLD reports the dead.
    const auto it = known_.find(pid);
    if (it == known_.end() || it->second.start != process->start) {
      Known known{process->start, SuspectsOf(*process)};
      if (known.suspects.empty()) {  // All jobs that the process may belong to have ended.
        known.denied = SignalExactly(*process, SIGKILL) == Signalled::kDenied;
        if (known.denied) Log("process " + std::to_string(pid) + " outlived its job and may not be killed by us");
      }
      known_[pid] = std::move(known);
    }
    orphans_.push_back(*process);
  }
}

bool ProcessOwners::Dooms(const Known& known, const AttemptRef& ref) const {
  return !known.denied && known.suspects.contains(ref) &&
         std::all_of(known.suspects.begin(), known.suspects.end(), [&](const AttemptRef& suspect) {
           const auto it = jobs_.find(suspect);
           return it == jobs_.end() || it->second.ending;
         });
}

bool ProcessOwners::HasOrphans(const AttemptRef& ref) {
  Look();
  return std::any_of(orphans_.begin(), orphans_.end(), [&](const Process& p) { return Dooms(known_[p.pid], ref); });
}

void ProcessOwners::Signal(const AttemptRef& ref, const Process& process, const std::set<AttemptRef>& suspects,
                           int signal) {
  Known& known = known_[process.pid];  // The entry keeps the owner, in case the parent dies first.
  if (known.start != process.start) known = Known{process.start, suspects};
  if (known.denied || process.state == 'Z' || (signal == SIGTERM && known.terminated == process.image)) return;
  if (signal == SIGTERM) known.terminated = process.image;
  const Signalled sent = SignalExactly(process, signal);
  if (sent == Signalled::kSent && signal == SIGTERM)
    SignalExactly(process, SIGCONT);  // A stopped process could not act on SIGTERM.
  if (sent != Signalled::kDenied) return;
  known.denied = true;
  Log(Describe(ref) + ": process " + std::to_string(process.pid) + " runs as another user and may not be killed by us");
}

void ProcessOwners::SignalAll(const AttemptRef& ref, int signal) {
  Look();
  const std::vector<Process> all = ReadAllProcesses();
  for (const Process& process : all) {
    const auto leader = leaders_.find(process.pid);
    if (leader == leaders_.end() || leader->second != ref) continue;
    for (const Process& below : DescendantsOf(process.pid, all)) Signal(ref, below, {ref}, signal);
    Signal(ref, process, {ref}, signal);
  }
  for (const Process& orphan : orphans_) {
    if (!Dooms(known_[orphan.pid], ref)) continue;
    const std::set<AttemptRef> suspects = known_[orphan.pid].suspects;
    for (const Process& below : DescendantsOf(orphan.pid, all)) Signal(ref, below, suspects, signal);
    Signal(ref, orphan, suspects, signal);
  }
}

}  // namespace furrow::runner
