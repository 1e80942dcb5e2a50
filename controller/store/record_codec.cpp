#include "controller/store/record_codec.h"

#include <algorithm>
#include <variant>

#include "common/wire/codec.h"
#include "common/wire/codec_pipeline.h"
#include "common/wire/codec_wire.h"
#include "schemas/record.capnp.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

constexpr std::size_t kMaxRecord = 64u << 20;
constexpr std::size_t kMaxGpus = 1024;
constexpr std::uint64_t kLongestLeaseMs = 366ull * 24 * 3600 * 1000;  // a damaged one must not wrap around
constexpr std::size_t kNoLimit = kMaxRecord;  // what was accepted once must be readable for ever

static_assert(static_cast<int>(wire::LogPlace::PACK) == static_cast<int>(LogLocation::Kind::kPack));

// ---- parts -----------------------------------------------------------------------------------------------------

void WriteLog(wire::LogRecord::Builder to, const LogRecord& log) {
  to.setLength(log.length);
  WriteHash(log.hash, [&](auto hash) { to.setHash(hash); });
  to.setPlace(WireEnum<wire::LogPlace>(log.location.kind));
  to.setPack(log.location.pack);
  to.setOffset(log.location.offset);
}

LogRecord ReadLog(wire::LogRecord::Reader from) {
  return {from.getLength(), ReadHash(from.getHash(), "log hash"),
          LogLocation{ReadEnum(from.getPlace(), LogLocation::Kind::kPack, "place of a log"), from.getPack(),
                      from.getOffset()}};
}

void WriteAttemptRecord(wire::AttemptRecord::Builder to, const AttemptRecord& attempt) {
  to.setEpoch(Raw(attempt.epoch));
  WriteText(attempt.agent, [&](auto text) { to.setAgent(text); });
  WriteTexts(attempt.gpu_uuids, [&](unsigned count) { return to.initGpuUuids(count); });
  to.setStartedMs(MsOf(attempt.started));
  to.setEndedMs(MsOf(attempt.ended));
  codec::Write(to.initOutcome(), attempt.outcome);
  to.setCpuMs(attempt.cpu_ms);
  to.setMaxRssBytes(attempt.max_rss_bytes);
  WriteLog(to.initLog(), attempt.log);
  WriteHash(attempt.artifacts, [&](auto hash) { to.setArtifacts(hash); });
}

AttemptRecord ReadAttemptRecord(wire::AttemptRecord::Reader from) {
  return {.epoch = Epoch{from.getEpoch()},
          .agent = ReadText(from.getAgent(), kNameBytes, "agent"),
          .gpu_uuids = ReadTexts(from.getGpuUuids(), kMaxGpus, kNameBytes, "gpu uuids"),
          .started = WallTime{from.getStartedMs()},
          .ended = WallTime{from.getEndedMs()},
          .outcome = codec::Read(from.getOutcome()),
          .cpu_ms = from.getCpuMs(),
          .max_rss_bytes = from.getMaxRssBytes(),
          .log = ReadLog(from.getLog()),
          .artifacts = ReadHash(from.getArtifacts(), "artifacts")};
}

// ---- writing -----------------------------------------------------------------------------------------------------

void Write(wire::Record::Builder root, const RunRecord& record) {
  auto to = root.initRun();
  to.setId(Raw(record.id));
  to.setNumber(record.number);
  WriteUuid(to.getRequest(), record.request);
  codec::Write(to.initPipeline(), record.pipeline);
  WriteHash(record.source, [&](auto hash) { to.setSource(hash); });
  codec::Write(to.initInfo(), record.info);
  to.setSubmittedMs(MsOf(record.submitted));
  to.setEndedMs(MsOf(record.ended));
  to.setState(WireEnum<wire::RunState>(record.state));
  WriteWords(record.note, kWordsBytes, [&](auto text) { to.setNote(text); });
  to.setFirstJob(Raw(record.first_job));
  to.setRetryOf(Raw(record.retry_of));
  to.setJobsPassed(record.jobs_passed);
  to.setJobsFailed(record.jobs_failed);
  to.setCancelling(record.cancelling);
}

