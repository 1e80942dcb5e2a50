// Requests of schemas/client.capnp.
#include <variant>

#include "common/wire/codec.h"
#include "common/wire/codec_client.h"
#include "common/wire/codec_pipeline.h"
#include "common/wire/codec_wire.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

void WriteSelector(wire::Selector::Builder to, const Selector& selector) {
  to.setPipeline(TextOf(selector.pipeline));
  to.setNumber(selector.number);
  WriteText(selector.job, [&](auto text) { to.setJob(text); });
  if (selector.shard) to.getShard().setIndex(*selector.shard);
}

Selector ReadSelector(wire::Selector::Reader from) {
  Selector selector{ReadText(from.getPipeline(), kNameBytes, "pipeline"), from.getNumber(),
                    ReadText(from.getJob(), kNameBytes, "job"), std::nullopt};
  if (selector.pipeline.empty()) throw Malformed{"a selector without a pipeline"};
  switch (const auto shard = from.getShard(); shard.which()) {
    case wire::Selector::Shard::ALL: return selector;
    case wire::Selector::Shard::INDEX: selector.shard = shard.getIndex(); return selector;
  }
  ThrowNewer();
}

// ---- writing -------------------------------------------------------------------------------------------------

void Write(wire::Request::Builder root, const Submit& request) {
  auto to = root.initSubmit();
  WriteUuid(to.getRequest(), request.request);
  WriteText(request.file, [&](auto text) { to.setFile(text); });
  to.setText(DataOf(request.text));
  WriteText(request.default_name, [&](auto text) { to.setDefaultName(text); });
  if (!request.overrides.empty())
    codec::Write(to.initOverrides(static_cast<unsigned>(request.overrides.size())), request.overrides);
  WriteHash(request.source, [&](auto hash) { to.setSource(hash); });
  codec::Write(to.initInfo(), request.info);
}

void Write(wire::Request::Builder root, const Trigger& request) {
  auto to = root.initTrigger();
  WriteUuid(to.getRequest(), request.request);
  to.setRepository(TextOf(request.repository));
  to.setRef(TextOf(request.ref));
  to.setOldCommit(TextOf(request.old_commit));
  to.setNewCommit(TextOf(request.new_commit));
}

void Write(wire::Request::Builder root, const WatchRepository& request) {
  root.initWatchRepository().setRepository(TextOf(request.repository));
}

void Write(wire::Request::Builder root, const Cancel& request) {
  auto to = root.initCancel();
  WriteSelector(to.initWhat(), request.what);
  WriteWords(request.reason, kWordsBytes, [&](auto text) { to.setReason(text); });
}

void Write(wire::Request::Builder root, const Retry& request) {
  auto to = root.initRetry();
  WriteUuid(to.getRequest(), request.request);
  WriteSelector(to.initRun(), request.run);
  to.setFailedOnly(request.failed_only);
}

void Write(wire::Request::Builder root, const ListRuns& request) {
  auto to = root.initListRuns();
  WriteText(request.pipeline, [&](auto text) { to.setPipeline(text); });
  to.setLimit(request.limit);
  to.setBefore(Raw(request.before));
}

void Write(wire::Request::Builder root, const ShowRun& request) {
  auto to = root.initShowRun();
  WriteSelector(to.initWhat(), request.what);
  to.setFirst(request.first);
  to.setLimit(request.limit);
}

void Write(wire::Request::Builder root, const Watch& request) {
  WriteSelector(root.initWatch().initRun(), request.run);
}

void Write(wire::Request::Builder root, const ListAgents&) {
  root.setListAgents();
}

void Write(wire::Request::Builder root, const Why& request) {
  WriteSelector(root.initWhy().initWhat(), request.what);
}

void Write(wire::Request::Builder root, const GetMetrics& request) {
  auto to = root.initGetMetrics();
  WriteSelector(to.initWhat(), request.what);
  WriteText(request.name, [&](auto text) { to.setName(text); });
}

void Write(wire::Request::Builder root, const Ping&) {
  root.setPing();
}

void Write(wire::Request::Builder root, const NewEnrolment& request) {
  auto to = root.initNewEnrolment();
  to.setId(Raw(request.id));
  WriteHash(request.verify_key, [&](auto hash) { to.setVerifyKey(hash); });
  WriteTexts(request.labels, [&](unsigned count) { return to.initLabels(count); });
  to.setUses(request.uses);
  to.setValidMs(request.valid.count());
}

void Write(wire::Request::Builder root, const ListEnrolments&) {
  root.setListEnrolments();
}

void Write(wire::Request::Builder root, const RevokeEnrolment& request) {
  root.initRevokeEnrolment().setId(Raw(request.id));
}

void Write(wire::Request::Builder root, const ListKeys&) {
  root.setListKeys();
}

void Write(wire::Request::Builder root, const RevokeKey& request) {
  root.setRevokeKey(TextOf(request.what));
}

void Write(wire::Request::Builder root, const DrainAgent& request) {
  auto to = root.initDrainAgent();
  to.setAgent(TextOf(request.agent));
  to.setDrained(request.drained);
}

// ---- reading -------------------------------------------------------------------------------------------------

// A limit of 1 … max.
std::uint32_t ReadLimit(std::uint32_t limit, std::size_t max) {
  if (limit == 0) throw Malformed{"limit is 0; 1 is the least"};
  return ReadUpTo(limit, max, "limit");
}

