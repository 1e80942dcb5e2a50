// FromAgent and ToAgent of schemas/agent.capnp.
#include <variant>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "common/wire/codec_pipeline.h"
#include "common/wire/codec_wire.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

constexpr std::size_t kMaxGpus = 1024;

static_assert(static_cast<int>(wire::Phase::REPORTING) == static_cast<int>(Phase::kReporting));

void WriteHeld(capnp::List<wire::HeldAttempt>::Builder to, const std::vector<HeldAttempt>& held) {
  for (unsigned i = 0; i < to.size(); ++i) {
    WriteAttempt(to[i], held[i].attempt);
    to[i].setPhase(WireEnum<wire::Phase>(held[i].phase));
  }
}

std::vector<HeldAttempt> ReadHeld(capnp::List<wire::HeldAttempt>::Reader from) {
  return ReadList<HeldAttempt>(from, kMaxHeldAttempts, "held", [](wire::HeldAttempt::Reader held) {
    return HeldAttempt{ReadAttempt(held), ReadEnum(held.getPhase(), Phase::kReporting, "phase")};
  });
}

// ---- agent → controller: writing -----------------------------------------------------------------------------

void Write(wire::FromAgent::Builder root, const Register& message) {
  auto to = root.initRegister();
  to.setOldestVersion(message.oldest_version);
  to.setNewestVersion(message.newest_version);
  WriteText(message.software, [&](auto text) { to.setSoftware(text); });
  to.setNonce(message.nonce);
  WriteUuid(to.getIncarnation(), message.incarnation);
  WriteText(message.host, [&](auto text) { to.setHost(text); });
  codec::Write(to.initOffer(), message.offer);
  if (!message.held.empty()) WriteHeld(to.initHeld(static_cast<unsigned>(message.held.size())), message.held);
  WriteUuid(to.getMachine(), message.machine);
  WriteUuid(to.getBoot(), message.boot);
  WriteUuid(to.getProcess(), message.process);
}

void Write(wire::FromAgent::Builder root, const Heartbeat& message) {
  auto to = root.initHeartbeat();
  to.setSession(Raw(message.session));
  to.setSequence(message.sequence);
  if (!message.held.empty()) WriteHeld(to.initHeld(static_cast<unsigned>(message.held.size())), message.held);
  to.setClockAheadMs(message.clock_ahead_ms);
  WriteWords(message.trouble, kWordsBytes, [&](auto text) { to.setTrouble(text); });
}

void Write(wire::FromAgent::Builder root, const Started& message) {
  auto to = root.initStarted();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setAtMs(MsOf(message.at));
}

void Write(wire::FromAgent::Builder root, const MetricsReport& message) {
  auto to = root.initMetricsReport();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setFirst(message.first);
  if (!message.lines.empty()) codec::Write(to.initLines(static_cast<unsigned>(message.lines.size())), message.lines);
}

void Write(wire::FromAgent::Builder root, const Finished& message) {
  auto to = root.initFinished();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  codec::Write(to.initOutcome(), message.outcome);
  to.setStartedMs(MsOf(message.started));
  to.setEndedMs(MsOf(message.ended));
  to.setCpuMs(message.cpu_ms);
  to.setMaxRssBytes(message.max_rss_bytes);
  to.setLogLength(message.log_length);
  WriteHash(message.log_hash, [&](auto hash) { to.setLogHash(hash); });
  if (message.small_log) to.setSmallLog(DataOf(*message.small_log));  // an empty log is there, not absent
  WriteHash(message.artifacts, [&](auto hash) { to.setArtifacts(hash); });
  to.setMetricsFirst(message.metrics_first);
  if (!message.metrics.empty())
    codec::Write(to.initMetrics(static_cast<unsigned>(message.metrics.size())), message.metrics);
}

// ---- agent → controller: reading -----------------------------------------------------------------------------

Register Read(wire::Register::Reader from) {
  return {.oldest_version = from.getOldestVersion(),
          .newest_version = from.getNewestVersion(),
          .software = ReadText(from.getSoftware(), kNameBytes, "software"),
          .host = ReadText(from.getHost(), kNameBytes, "host"),
          .incarnation = ReadUuid(from.getIncarnation()),
          .nonce = from.getNonce(),
          .offer = codec::Read(from.getOffer()),
          .held = ReadHeld(from.getHeld()),
          .machine = ReadUuid(from.getMachine()),
          .boot = ReadUuid(from.getBoot()),
          .process = ReadUuid(from.getProcess())};
}