void Write(wire::Record::Builder root, const JobRecord& record) {
  auto to = root.initJob();
  to.setId(Raw(record.id));
  to.setRun(Raw(record.run));
  to.setState(WireEnum<wire::JobState>(record.state));
  to.setEpoch(Raw(record.epoch));
  WriteText(record.agent, [&](auto text) { to.setAgent(text); });
  WriteUuid(to.getIncarnation(), record.incarnation);
  WriteTexts(record.gpu_uuids, [&](unsigned count) { return to.initGpuUuids(count); });
  to.setCancelling(record.cancelling);
  to.setReadyMs(MsOf(record.ready));
  to.setAssignedMs(MsOf(record.assigned));
  to.setStartedMs(MsOf(record.started));
  to.setRetries(record.retries);
  to.setReusedRun(Raw(record.reused_run));
  to.setReusedJob(Raw(record.reused_job));
  WriteList(
      record.attempts, [&](unsigned count) { return to.initAttempts(count); }, WriteAttemptRecord);
  if (!record.metrics.empty())
    codec::Write(to.initMetrics(static_cast<unsigned>(record.metrics.size())), record.metrics);
}

void Write(wire::Record::Builder root, const MetricsRecord& record) {
  auto to = root.initMetrics();
  WriteAttempt(to.getAttempt(), record.attempt);
  to.setFirst(record.first);
  if (!record.lines.empty()) codec::Write(to.initLines(static_cast<unsigned>(record.lines.size())), record.lines);
}

void Write(wire::Record::Builder root, const SealRecord& record) {
  auto to = root.initSeal();
  WriteAttempt(to.getAttempt(), record.attempt);
  WriteLog(to.initLog(), record.log);
}

void Write(wire::Record::Builder root, const AgentRecord& record) {
  auto to = root.initAgent();
  to.setName(TextOf(record.name));
  WriteText(record.host, [&](auto text) { to.setHost(text); });
  WriteText(record.software, [&](auto text) { to.setSoftware(text); });
  WriteUuid(to.getIncarnation(), record.incarnation);
  codec::Write(to.initOffer(), record.offer);
  to.setLastSeenMs(MsOf(record.last_seen));
  WriteUuid(to.getMachine(), record.machine);
  WriteUuid(to.getBoot(), record.boot);
  to.setDrained(record.drained);
  to.setLeaseMs(static_cast<std::uint64_t>(record.lease / std::chrono::milliseconds(1)));
}

void Write(wire::Record::Builder root, const TriggerRecord& record) {
  auto to = root.initTrigger();
  WriteUuid(to.getRequest(), record.request);
  to.setRepository(TextOf(record.repository));
  to.setRef(TextOf(record.ref));
  to.setOldCommit(TextOf(record.old_commit));
  to.setNewCommit(TextOf(record.new_commit));
}

void Write(wire::Record::Builder root, const RepositoryRecord& record) {
  auto to = root.initRepository();
  to.setRepository(TextOf(record.repository));
  to.setLooked(record.looked);
  auto refs = to.initRefs(static_cast<unsigned>(record.refs.size()));
  unsigned i = 0;
  for (const auto& [name, commit] : record.refs) {
    refs[i].setName(TextOf(name));
    refs[i++].setCommit(TextOf(commit));
  }
}

void Write(wire::Record::Builder root, const EnrolmentRecord& record) {
  auto to = root.initEnrolment();
  to.setId(Raw(record.id));
  WriteHash(record.verify_key, [&](auto hash) { to.setVerifyKey(hash); });
  WriteTexts(record.labels, [&](unsigned count) { return to.initLabels(count); });
  to.setUses(record.uses);
  WriteList(
      record.used, [&](unsigned count) { return to.initUsed(count); },
      [](wire::EnrolmentUseRecord::Builder builder, const EnrolmentRecord::Use& use) {
        builder.setPublicKey(TextOf(use.public_key));
        builder.setName(TextOf(use.name));
        builder.setAtMs(MsOf(use.at));
        builder.setLetIn(use.let_in);
      });
  to.setMadeMs(MsOf(record.made));
  to.setExpiresMs(MsOf(record.expires));
  to.setRevokedMs(MsOf(record.revoked));
}

void Write(wire::Record::Builder root, const KeyRecord& record) {
  auto to = root.initKey();
  to.setPublicKey(TextOf(record.public_key));
  to.setRole(WireEnum<wire::KeyRole>(record.role));
  to.setName(TextOf(record.name));
  to.setSinceMs(MsOf(record.since));
  to.setEnrolment(Raw(record.enrolment));
}

// ---- reading -----------------------------------------------------------------------------------------------------

// What DecodeRecord<T> does with the union: its member and how it is read.
template <class T>
struct Kind;

