#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "controller/reactor/agents.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"
#include "controller/reactor/timeline.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

// An agent that shows an assignment in none of so many heartbeats cannot take the job.
constexpr int kHeartbeatsToTake = 60;
// An agent that holds more attempts which are not current is told of the others at its next heartbeats.
constexpr std::size_t kKillsAtOnce = 1000;

// Ends the attempt of a job whose agent lost it.
void LoseAttempt(State& state, Outbox& out, Now now, JobId id, const std::string& why) {
  const auto [run, job] = state.FindJob(id);
  AttemptRecord attempt;
  attempt.started = job->started;
  attempt.ended = now.wall;
  attempt.outcome = {OutcomeKind::kLost, 0, 0, why};
  attempt.log.location.storage = LogStorage::kOwnFile;  // the part of the log that arrived
  EndAttempt(state, out, now, *run, *job, std::move(attempt));
}

// Compares the attempts that an agent holds with the attempts that the state assigns to the agent.
void Reconcile(State& state, Outbox& out, Now now, Agent& agent, const std::vector<HeldAttempt>& held, bool fresh) {
  const Session session = *agent.link.session;
  std::set<JobId> present;
  std::size_t kills = 0;
  for (const HeldAttempt& one : held) {
    const auto [run, job] = state.FindJob(one.attempt.job);
    const bool current =
        job != nullptr && job->OnAgent() && job->agent == agent.name && job->epoch == one.attempt.epoch;
    const bool outdated = IsOutdated(state, one.attempt.epoch);
    if (current) present.insert(job->id);  // An outdated attempt blocks its job until the agent has ended it.
    if (!current || outdated) {
      if (++kills > kKillsAtOnce) continue;
      const char* why = outdated ? "the controller was restored to a time before this attempt" : "no longer current";
      out.to_agents.push_back({session.peer, Kill{session.id, one.attempt, why, true}});
      continue;
    }
    agent.link.orphaned.erase(one.attempt);
    if (one.phase == Phase::kRunning && job->state == JobState::kAssigned) {
      job->state = JobState::kRunning;
      if (job->started == WallTime{}) job->started = now.wall;
      MarkChanged(state, *run, *job);
    }
    const bool sent_lately = !fresh && now.mono - job->last_sent < state.settings.heartbeat;
    if (job->cancelling && one.phase != Phase::kReporting && !sent_lately) {
      job->last_sent = now.mono;
      out.to_agents.push_back({session.peer, Kill{session.id, one.attempt, "cancelled", false}});
    }
  }
  const std::vector<JobId> assigned(agent.booked.jobs.begin(), agent.booked.jobs.end());
  for (JobId id : assigned) {
    if (present.contains(id)) continue;
    const auto [run, job] = state.FindJob(id);
    if (IsOutdated(state, job->epoch)) {
      LoseAttempt(state, out, now, id, "ended, for the controller was restored to an earlier time");
      continue;
    }
    if (agent.link.orphaned.contains(job->attempt()))
      // The attempt may still run there until its lease ends: see CheckLeases.
      continue;
    if (job->incarnation != agent.incarnation) {
      LoseAttempt(state, out, now, id, "agent " + agent.name + " came back without its state folder");
      continue;
    }
    if (!fresh && now.mono - job->last_sent < state.settings.heartbeat) continue;  // The Assign is on its way.
    // The Assign never arrived, and the job is cancelled now.
    if (job->cancelling) {
      LoseAttempt(state, out, now, id, "cancelled before agent " + agent.name + " had it");
      continue;
    }
    if (state
            .behind) {  // The Assign itself may still wait for the disk: neither is it late, nor does another one help.
      job->first_sent = now.mono;
      continue;
    }
    if (now.mono - job->first_sent > state.settings.heartbeat * kHeartbeatsToTake) {
      LoseAttempt(state, out, now, id,
                  "agent " + agent.name + " (" + agent.software + ") did not take it; see its log");
      continue;
    }
    RepeatAssign(state, out, now, *run, *job);
  }
}

constexpr std::size_t kSupersededKept = 32;
constexpr std::int64_t kMostAheadMs = 1'000'000'000'000;  // 31 years; an agent may say any number
constexpr int kConflictShown = 20;                        // heartbeats after the last try of the other process

