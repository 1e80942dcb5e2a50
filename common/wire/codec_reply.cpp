// Replies of schemas/client.capnp.
#include <algorithm>
#include <variant>

#include "common/wire/codec.h"
#include "common/wire/codec_client.h"
#include "common/wire/codec_pipeline.h"
#include "common/wire/codec_wire.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

constexpr std::size_t kMaxDiagnostics = 10'000;
constexpr std::size_t kMaxAgentsListed = 10'000;
constexpr std::size_t kMaxReasons = 1'000;
constexpr std::size_t kMaxHolders = 10'000;
constexpr std::size_t kMaxSeries = 10'000;
constexpr std::size_t kMaxPoints = 10'000;
constexpr std::size_t kMaxEnrolmentsListed = 10'000;
constexpr std::size_t kMaxKeysListed = 50'000;
constexpr std::uint64_t kMaxLine = 0x7FFFFFFF;

// ---- writing -------------------------------------------------------------------------------------------------

void Write(wire::Reply::Builder root, const Submitted& reply) {
  auto to = root.initSubmitted();
  to.setRun(Raw(reply.run));
  WriteText(reply.name, [&](auto text) { to.setName(text); });
  to.setRepeated(reply.repeated);
  WriteWords(reply.note, kWordsBytes, [&](auto text) { to.setNote(text); });
}

void Write(wire::Reply::Builder root, const Done& reply) {
  root.initDone(0);  // an empty text is an answer, too
  WriteWords(reply.text, kManyWordsBytes, [&](auto text) { root.setDone(text); });
}

void Write(wire::Reply::Builder root, const Failure& reply) {
  auto to = root.initFailure();
  to.setCode(WireEnum<wire::ErrorCode>(reply.code));
  WriteWords(reply.message, kManyWordsBytes, [&](auto text) { to.setMessage(text); });
  WriteText(reply.file, [&](auto text) { to.setFile(text); });
  WriteList(
      reply.diagnostics, [&](unsigned count) { return to.initDiagnostics(count); },
      [](wire::Diagnostic::Builder builder, const Diagnostic& diagnostic) {
        builder.setLine(static_cast<std::uint32_t>(std::max(diagnostic.line, 0)));
        builder.setColumn(static_cast<std::uint32_t>(std::max(diagnostic.column, 0)));
        WriteWords(diagnostic.message, kWordsBytes, [&](auto text) { builder.setMessage(text); });
      });
}

void Write(wire::Reply::Builder root, const RunList& reply) {
  auto list = root.initRunList(static_cast<unsigned>(reply.runs.size()));
  for (unsigned i = 0; i < list.size(); ++i) codec::Write(list[i], reply.runs[i]);
}

void WriteJob(wire::JobView::Builder to, const JobView& job) {
  codec::Write(to, job);
}

void Write(wire::Reply::Builder root, const RunDetail& reply) {
  auto to = root.initRunDetail();
  codec::Write(to.initRun(), reply.run);
  to.setMatching(reply.matching);
  WriteList(
      reply.jobs, [&](unsigned count) { return to.initJobs(count); }, WriteJob);
}

void Write(wire::Reply::Builder root, const RunUpdate& reply) {
  auto to = root.initRunUpdate();
  codec::Write(to.initRun(), reply.run);
  WriteList(
      reply.jobs, [&](unsigned count) { return to.initJobs(count); }, WriteJob);
  to.setRunEnded(reply.run_ended);
}

void Write(wire::Reply::Builder root, const AgentList& reply) {
  auto list = root.initAgentList(static_cast<unsigned>(reply.agents.size()));
  for (unsigned i = 0; i < list.size(); ++i) codec::Write(list[i], reply.agents[i]);
}