template <>
struct Kind<RunRecord> {
  static constexpr auto kWhich = wire::Record::RUN;
  static constexpr const char* kName = "record of a run";
  static RunRecord Read(wire::Record::Reader root) {
    const auto from = root.getRun();
    return {.id = RunId{from.getId()},
            .number = from.getNumber(),
            .request = ReadUuid(from.getRequest()),
            .pipeline = codec::Read(from.getPipeline()),
            .source = ReadHash(from.getSource(), "source"),
            .info = codec::Read(from.getInfo()),
            .submitted = WallTime{from.getSubmittedMs()},
            .ended = WallTime{from.getEndedMs()},
            .state = ReadEnum(from.getState(), RunState::kCancelled, "state of a run"),
            .note = ReadWords(from.getNote(), kWordsBytes, "note"),
            .first_job = JobId{from.getFirstJob()},
            .retry_of = RunId{from.getRetryOf()},
            .jobs_passed = from.getJobsPassed(),
            .jobs_failed = from.getJobsFailed(),
            .cancelling = from.getCancelling()};
  }
};

template <>
struct Kind<JobRecord> {
  static constexpr auto kWhich = wire::Record::JOB;
  static constexpr const char* kName = "record of a job";
  static JobRecord Read(wire::Record::Reader root) {
    const auto from = root.getJob();
    return {.id = JobId{from.getId()},
            .run = RunId{from.getRun()},
            .state = ReadEnum(from.getState(), JobState::kSkipped, "state of a job"),
            .epoch = Epoch{from.getEpoch()},
            .agent = ReadText(from.getAgent(), kNameBytes, "agent"),
            .incarnation = ReadUuid(from.getIncarnation()),
            .gpu_uuids = ReadTexts(from.getGpuUuids(), kMaxGpus, kNameBytes, "gpu uuids"),
            .cancelling = from.getCancelling(),
            .ready = WallTime{from.getReadyMs()},
            .assigned = WallTime{from.getAssignedMs()},
            .started = WallTime{from.getStartedMs()},
            .retries = from.getRetries(),
            .reused_run = RunId{from.getReusedRun()},
            .reused_job = JobId{from.getReusedJob()},
            .attempts = ReadList<AttemptRecord>(from.getAttempts(), kNoLimit, "attempts", ReadAttemptRecord),
            .metrics = codec::Read(from.getMetrics(), kNoLimit, "metrics")};
  }
};

template <>
struct Kind<MetricsRecord> {
  static constexpr auto kWhich = wire::Record::METRICS;
  static constexpr const char* kName = "record of metrics";
  static MetricsRecord Read(wire::Record::Reader root) {
    const auto from = root.getMetrics();
    return {ReadAttempt(from.getAttempt()), from.getFirst(), codec::Read(from.getLines(), "metrics")};
  }
};

template <>
struct Kind<SealRecord> {
  static constexpr auto kWhich = wire::Record::SEAL;
  static constexpr const char* kName = "record of a sealed log";
  static SealRecord Read(wire::Record::Reader root) {
    const auto from = root.getSeal();
    return {.attempt = ReadAttempt(from.getAttempt()), .log = ReadLog(from.getLog()), .erased = false};
  }
};

template <>
struct Kind<AgentRecord> {
  static constexpr auto kWhich = wire::Record::AGENT;
  static constexpr const char* kName = "record of an agent";
  static AgentRecord Read(wire::Record::Reader root) {
    const auto from = root.getAgent();
    return {.name = ReadText(from.getName(), kNameBytes, "name"),
            .host = ReadText(from.getHost(), kNameBytes, "host"),
            .software = ReadText(from.getSoftware(), kNameBytes, "software"),
            .incarnation = ReadUuid(from.getIncarnation()),
            .offer = codec::Read(from.getOffer()),
            .last_seen = WallTime{from.getLastSeenMs()},
            .machine = ReadUuid(from.getMachine()),
            .boot = ReadUuid(from.getBoot()),
            .drained = from.getDrained(),
            .lease = std::chrono::milliseconds(std::min(from.getLeaseMs(), kLongestLeaseMs)),
            .erased = false};
  }
};

template <>
struct Kind<TriggerRecord> {
  static constexpr auto kWhich = wire::Record::TRIGGER;
  static constexpr const char* kName = "record of a push";
  static TriggerRecord Read(wire::Record::Reader root) {
    const auto from = root.getTrigger();
    return {.request = ReadUuid(from.getRequest()),
            .repository = ReadText(from.getRepository(), kPathBytes, "repository"),
            .ref = ReadText(from.getRef(), kPathBytes, "ref"),
            .old_commit = ReadText(from.getOldCommit(), kNameBytes, "old commit"),
            .new_commit = ReadText(from.getNewCommit(), kNameBytes, "new commit"),
            .erased = false};
  }
};