Heartbeat Read(wire::Heartbeat::Reader from) {
  return {SessionId{from.getSession()}, from.getSequence(), ReadHeld(from.getHeld()), from.getClockAheadMs(),
          ReadWords(from.getTrouble(), kWordsBytes, "trouble")};
}

Started Read(wire::Started::Reader from) {
  return {SessionId{from.getSession()}, ReadAttempt(from.getAttempt()), WallTime{from.getAtMs()}};
}

MetricsReport Read(wire::MetricsReport::Reader from) {
  return {SessionId{from.getSession()}, ReadAttempt(from.getAttempt()), from.getFirst(),
          codec::Read(from.getLines(), "metrics")};
}

Finished Read(wire::Finished::Reader from) {
  Finished message{.session = SessionId{from.getSession()},
                   .attempt = ReadAttempt(from.getAttempt()),
                   .outcome = codec::Read(from.getOutcome()),
                   .started = WallTime{from.getStartedMs()},
                   .ended = WallTime{from.getEndedMs()},
                   .cpu_ms = from.getCpuMs(),
                   .max_rss_bytes = from.getMaxRssBytes(),
                   .log_length = from.getLogLength(),
                   .log_hash = ReadHash(from.getLogHash(), "log hash"),
                   .small_log = std::nullopt,
                   .artifacts = ReadHash(from.getArtifacts(), "artifacts"),
                   .metrics_first = from.getMetricsFirst(),
                   .metrics = codec::Read(from.getMetrics(), "metrics")};
  if (from.hasSmallLog()) {
    message.small_log = ReadBytes(from.getSmallLog(), kSmallLogBytes, "small log");
    if (message.small_log->size() != message.log_length) throw Malformed{"the small log is not the whole log"};
  }
  return message;
}

AgentMessage Read(wire::FromAgent::Reader root) {
  switch (root.which()) {
    case wire::FromAgent::NONE: throw Malformed{"an empty message"};
    case wire::FromAgent::REGISTER: return Read(root.getRegister());
    case wire::FromAgent::HEARTBEAT: return Read(root.getHeartbeat());
    case wire::FromAgent::STARTED: return Read(root.getStarted());
    case wire::FromAgent::METRICS_REPORT: return Read(root.getMetricsReport());
    case wire::FromAgent::FINISHED: return Read(root.getFinished());
  }
  ThrowNewer();
}

// ---- controller → agent: writing -----------------------------------------------------------------------------

void Write(wire::ToAgent::Builder root, const Welcome& message) {
  auto to = root.initWelcome();
  to.setSession(Raw(message.session));
  to.setNonce(message.nonce);
  to.setVersion(message.version);
  to.setHeartbeatMs(message.heartbeat_ms);
  to.setLeaseMs(message.lease_ms);
  to.setWallMs(Raw(message.wall));
}

void Write(wire::ToAgent::Builder root, const Refused& message) {
  auto to = root.initRefused();
  to.setNonce(message.nonce);
  WriteWords(message.reason, kWordsBytes, [&](auto text) { to.setReason(text); });
  to.setRetryMs(message.retry_ms);
}

void Write(wire::ToAgent::Builder root, const Reregister& message) {
  root.initReregister().setSession(Raw(message.session));
}

void Write(wire::ToAgent::Builder root, const HeartbeatAck& message) {
  auto to = root.initHeartbeatAck();
  to.setSession(Raw(message.session));
  to.setSequence(message.sequence);
}

void Write(wire::ToAgent::Builder root, const Assign& message) {
  FURROW_CHECK(message.spec != nullptr, "an Assign without a spec");
  auto to = root.initAssign();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setRun(Raw(message.run));
  to.setRunName(TextOf(message.run_name));
  to.setShard(message.shard);
  codec::Write(to.initSpec(), *message.spec);
  WriteTexts(message.gpu_uuids, [&](unsigned count) { return to.initGpuUuids(count); });
  WriteText(message.commit, [&](auto text) { to.setCommit(text); });
  WriteText(message.branch, [&](auto text) { to.setBranch(text); });
  WriteHashes(message.trees, [&](auto hashes) { to.setTrees(hashes); });
  if (!message.metrics.empty())
    codec::Write(to.initMetrics(static_cast<unsigned>(message.metrics.size())), message.metrics);
  to.setLogQuotaBytes(message.log_quota_bytes);
}

void Write(wire::ToAgent::Builder root, const Kill& message) {
  auto to = root.initKill();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  WriteWords(message.reason, kWordsBytes, [&](auto text) { to.setReason(text); });
  to.setForget(message.forget);
}

void Write(wire::ToAgent::Builder root, const FinishedAck& message) {
  auto to = root.initFinishedAck();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
}

