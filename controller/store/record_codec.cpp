#include "controller/store/record_codec.h"

#include "schemas/record_codec.h"

namespace furrow {

template <class T>
Result<std::string> EncodeValue(const T& record) {
  return codec::BuildFrame(kMaxRecordFrame, "record", [&](codec::FrameBuilder& frame) {
    codec::WriteAs(frame, frame.Init<wire::Record>(), record);
  });
}

template <class T>
Result<T> DecodeValue(std::string_view value) {
  Result<T> record;
  const Status opened = codec::OpenFrame(value, kMaxRecordFrame, "record", [&](capnp::MessageReader& reader) {
    const auto root = reader.getRoot<wire::Record>();
    if (codec::ReadAs(root, *record)) return;
    static_cast<void>(codec::Read(root));  // throws first if this version does not know the kind
    throw codec::Malformed{"another kind of record lies here"};
  });
  if (!opened) return Fail(Errc::kCorrupt, opened.error().message);
  return record;
}

template Result<std::string> EncodeValue(const RunRecord&);
template Result<RunRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const JobRecord&);
template Result<JobRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const MetricsRecord&);
template Result<MetricsRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const SealRecord&);
template Result<SealRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const AgentRecord&);
template Result<AgentRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const TriggerRecord&);
template Result<TriggerRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const RepositoryRecord&);
template Result<RepositoryRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const EnrolmentRecord&);
template Result<EnrolmentRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const FarmRecord&);
template Result<FarmRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const CountersRecord&);
template Result<CountersRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const ProjectRecord&);
template Result<ProjectRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const PersonRecord&);
template Result<PersonRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const PipelineRecord&);
template Result<PipelineRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const AttemptRecord&);
template Result<AttemptRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const Pipeline&);
template Result<Pipeline> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const EventRecord&);
template Result<EventRecord> DecodeValue(std::string_view);
template Result<std::string> EncodeValue(const KeyRecord&);
template Result<KeyRecord> DecodeValue(std::string_view);

}  // namespace furrow