void Write(wire::Reply::Builder root, const WaitReasons& reply) {
  auto list = root.initWaitReasons(static_cast<unsigned>(reply.reasons.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    auto to = list[i];
    const WaitReason& reason = reply.reasons[i];
    to.setJob(TextOf(reason.job));
    WriteWords(reason.reason, kWordsBytes, [&](auto text) { to.setReason(text); });
    WriteTexts(reason.holders, [&](unsigned count) { return to.initHolders(count); });
  }
}

void Write(wire::Reply::Builder root, const MetricsAnswer& reply) {
  auto list = root.initMetricsAnswer(static_cast<unsigned>(reply.series.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    auto to = list[i];
    const MetricSeries& series = reply.series[i];
    to.setJob(TextOf(series.job));
    to.setName(TextOf(series.name));
    WriteNumbers(series.steps, [&](unsigned count) { return to.initSteps(count); });
    WriteNumbers(series.values, [&](unsigned count) { return to.initValues(count); });
    to.setReported(series.reported);
  }
}

void Write(wire::Reply::Builder root, const Pong& reply) {
  auto to = root.initPong();
  WriteText(reply.software, [&](auto text) { to.setSoftware(text); });
  to.setAgentsConnected(reply.agents_connected);
  to.setRunsLive(reply.runs_live);
}

void Write(wire::Reply::Builder root, const EnrolmentMade& reply) {
  auto to = root.initEnrolmentMade();
  codec::Write(to.initEnrolment(), reply.enrolment);
  WriteText(reply.host, [&](auto text) { to.setHost(text); });
  to.setAdvertised(reply.advertised);
  to.setPort(reply.port);
}

void Write(wire::Reply::Builder root, const EnrolmentList& reply) {
  auto list = root.initEnrolmentList(static_cast<unsigned>(reply.enrolments.size()));
  for (unsigned i = 0; i < list.size(); ++i) codec::Write(list[i], reply.enrolments[i]);
}

void Write(wire::Reply::Builder root, const KeyList& reply) {
  auto list = root.initKeyList(static_cast<unsigned>(reply.keys.size()));
  for (unsigned i = 0; i < list.size(); ++i) codec::Write(list[i], reply.keys[i]);
}

// ---- reading -------------------------------------------------------------------------------------------------

Submitted Read(wire::Submitted::Reader from) {
  return {RunId{from.getRun()}, ReadText(from.getName(), kNameBytes, "run name"), from.getRepeated(),
          ReadWords(from.getNote(), kWordsBytes, "note")};
}

Failure Read(wire::Failure::Reader from) {
  return {.code = ReadEnum(from.getCode(), Errc::kInternal, "error code"),
          .message = ReadWords(from.getMessage(), kManyWordsBytes, "message"),
          .file = ReadText(from.getFile(), kPathBytes, "file name"),
          .diagnostics = ReadList<Diagnostic>(
              from.getDiagnostics(), kMaxDiagnostics, "diagnostics", [](wire::Diagnostic::Reader diagnostic) {
                return Diagnostic{static_cast<int>(ReadUpTo(diagnostic.getLine(), kMaxLine, "line")),
                                  static_cast<int>(ReadUpTo(diagnostic.getColumn(), kMaxLine, "column")),
                                  ReadWords(diagnostic.getMessage(), kWordsBytes, "diagnostic")};
              })};
}

std::vector<JobView> ReadJobs(capnp::List<wire::JobView>::Reader from) {
  return ReadList<JobView>(from, kMaxJobsShown, "jobs", [](wire::JobView::Reader job) { return codec::Read(job); });
}

MetricSeries Read(wire::MetricSeries::Reader from) {
  MetricSeries series{ReadText(from.getJob(), kNameBytes, "job"),
                      ReadText(from.getName(), kMaxMetricNameBytes, "metric"),
                      ReadNumbers<std::int64_t>(from.getSteps(), kMaxPoints, "steps of a metric"),
                      ReadNumbers<double>(from.getValues(), kMaxPoints, "values of a metric"), from.getReported()};
  if (series.steps.size() != series.values.size()) throw Malformed{"a metric with more or fewer steps than values"};
  return series;
}

ClientReply Read(wire::Reply::Reader root) {
  switch (root.which()) {
    case wire::Reply::NONE: throw Malformed{"an empty message"};
    case wire::Reply::SUBMITTED: return Read(root.getSubmitted());
    case wire::Reply::DONE: return Done{ReadWords(root.getDone(), kManyWordsBytes, "text")};
    case wire::Reply::FAILURE: return Read(root.getFailure());
    case wire::Reply::RUN_LIST:
      return RunList{ReadList<RunSummary>(root.getRunList(), kMaxRunsListed, "runs",
                                          [](wire::RunSummary::Reader run) { return codec::Read(run); })};
    case wire::Reply::RUN_DETAIL: {
      const auto from = root.getRunDetail();
      return RunDetail{codec::Read(from.getRun()), from.getMatching(), ReadJobs(from.getJobs())};
    }
    case wire::Reply::RUN_UPDATE: {
      const auto from = root.getRunUpdate();
      return RunUpdate{codec::Read(from.getRun()), ReadJobs(from.getJobs()), from.getRunEnded()};
    }
    case wire::Reply::AGENT_LIST:
      return AgentList{ReadList<AgentView>(root.getAgentList(), kMaxAgentsListed, "agents",
                                           [](wire::AgentView::Reader agent) { return codec::Read(agent); })};
    case wire::Reply::WAIT_REASONS:
      return WaitReasons{
          ReadList<WaitReason>(root.getWaitReasons(), kMaxReasons, "reasons", [](wire::WaitReason::Reader reason) {
            return WaitReason{ReadText(reason.getJob(), kNameBytes, "job"),
                              ReadWords(reason.getReason(), kWordsBytes, "reason"),
                              ReadTexts(reason.getHolders(), kMaxHolders, kNameBytes, "holders")};
          })};
    case wire::Reply::METRICS_ANSWER:
      return MetricsAnswer{ReadList<MetricSeries>(root.getMetricsAnswer(), kMaxSeries, "series",
                                                  [](wire::MetricSeries::Reader series) { return Read(series); })};
    case wire::Reply::PONG: {
      const auto from = root.getPong();
      return Pong{ReadText(from.getSoftware(), kNameBytes, "software"), from.getAgentsConnected(), from.getRunsLive()};
    }
    case wire::Reply::ENROLMENT_MADE: {
      const auto from = root.getEnrolmentMade();
      return EnrolmentMade{codec::Read(from.getEnrolment()), ReadText(from.getHost(), kNameBytes, "host"),
                           from.getAdvertised(), from.getPort()};
    }
    case wire::Reply::ENROLMENT_LIST:
      return EnrolmentList{
          ReadList<EnrolmentView>(root.getEnrolmentList(), kMaxEnrolmentsListed, "enrolments",
                                  [](wire::EnrolmentView::Reader enrolment) { return codec::Read(enrolment); })};
    case wire::Reply::KEY_LIST:
      return KeyList{ReadList<KeyView>(root.getKeyList(), kMaxKeysListed, "keys",
                                       [](wire::KeyView::Reader key) { return codec::Read(key); })};
  }
  ThrowNewer();
}

std::string EncodeReply(std::uint64_t request, const ClientReply& message) {
  FrameBuilder frame;
  auto root = frame.Init<wire::Reply>();
  root.setNumber(request);
  std::visit([&](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

}  // namespace

// ---- frames ----------------------------------------------------------------------------------------------------

std::string Encode(std::uint64_t request, const ClientReply& message) {
  std::string frame = EncodeReply(request, message);
  if (frame.size() <= kMaxClientFrame) return frame;
  return EncodeReply(request, Failure{.code = Errc::kRejected,
                                      .message = "the answer has " + std::to_string(frame.size() >> 20) +
                                                 " MiB, more than one message holds; ask for less at a time",
                                      .file = {},
                                      .diagnostics = {}});
}

Result<std::pair<std::uint64_t, ClientReply>> DecodeClientReply(Bytes frame) {
  std::pair<std::uint64_t, ClientReply> message;
  FURROW_TRY(OpenFrame(frame, kMaxClientFrame, "reply", [&](capnp::MessageReader& reader) {
    const auto root = reader.getRoot<wire::Reply>();
    message = {root.getNumber(), Read(root)};
  }));
  return message;
}

}  // namespace furrow