void Write(wire::ToAgent::Builder root, const MetricsAck& message) {
  auto to = root.initMetricsAck();
  to.setSession(Raw(message.session));
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setCount(message.count);
}

// ---- controller → agent: reading -----------------------------------------------------------------------------

Welcome Read(wire::Welcome::Reader from) {
  return {SessionId{from.getSession()}, from.getNonce(),   from.getVersion(),
          from.getHeartbeatMs(),        from.getLeaseMs(), WallTime{from.getWallMs()}};
}

Refused Read(wire::Refused::Reader from) {
  return {from.getNonce(), ReadWords(from.getReason(), kWordsBytes, "reason"), from.getRetryMs()};
}

Assign Read(wire::Assign::Reader from) {
  if (!from.hasSpec()) throw Malformed{"an Assign without a spec"};
  Assign message{.session = SessionId{from.getSession()},
                 .attempt = ReadAttempt(from.getAttempt()),
                 .run = RunId{from.getRun()},
                 .run_name = ReadText(from.getRunName(), kNameBytes, "run name"),
                 .shard = from.getShard(),
                 .spec = std::make_shared<const JobSpec>(codec::Read(from.getSpec())),
                 .gpu_uuids = ReadTexts(from.getGpuUuids(), kMaxGpus, kNameBytes, "gpu uuids"),
                 .commit = ReadText(from.getCommit(), kNameBytes, "commit"),
                 .branch = ReadText(from.getBranch(), kPathBytes, "branch"),
                 .trees = ReadHashes(from.getTrees(), kMaxHashesPerMessage, "trees"),
                 .metrics = codec::Read(from.getMetrics(), kMaxAssignMetrics, "metrics"),
                 .log_quota_bytes = from.getLogQuotaBytes()};
  if (message.shard >= message.spec->shards) throw Malformed{"a shard beyond the job's shards"};
  return message;
}

Kill Read(wire::Kill::Reader from) {
  return {SessionId{from.getSession()}, ReadAttempt(from.getAttempt()),
          ReadWords(from.getReason(), kWordsBytes, "reason"), from.getForget()};
}

ToAgent Read(wire::ToAgent::Reader root) {
  switch (root.which()) {
    case wire::ToAgent::NONE: throw Malformed{"an empty message"};
    case wire::ToAgent::WELCOME: return Read(root.getWelcome());
    case wire::ToAgent::REFUSED: return Read(root.getRefused());
    case wire::ToAgent::REREGISTER: return Reregister{SessionId{root.getReregister().getSession()}};
    case wire::ToAgent::HEARTBEAT_ACK: {
      const auto from = root.getHeartbeatAck();
      return HeartbeatAck{SessionId{from.getSession()}, from.getSequence()};
    }
    case wire::ToAgent::ASSIGN: return Read(root.getAssign());
    case wire::ToAgent::KILL: return Read(root.getKill());
    case wire::ToAgent::FINISHED_ACK: {
      const auto from = root.getFinishedAck();
      return FinishedAck{SessionId{from.getSession()}, ReadAttempt(from.getAttempt())};
    }
    case wire::ToAgent::METRICS_ACK: {
      const auto from = root.getMetricsAck();
      return MetricsAck{SessionId{from.getSession()}, ReadAttempt(from.getAttempt()), from.getCount()};
    }
  }
  ThrowNewer();
}

}  // namespace

std::size_t WireBytes(const MetricLine& line) {
  std::size_t bytes = (line.values.empty() ? 3 : 4) * sizeof(capnp::word);  // the line, and the tag of a list
  for (const auto& [name, value] : line.values)
    bytes += 2 * sizeof(capnp::word) + (name.size() / sizeof(capnp::word) + 1) * sizeof(capnp::word);  // NUL behind it
  return bytes;
}

// ---- frames ----------------------------------------------------------------------------------------------------

std::string Encode(const AgentMessage& message) {
  FrameBuilder frame;
  std::visit([root = frame.Init<wire::FromAgent>()](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

std::string Encode(const ToAgent& message) {
  FrameBuilder frame;
  std::visit([root = frame.Init<wire::ToAgent>()](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

Result<AgentMessage> DecodeAgentMessage(Bytes frame) {
  Result<AgentMessage> message;
  FURROW_TRY(OpenFrame(frame, kMaxAgentFrame, "message of an agent",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::FromAgent>()); }));
  return message;
}

Result<ToAgent> DecodeToAgent(Bytes frame) {
  Result<ToAgent> message;
  FURROW_TRY(OpenFrame(frame, kMaxAgentFrame, "message to an agent",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::ToAgent>()); }));
  return message;
}

}  // namespace furrow
