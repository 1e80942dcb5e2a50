#include "agent/reactor/session.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/reactor/job_start.h"
#include "agent/reactor/jobs.h"
#include "agent/reactor/reports.h"
#include "common/wire/unreadable.h"
#include "schemas/agent.h"

namespace furrow {
namespace {

// The agent waits kRegisterWait for an answer to Register and doubles the wait up to kRegisterMost, so that a busy
// controller has time to answer the newest Register.
constexpr Duration kRegisterWait = std::chrono::seconds(1);
constexpr Duration kRegisterMost = std::chrono::seconds(4);
constexpr Duration kDoneMemory = std::chrono::seconds(60);  // No message is under way for longer.
constexpr std::size_t kDoneLimit = 200000;
// A disk with less room than this, or half of disk.low, is full: whatever is written to it fails sooner or later.
constexpr std::uint64_t kDiskFull = 4u << 20;
constexpr std::uint64_t kDiskNear = 4ull << 30;  // more than a job writes between two looks
constexpr Duration kDiskLook = std::chrono::seconds(1);
constexpr Duration kDiskLookNear = std::chrono::milliseconds(100);
constexpr Duration kFullRest = std::chrono::seconds(10);  // without new jobs after the disk was full

// Returns the free space below which a job may fill the disk and remove what it wrote between two looks.
std::uint64_t DiskNear(const AgentState& state) {
  return std::max(kDiskNear, 2 * state.settings.disk_low_bytes);
}

// Returns a share of `span` by agent and by try, so that thousands of agents do not register at once.
Duration Jitter(const AgentState& state, Duration span) {
  std::uint64_t mixed = (state.settings.seed ^ state.nonce * 0x9E3779B97F4A7C15ULL) * 0xBF58476D1CE4E5B9ULL;
  mixed ^= mixed >> 31;
  return span * static_cast<std::int64_t>(mixed % 1024) / 1024;
}

std::vector<HeldAttempt> HeldList(const AgentState& state) {
  std::vector<HeldAttempt> held;
  held.reserve(state.jobs.size());
  for (const auto& [ref, job] : state.jobs) held.push_back({ref, job.phase()});
  return held;
}

void SendRegister(AgentState& state, AgentOutbox& out, Now now) {
  ++state.nonce;
  state.registering = true;
  state.register_sent = now.mono;
  state.register_sent_wall = now.wall;
  const Duration wait = std::min(kRegisterWait * (1 << std::min(state.register_tries++, 4)), kRegisterMost);
  state.register_next = now.mono + wait + Jitter(state, wait / 2);
  Register message;
  message.oldest_version = state.settings.protocol.oldest;
  message.newest_version = state.settings.protocol.newest;
  message.software = state.settings.software;
  message.host = state.settings.host;
  message.incarnation = state.incarnation;
  message.nonce = state.nonce;
  message.offer = state.offer;
  message.held = HeldList(state);
  message.machine = state.identity.machine;
  message.boot = state.identity.boot;
  message.process = state.identity.process;
  out.to_controller.emplace_back(std::move(message));
}

void SendHeartbeat(AgentState& state, AgentOutbox& out, Now now) {
  AgentSession& session = *state.session;
  session.heartbeat_sent = now.mono;
  session.unanswered[++session.sequence] = now.mono;
  if (session.unanswered.size() > 1000) session.unanswered.erase(session.unanswered.begin());
  out.to_controller.emplace_back(
      Heartbeat{session.id, session.sequence, HeldList(state), session.clock_ahead_ms, state.condition});
}

// Extends the agent's lease, which ends earlier than the controller's by the time of a kill: no job runs when the
// controller's lease ends.
void RenewLease(AgentState& state, AgentOutbox& out, TimePoint sent) {
  const Duration lease = state.session->lease;
  state.lease_grace = std::min(state.settings.kill_grace, lease / 4);
  const TimePoint until = sent + lease - state.lease_grace;
  if (state.lease_until && *state.lease_until >= until) return;
  state.lease_until = out.lease_until = until;
}

// Returns how far this clock is certainly ahead of the controller's, in milliseconds; 0: no difference is certain. The
// controller read its clock at some time between Register and now, so half of that span is doubt.
std::int64_t ClockAhead(const AgentState& state, Now now, WallTime controller) {
  if (controller == WallTime{}) return 0;
  const auto sent = static_cast<std::int64_t>(state.register_sent_wall);
  const std::int64_t doubt = (static_cast<std::int64_t>(now.wall) - sent) / 2;
  const std::int64_t ahead = sent + doubt - static_cast<std::int64_t>(controller);
  if (ahead > 0) return std::max<std::int64_t>(ahead - std::abs(doubt), 0);
  return std::min<std::int64_t>(ahead + std::abs(doubt), 0);
}

bool IsOurs(const AgentState& state, SessionId session) {
  return state.session && state.session->id == session;
}

void ShowStarted(AgentState& state, AgentOutbox& out, Now now) {
  while (!state.just_started.empty() && state.just_started.front().first <= now.mono) {
    const AttemptRef ref = state.just_started.front().second;
    state.just_started.pop_front();
    const auto it = state.jobs.find(ref);
    if (it == state.jobs.end() || it->second.stage != HeldJob::Stage::kRunning || it->second.shown) continue;
    it->second.shown = true;
    out.uploads.emplace_back(FollowOf(state, it->second, /*resumed=*/false));
    if (state.session) out.to_controller.emplace_back(Started{state.session->id, ref, it->second.report.started});
  }
}

}  // namespace

Status OnControllerFrame(AgentState& state, AgentOutbox& out, Now now, std::string_view frame) {
  const Result<ToAgent> message = DecodeToAgent(frame);
  if (message) return OnControllerMessage(state, out, now, *message);
  if (const auto assigned = AssignedAttemptOf(frame))
    OnUnreadableAssign(state, out, now, assigned->session, assigned->attempt, message.error().message);
  return tl::unexpected(Annotate(message.error(), "a frame from the controller is not understood"));
}

Status OnControllerMessage(AgentState& state, AgentOutbox& out, Now now, const ToAgent& message) {
  return std::visit(
      [&](const auto& one) -> Status {
        if constexpr (requires { one.nonce; } || std::is_same_v<decltype(one), const Reregister&>) {
          return On(state, out, now, one);
        } else {
          if (!IsOurs(state, one.session)) return Fail(Errc::kRejected, "a message of a session that is over");
          return On(state, out, now, one);
        }
      },
      message);
}

Status On(AgentState& state, AgentOutbox& out, Now now, const Welcome& message) {
  if (!state.registering || message.nonce != state.nonce)
    return Fail(Errc::kRejected, "a Welcome to an earlier registration");
  const ProtocolRange& ours = state.settings.protocol;
  if (message.version < ours.oldest || message.version > ours.newest)
    return Fail(Errc::kRejected, "the controller chose protocol " + std::to_string(message.version) +
                                     ", which this agent does not speak; upgrade the older of the two");
  state.registering = false;
  state.register_tries = 0;
  state.refused.clear();
  state.session.emplace();
  state.session->id = message.session;
  state.session->heartbeat = std::chrono::milliseconds(std::max(1u, message.heartbeat_ms));
  state.session->lease = std::chrono::milliseconds(std::max(1u, message.lease_ms));
  state.session->clock_ahead_ms = ClockAhead(state, now, message.wall);
  state.session->heartbeat_sent = now.mono;
  state.done.clear();  // A repeated Assign of an earlier session is refused anyway.
  state.done_order.clear();
  RenewLease(state, out, state.register_sent);
  for (auto& [ref, job] : state.jobs)
    if (job.shown && job.stage == HeldJob::Stage::kRunning)
      out.to_controller.emplace_back(Started{message.session, ref, job.report.started});
  if (!state.condition.empty()) SendHeartbeat(state, out, now);
  SendReports(state, out, now, /*all=*/true);
  return {};
}

Status On(AgentState& state, AgentOutbox&, Now now, const Refused& message) {
  if (message.nonce == 0) return Fail(Errc::kRejected, "the controller: " + message.reason);
  if (!state.registering || message.nonce != state.nonce)
    return Fail(Errc::kRejected, "a refusal of an earlier registration");
  state.registering = false;
  state.register_tries = 0;
  state.refused = message.reason;
  const Duration wait = std::chrono::milliseconds(std::max(1000u, message.retry_ms));
  state.register_next = now.mono + wait + Jitter(state, wait / 4);
  return Fail(Errc::kRejected, "the controller refuses this agent: " + message.reason);
}

Status On(AgentState& state, AgentOutbox&, Now now, const Reregister& message) {
  if (!IsOurs(state, message.session)) return Fail(Errc::kRejected, "Reregister for a session that is over");
  state.session.reset();
  state.registering = false;
  state.register_next = now.mono + Jitter(state, std::chrono::milliseconds(200));
  return {};
}

Status On(AgentState& state, AgentOutbox& out, Now, const HeartbeatAck& message) {
  auto& unanswered = state.session->unanswered;
  const auto sent = unanswered.find(message.sequence);
  if (sent == unanswered.end()) return {};
  RenewLease(state, out, sent->second);
  unanswered.erase(unanswered.begin(), std::next(sent));
  return {};
}

void OnConnected(AgentState& state, AgentOutbox& out, Now now) {
  if (state.session)
    SendHeartbeat(state, out, now);
  else if (state.register_tries > 0)  // After a refusal there is none, and the controller says how long to wait.
    state.register_next = now.mono;
}

void OnSettings(AgentState& state, AgentOutbox& out, Now now, AgentSettings settings, Offer offer,
                std::uint64_t cache_bytes) {
  state.settings = std::move(settings);
  out.workspace.emplace_back(LimitCache{cache_bytes});
  if (state.stopping || state.offer == offer) return;  // A stopping agent offers nothing.
  state.offer = std::move(offer);
  state.session.reset();
  state.registering = false;
  state.register_next = now.mono;
}

void OnDiskSpace(AgentState& state, AgentOutbox& out, Now now, FreeSpace free) {
  state.disk_free = free;
  const std::uint64_t free_bytes = free.bytes;
  const std::uint64_t low = state.settings.disk_low_bytes;
  const bool is_full = free_bytes < (low == 0 ? kDiskFull : std::min(kDiskFull, low / 2));
  if (is_full) state.disk_full_at = now.mono;
  for (auto& [ref, job] : state.jobs) {
    if (job.stage == HeldJob::Stage::kCollecting || job.stage == HeldJob::Stage::kReporting) continue;
    job.disk_full = job.disk_full || is_full;
    job.disk_near = job.disk_near || is_full || free_bytes < DiskNear(state);
  }
  const bool was_low = !state.condition.empty();
  // A disk that was full has room again as soon as the job is gone that filled it, which then is tried here first.
  const bool was_full = state.disk_full_at && now.mono - *state.disk_full_at < kFullRest;
  const bool is_low = was_full || free_bytes < (was_low ? low + low / 16 : low);  // The margin keeps it from flapping.
  if (is_low == was_low) return;
  if (!is_low)
    state.condition.clear();
  else if (was_full)
    state.condition = "its disk is full: " + InWords(free);
  else
    state.condition =
        "its disk is nearly full: " + InWords(free) + ", less than disk.low (" + std::to_string(low >> 20) + " MiB)";
  if (state.session) SendHeartbeat(state, out, now);
}

std::string DiskWasFull(const AgentState& state) {
  return "this agent's disk (" + state.settings.state_folder + ") was full while it ran";
}

Duration NextDiskLook(const AgentState& state, std::uint64_t free_bytes) {
  const bool runs =
      std::any_of(state.jobs.begin(), state.jobs.end(), [](const auto& one) { return one.second.InRunner(); });
  return runs && free_bytes < DiskNear(state) ? kDiskLookNear : kDiskLook;
}

void OnStop(AgentState& state, AgentOutbox& out, Now now) {
  state.stopping = true;
  state.offer = {};
  state.session.reset();
  state.registering = false;
  state.register_next = now.mono;
  std::vector<AttemptRef> unstarted;
  for (const auto& [ref, job] : state.jobs)
    if (job.phase() == Phase::kPreparing && !job.InRunner()) unstarted.push_back(ref);
  for (const AttemptRef& ref : unstarted) EndJob(state, out, now, state.jobs.at(ref), OutcomeKind::kLost, kStopped);
}

Duration OnTick(AgentState& state, AgentOutbox& out, Now now) {
  ShowStarted(state, out, now);
  while (!state.done_order.empty() &&
         (now.mono - state.done_order.front().first > kDoneMemory || state.done_order.size() > kDoneLimit)) {
    state.done.erase(state.done_order.front().second);
    state.done_order.pop_front();
  }
  if (state.lease_until && now.mono >= *state.lease_until) {
    std::vector<AttemptRef> ended;
    for (const auto& [ref, job] : state.jobs)
      if (job.stage != HeldJob::Stage::kCollecting && job.stage != HeldJob::Stage::kReporting && !job.lease_lost)
        ended.push_back(ref);
    for (const AttemptRef& ref : ended) {
      HeldJob& job = state.jobs.at(ref);
      job.lease_lost = true;
      EndJob(state, out, now, job, OutcomeKind::kLost, kLeaseOut);
    }
  }
  Duration next = std::chrono::seconds(1);
  if (!state.session) {
    if (state.runner_ready && now.mono >= state.register_next) SendRegister(state, out, now);
    if (state.runner_ready) next = std::min(next, state.register_next - now.mono);
  } else {
    if (now.mono - state.session->heartbeat_sent >= state.session->heartbeat) SendHeartbeat(state, out, now);
    next = std::min(next, state.session->heartbeat_sent + state.session->heartbeat - now.mono);
    SendReports(state, out, now, /*all=*/false);
    if (!state.reporting.empty()) next = std::min<Duration>(next, std::chrono::milliseconds(100));
  }
  if (!state.just_started.empty()) next = std::min(next, state.just_started.front().first - now.mono);
  if (!state.jobs.empty() && state.lease_until && *state.lease_until > now.mono)
    next = std::min(next, *state.lease_until - now.mono);
  return std::max<Duration>(next, std::chrono::milliseconds(1));
}

}  // namespace furrow