// Returns why this registration may not have the agent's session; empty: the registration may. Of two agents that live
// at once one is a copy; two that took the session from each other in turn would lose each other's jobs.
std::string ConflictOf(const State& state, Now now, PeerId peer, const Agent& known, const Register& message) {
  const bool lives = known.link.session && now.mono - known.link.heard < state.settings.heartbeat * 3;
  if (!lives || known.link.session->peer == peer) return "";
  const bool both_say = !message.process.IsZero() && !known.link.process.IsZero();
  if (both_say && message.process == known.link.process) return "";  // a new connection
  if (both_say && known.link.superseded.contains(message.process))
    return "another furrow-agent with this state folder and key has taken over on " + known.host +
           "; stop one of the two, or enrol one anew with `furrow-agent enrol --replace`";
  const bool same_folder = message.incarnation == known.incarnation;
  if (!both_say || known.machine.IsZero() || message.machine.IsZero())
    return same_folder ? ""
                       : "an agent named " + known.name + " is connected from " + known.host +
                             "; give one of the two another name and key";
  if (message.machine != known.machine)
    return "agent " + known.name + " is connected from another machine (" + known.host +
           ") with the same key: one of the two is a copy. Enrol this one anew: `furrow-agent enrol --replace`";
  if (message.boot != known.boot)
    return "agent " + known.name + " is connected from " + known.host + ", a machine with the same id as this one (" +
           message.host +
           "). If this machine has just been started again it is let in within a minute; if it is a copy, enrol "
           "it anew: `furrow-agent enrol --replace`";
  if (!same_folder)
    return "an agent named " + known.name + " is connected from " + known.host +
           " with another state folder; stop one of "
           "the two";
  return "";  // The agent was restarted.
}

// Marks the attempts that the agent had on another machine, or before this machine was started again, and those that
// ran there but are not known to a new process of it, whose runner has lost its records. They may still run there under
// their lease, or may never have arrived, so nobody assigns them again until that lease ends.
void LeaveBehind(const State& state, Agent& agent, const Register& message) {
  const bool both_say = !message.machine.IsZero() && !agent.machine.IsZero();
  const bool elsewhere = both_say && (message.machine != agent.machine || message.boot != agent.boot);
  const bool new_process =
      !agent.link.process.IsZero() && agent.link.process != message.process && message.incarnation == agent.incarnation;
  if (!elsewhere && !new_process) return;
  std::set<AttemptRef> held, left;
  for (const HeldAttempt& one : message.held) held.insert(one.attempt);
  for (const JobId id : agent.booked.jobs) {
    const Job& job = *state.FindJob(id).second;
    if (elsewhere || (job.state == JobState::kRunning && !held.contains(job.attempt()))) left.insert(job.attempt());
  }
  if (!elsewhere && left.empty()) return;
  agent.link.orphaned = std::move(left);
  agent.link.orphaned_heard = agent.link.heard;
  agent.link.orphaned_lease = agent.lease;
}

}  // namespace

void EndSession(State& state, Agent& agent) {
  if (!agent.link.session) return;
  state.sessions.erase(agent.link.session->id);
  agent.link.session.reset();
  File(state, agent);
}