Submit Read(wire::Submit::Reader from) {
  return {.request = ReadUuid(from.getRequest()),
          .file = ReadText(from.getFile(), kPathBytes, "file name"),
          .text = ReadBytes(from.getText(), kMaxPipelineBytes, "the pipeline file"),
          .default_name = ReadText(from.getDefaultName(), kNameBytes, "default name"),
          .overrides = codec::Read(from.getOverrides(), "overrides"),
          .source = ReadHash(from.getSource(), "source"),
          .info = codec::Read(from.getInfo())};
}

Trigger Read(wire::Trigger::Reader from) {
  return {.request = ReadUuid(from.getRequest()),
          .repository = ReadText(from.getRepository(), kPathBytes, "repository"),
          .ref = ReadText(from.getRef(), kPathBytes, "ref"),
          .old_commit = ReadText(from.getOldCommit(), kNameBytes, "old commit"),
          .new_commit = ReadText(from.getNewCommit(), kNameBytes, "new commit")};
}

NewEnrolment Read(wire::NewEnrolment::Reader from) {
  NewEnrolment request{.id = EnrolmentId{ReadUpTo(from.getId(), UINT32_MAX, "number of an enrolment")},
                       .verify_key = ReadHash(from.getVerifyKey(), "key of an enrolment"),
                       .labels = ReadTexts(from.getLabels(), kMaxEnrolmentLabels, kNameBytes, "labels"),
                       .uses = ReadUpTo(from.getUses(), kMaxEnrolmentUses, "uses"),
                       .valid = std::chrono::milliseconds(from.getValidMs())};
  if (Raw(request.id) == 0 || request.verify_key.IsZero() || request.uses == 0)
    throw Malformed{"an enrolment without number, key or uses"};
  if (request.valid.count() <= 0 || request.valid.count() > kMaxEnrolmentMs)
    throw Malformed{"an enrolment is good for up to 365 days"};
  return request;
}

ClientRequest Read(wire::Request::Reader root) {
  switch (root.which()) {
    case wire::Request::NONE: throw Malformed{"an empty message"};
    case wire::Request::SUBMIT: return Read(root.getSubmit());
    case wire::Request::TRIGGER: return Read(root.getTrigger());
    case wire::Request::WATCH_REPOSITORY:
      return WatchRepository{ReadText(root.getWatchRepository().getRepository(), kPathBytes, "repository")};
    case wire::Request::CANCEL: {
      const auto from = root.getCancel();
      return Cancel{ReadSelector(from.getWhat()), ReadWords(from.getReason(), kWordsBytes, "reason")};
    }
    case wire::Request::RETRY: {
      const auto from = root.getRetry();
      return Retry{ReadUuid(from.getRequest()), ReadSelector(from.getRun()), from.getFailedOnly()};
    }
    case wire::Request::LIST_RUNS: {
      const auto from = root.getListRuns();
      return ListRuns{ReadText(from.getPipeline(), kNameBytes, "pipeline"), ReadLimit(from.getLimit(), kMaxRunsListed),
                      RunId{from.getBefore()}};
    }
    case wire::Request::SHOW_RUN: {
      const auto from = root.getShowRun();
      return ShowRun{ReadSelector(from.getWhat()), from.getFirst(), ReadLimit(from.getLimit(), kMaxJobsShown)};
    }
    case wire::Request::WATCH: return Watch{ReadSelector(root.getWatch().getRun())};
    case wire::Request::LIST_AGENTS: return ListAgents{};
    case wire::Request::WHY: return Why{ReadSelector(root.getWhy().getWhat())};
    case wire::Request::GET_METRICS: {
      const auto from = root.getGetMetrics();
      return GetMetrics{ReadSelector(from.getWhat()), ReadText(from.getName(), kMaxMetricNameBytes, "metric")};
    }
    case wire::Request::PING: return Ping{};
    case wire::Request::NEW_ENROLMENT: return Read(root.getNewEnrolment());
    case wire::Request::LIST_ENROLMENTS: return ListEnrolments{};
    case wire::Request::REVOKE_ENROLMENT: return RevokeEnrolment{EnrolmentId{root.getRevokeEnrolment().getId()}};
    case wire::Request::LIST_KEYS: return ListKeys{};
    case wire::Request::REVOKE_KEY: return RevokeKey{ReadText(root.getRevokeKey(), kNameBytes, "key")};
    case wire::Request::DRAIN_AGENT: {
      const auto from = root.getDrainAgent();
      return DrainAgent{ReadText(from.getAgent(), kNameBytes, "agent"), from.getDrained()};
    }
  }
  ThrowNewer();
}

}  // namespace

// ---- frames ----------------------------------------------------------------------------------------------------

std::string Encode(std::uint64_t request, const ClientRequest& message) {
  FrameBuilder frame;
  auto root = frame.Init<wire::Request>();
  root.setNumber(request);
  std::visit([&](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

Result<std::pair<std::uint64_t, ClientRequest>> DecodeClientRequest(Bytes frame) {
  std::pair<std::uint64_t, ClientRequest> message;
  FURROW_TRY(OpenFrame(frame, kMaxClientFrame, "request", [&](capnp::MessageReader& reader) {
    const auto root = reader.getRoot<wire::Request>();
    message = {root.getNumber(), Read(root)};
  }));
  return message;
}

std::uint64_t RequestNumberOf(Bytes frame) {
  std::uint64_t number = 0;
  const Status opened = OpenFrame(frame, kMaxClientFrame, "request", [&](capnp::MessageReader& reader) {
    number = reader.getRoot<wire::Request>().getNumber();
  });
  return opened ? number : 0;
}

}  // namespace furrow
