// These are the keys of the store; controller/STORE.md, "Keys", describes them byte by byte. Numbers are big-endian, so
// that keys sort in the order of the numbers. Only the store uses this header.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "schemas/record.h"

namespace furrow::keys {

// A Key is built by appending: `Key('l').Number(Raw(run))`.
class Key {
 public:
  Key() = default;
  explicit Key(char kind) { bytes_.push_back(kind); }

  Key& Number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(value >> shift));
    return *this;
  }
  Key& Text(std::string_view text) {
    bytes_.append(text);
    return *this;
  }
  Key& Digest(const Hash& hash) {
    for (const std::uint8_t byte : hash.bytes) bytes_.push_back(static_cast<char>(byte));
    return *this;
  }
  Key& Id(Uuid uuid) { return Number(uuid.high).Number(uuid.low); }

  operator std::string_view() const { return bytes_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads the 8 bytes at `offset`; 0 where the key is too short.
inline std::uint64_t NumberAt(std::string_view bytes, std::size_t offset) {
  if (bytes.size() < offset + 8) return 0;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}
inline Uuid UuidAt(std::string_view bytes, std::size_t offset) {
  return {NumberAt(bytes, offset), NumberAt(bytes, offset + 8)};
}

// ---- families "runs", "jobs", "attempts" and "metrics" ----
inline Key Run(RunId run) {
  return Key().Number(Raw(run));
}
inline Key Job(RunId run, JobId job) {
  return Key().Number(Raw(run)).Number(Raw(job));
}
inline Key Attempt(RunId run, AttemptRef attempt) {
  return Job(run, attempt.job).Number(Raw(attempt.epoch));
}
inline Key Metrics(RunId run, AttemptRef attempt, std::uint64_t first) {
  return Attempt(run, attempt).Number(first);
}

// ---- family "shared" ----
inline Key Spec(const Hash& hash) {
  return Key('p').Digest(hash);
}
inline Key FileText(const Hash& hash) {
  return Key('t').Digest(hash);
}

// ---- family "events" ----
inline Key Event(const EventId& id) {
  return Key().Number(id.timeline).Number(id.commit).Number(id.index);
}

// ---- family "default" ----
inline Key Meta(std::string_view name) {
  return Key('m').Text(name);
}
inline Key Agent(std::string_view name) {
  return Key('a').Text(name);
}
inline Key Trigger(Uuid request) {
  return Key('t').Id(request);
}
inline Key Repository(std::string_view name) {
  return Key('r').Text(name);
}
inline Key Enrolment(EnrolmentId id) {
  return Key('e').Number(Raw(id));
}
inline Key PublicKey(std::string_view public_key) {
  return Key('k').Text(public_key);
}
inline Key Seal(AttemptRef attempt) {
  return Key('s').Number(Raw(attempt.job)).Number(Raw(attempt.epoch));
}
inline Key Live(RunId run) {
  return Key('l').Number(Raw(run));
}
inline Key Request(Uuid request) {
  return Key('q').Id(request);
}
inline Key RequestOf(RunId run) {
  return Key('i').Number(Raw(run));
}
inline Key Farm() {
  return Key('f');
}
inline Key Counters() {
  return Key('c');
}
inline Key Project(ProjectId id) {
  return Key('j').Number(Raw(id));
}
inline Key Person(PersonId id) {
  return Key('u').Number(Raw(id));
}
inline Key Pipeline(PipelineId id) {
  return Key('d').Number(Raw(id));
}
inline Key Numbered(PipelineId pipeline, std::uint64_t number) {
  return Key('N').Number(Raw(pipeline)).Number(number);
}
inline Key OfPipeline(PipelineId pipeline, RunId run) {
  return Key('P').Number(Raw(pipeline)).Number(Raw(run));
}
inline Key EventDay(std::uint64_t mark) {
  return Key('y').Number(mark);
}

// Return the key of a record of family "default".
inline Key KeyOf(const SealRecord& record) {
  return Seal(record.attempt);
}
inline Key KeyOf(const AgentRecord& record) {
  return Agent(record.name);
}
inline Key KeyOf(const TriggerRecord& record) {
  return Trigger(record.request);
}
inline Key KeyOf(const RepositoryRecord& record) {
  return Repository(record.repository);
}
inline Key KeyOf(const EnrolmentRecord& record) {
  return Enrolment(record.id);
}
inline Key KeyOf(const KeyRecord& record) {
  return PublicKey(record.public_key);
}
inline Key KeyOf(const FarmRecord&) {
  return Farm();
}
inline Key KeyOf(const CountersRecord&) {
  return Counters();
}
inline Key KeyOf(const ProjectRecord& record) {
  return Project(record.id);
}
inline Key KeyOf(const PersonRecord& record) {
  return Person(record.id);
}
inline Key KeyOf(const PipelineRecord& record) {
  return Pipeline(record.id);
}

}  // namespace furrow::keys