Status On(State& state, Outbox& out, Now now, const Sender& from, const Register& message) {
  const std::string& name = from.agent;
  const auto refuse = [&](std::string reason, Duration retry) {
    out.to_agents.push_back({from.peer, Refused{message.nonce, std::move(reason),
                                                static_cast<std::uint32_t>(retry / std::chrono::milliseconds(1))}});
    return Status{};
  };
  const auto version =
      NegotiateProtocol(state.settings.protocol, state.software, {message.oldest_version, message.newest_version},
                        name + ", " + message.software);
  if (!version) return refuse(version.error().message, std::chrono::minutes(1));
  Agent* known = state.FindAgent(name);
  if (known == nullptr && state.agents.size() >= state.settings.max_agents) {
    return refuse(
        "the controller has its most agents already (max_agents: " + std::to_string(state.settings.max_agents) + ")",
        std::chrono::minutes(1));
  }
  if (known != nullptr) {
    if (std::string conflict = ConflictOf(state, now, from.peer, *known, message); !conflict.empty()) {
      known->link.conflict = "its key is also used by " + (message.host.empty() ? "another agent" : message.host) +
                             ", which is refused: " + conflict;
      known->link.conflict_seen = now.mono;
      return refuse(std::move(conflict), state.settings.heartbeat * 3);
    }
  }
  Agent& agent = state.agents[name];
  EndSession(state, agent);
  LeaveBehind(state, agent, message);
  if (!agent.link.process.IsZero() && agent.link.process != message.process) {
    if (agent.link.superseded.size() >= kSupersededKept) agent.link.superseded.clear();
    agent.link.superseded.insert(agent.link.process);
  }
  agent.link.superseded.erase(message.process);
  agent.machine = message.machine;
  agent.boot = message.boot;
  agent.link.process = message.process;
  agent.name = name;
  agent.host = message.host;
  agent.software = message.software;
  agent.incarnation = message.incarnation;
  agent.offer = message.offer;
  agent.link.heard = now.mono;
  agent.last_seen = now.wall;
  agent.lease = std::max(agent.lease, state.settings.lease);
  agent.link.welcomed = now.mono;
  agent.link.session = Session{SessionId{state.boot << 32 | ++state.sessions_made}, from.peer};
  state.sessions[agent.link.session->id] = name;
  File(state, agent);
  out.records.emplace_back(agent.record());
  Tell(out, now, EventKind::kAgentConnected, agent).detail = agent.host;
  out.to_agents.push_back(
      {from.peer, Welcome{agent.link.session->id, message.nonce, *version,
                          static_cast<std::uint32_t>(state.settings.heartbeat / std::chrono::milliseconds(1)),
                          static_cast<std::uint32_t>(state.settings.lease / std::chrono::milliseconds(1)), now.wall,
                          state.farm.id, state.farm.timeline}});
  Reconcile(state, out, now, agent, message.held, /*fresh=*/true);
  state.plan_needed = true;
  return {};
}

Status On(State& state, Outbox& out, Now now, const Sender& from, const Heartbeat& message) {
  Agent& agent = state.agents.at(from.agent);
  agent.link.clock_ahead_ms = std::clamp(message.clock_ahead_ms, -kMostAheadMs, kMostAheadMs);
  if (agent.link.condition.empty() != message.condition.empty()) {
    agent.link.condition = message.condition;
    File(state, agent);
    state.plan_needed = true;
  }
  agent.link.condition = message.condition;
  // By now the agent has the Welcome, and every lease that it got before has ended.
  if (agent.lease != state.settings.lease && agent.link.orphaned.empty() &&
      now.mono - agent.link.welcomed > state.settings.WithMargin(agent.lease)) {
    agent.lease = state.settings.lease;
    out.records.emplace_back(agent.record());
  }
  out.to_agents.push_back({from.peer, HeartbeatAck{message.session, message.sequence}});
  Reconcile(state, out, now, agent, message.held, /*fresh=*/false);
  return {};
}

void CheckLeases(State& state, Outbox& out, Now now) {
  for (auto& [name, agent] : state.agents) {
    const Duration silent = now.mono - agent.link.heard;
    if (agent.link.session && silent > state.settings.heartbeat * 3) {
      EndSession(state, agent);
      out.records.emplace_back(agent.record());
      Tell(out, now, EventKind::kAgentAway, agent);
    }
    if (now.mono - agent.link.conflict_seen > state.settings.heartbeat * kConflictShown) agent.link.conflict.clear();
    if (!agent.link.orphaned.empty() &&
        now.mono - agent.link.orphaned_heard > state.settings.WithMargin(agent.link.orphaned_lease)) {
      for (const AttemptRef& attempt : std::exchange(agent.link.orphaned, {}))
        if (const Job* job = state.FindJob(attempt.job).second;
            job != nullptr && job->OnAgent() && job->agent == name && job->attempt() == attempt)
          LoseAttempt(
              state, out, now, attempt.job,
              "agent " + name +
                  " came back without it: on another machine, after a reboot, or without the records of its runner");
    }
    if (agent.booked.jobs.empty() || silent <= state.settings.WithMargin(agent.lease)) continue;
    const std::vector<JobId> jobs(agent.booked.jobs.begin(), agent.booked.jobs.end());
    const std::string why =
        "agent " + name + " was not heard for " + std::to_string(silent / std::chrono::seconds(1)) + " s";
    for (JobId id : jobs) LoseAttempt(state, out, now, id, why);
  }
}

}  // namespace furrow