template <>
struct Kind<RepositoryRecord> {
  static constexpr auto kWhich = wire::Record::REPOSITORY;
  static constexpr const char* kName = "record of a repository";
  static RepositoryRecord Read(wire::Record::Reader root) {
    const auto from = root.getRepository();
    RepositoryRecord record{
        .repository = ReadText(from.getRepository(), kPathBytes, "repository"), .refs = {}, .looked = from.getLooked()};
    const auto refs = from.getRefs();
    CountOf(refs, kNoLimit, "refs");
    for (const auto ref : refs)
      record.refs.emplace_hint(record.refs.end(), ReadText(ref.getName(), kPathBytes, "ref"),
                               ReadText(ref.getCommit(), kNameBytes, "commit"));
    return record;
  }
};

template <>
struct Kind<EnrolmentRecord> {
  static constexpr auto kWhich = wire::Record::ENROLMENT;
  static constexpr const char* kName = "record of an enrolment";
  static EnrolmentRecord Read(wire::Record::Reader root) {
    const auto from = root.getEnrolment();
    return {.id = EnrolmentId{from.getId()},
            .verify_key = ReadHash(from.getVerifyKey(), "key of an enrolment"),
            .labels = ReadTexts(from.getLabels(), kNoLimit, kNameBytes, "labels"),
            .uses = from.getUses(),
            .used = ReadList<EnrolmentRecord::Use>(from.getUsed(), kNoLimit, "uses",
                                                   [](wire::EnrolmentUseRecord::Reader use) {
                                                     return EnrolmentRecord::Use{
                                                         ReadText(use.getPublicKey(), kNameBytes, "public key"),
                                                         ReadText(use.getName(), kNameBytes, "name"),
                                                         WallTime{use.getAtMs()}, use.getLetIn()};
                                                   }),
            .made = WallTime{from.getMadeMs()},
            .expires = WallTime{from.getExpiresMs()},
            .revoked = WallTime{from.getRevokedMs()},
            .erased = false};
  }
};

template <>
struct Kind<KeyRecord> {
  static constexpr auto kWhich = wire::Record::KEY;
  static constexpr const char* kName = "record of a key";
  static KeyRecord Read(wire::Record::Reader root) {
    const auto from = root.getKey();
    return {.public_key = ReadText(from.getPublicKey(), kNameBytes, "public key"),
            .role = ReadEnum(from.getRole(), KeyRole::kClient, "role"),
            .name = ReadText(from.getName(), kNameBytes, "name"),
            .since = WallTime{from.getSinceMs()},
            .enrolment = EnrolmentId{from.getEnrolment()},
            .erased = false};
  }
};

template <class T>
std::string EncodeAs(const T& record) {
  FrameBuilder frame;
  Write(frame.Init<wire::Record>(), record);
  return frame.Finish();
}

template <class T>
Result<T> DecodeAs(std::string_view value) {
  const Bytes bytes(reinterpret_cast<const std::uint8_t*>(value.data()), value.size());
  Result<T> record;
  const Status opened = OpenFrame(bytes, kMaxRecord, Kind<T>::kName, [&](capnp::MessageReader& reader) {
    const auto root = reader.getRoot<wire::Record>();
    if (root.which() > wire::Record::KEY) throw Malformed{"written by a newer Furrow; upgrade this one"};
    if (root.which() != Kind<T>::kWhich) throw Malformed{"another kind of record lies here"};
    record = Kind<T>::Read(root);
  });
  if (!opened) return Fail(Errc::kCorrupt, opened.error().message);
  return record;
}

}  // namespace

// ---- values ------------------------------------------------------------------------------------------------------

std::string EncodeRecord(const Record& record) {
  return std::visit([](const auto& kind) { return EncodeAs(kind); }, record);
}
std::string EncodeRecord(const RunRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const JobRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const MetricsRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const SealRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const AgentRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const TriggerRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const RepositoryRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const EnrolmentRecord& record) {
  return EncodeAs(record);
}
std::string EncodeRecord(const KeyRecord& record) {
  return EncodeAs(record);
}

template <>
Result<RunRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<RunRecord>(value);
}
template <>
Result<JobRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<JobRecord>(value);
}
template <>
Result<MetricsRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<MetricsRecord>(value);
}
template <>
Result<SealRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<SealRecord>(value);
}
template <>
Result<AgentRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<AgentRecord>(value);
}
template <>
Result<TriggerRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<TriggerRecord>(value);
}
template <>
Result<RepositoryRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<RepositoryRecord>(value);
}
template <>
Result<EnrolmentRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<EnrolmentRecord>(value);
}
template <>
Result<KeyRecord> DecodeRecord(std::string_view value) {
  return DecodeAs<KeyRecord>(value);
}

}  // namespace furrow
