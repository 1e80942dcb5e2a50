#include "controller/reactor/pipelines.h"

#include <utility>

#include "common/base/check.h"
#include "controller/reactor/events.h"

namespace furrow {
namespace {

constexpr std::size_t kMaxNameBytes = 64;  // see PipelineSpec::name

const PipelineRecord& Keep(State& state, Outbox& out, PipelineRecord record) {
  const PipelineId id = record.id;
  out.records.emplace_back(record);
  state.pipelines.Put(std::move(record));
  return *state.pipelines.Find(id);
}

// Returns the first of "fashion", "fashion-2", "fashion-3", … that no pipeline has.
std::string FreeName(const State& state, const std::string& wanted) {
  std::string name = wanted;
  for (std::uint64_t i = 2; state.pipelines.FindNamed(kDefaultProject, name) != nullptr; ++i) {
    std::string number = std::to_string(i);
    number.insert(0, "-");
    name = wanted.substr(0, kMaxNameBytes - number.size()) + number;
  }
  return name;
}

}  // namespace

PipelinePlace PlaceOf(const State& state, const std::string& name, const SourceInfo& info) {
  PipelinePlace place{name, {}, info.file};
  const bool watched = state.repositories.contains(info.repository);
  if (!info.origin.empty() && !watched) place.origins.push_back(info.origin);
  if (!info.repository.empty()) place.origins.push_back(info.repository);
  return place;
}

const PipelineRecord& PipelineAt(State& state, Outbox& out, Now now, const PipelinePlace& place) {
  for (const std::string& origin : place.origins)
    if (const PipelineRecord* known = state.pipelines.FindAt({kDefaultProject, origin, place.file, place.name}))
      return *known;
  const PipelineRecord* named = state.pipelines.FindNamed(kDefaultProject, place.name);
  if (named != nullptr && place.origins.empty()) return *named;
  if (named != nullptr && named->origin.empty()) {
    PipelineRecord found = *named;
    found.origin = place.origins.front();
    found.file = place.file;
    return Keep(state, out, std::move(found));
  }
  PipelineRecord made;
  made.id = state.counters.pipeline = PipelineId{Raw(state.counters.pipeline) + 1};
  made.project = kDefaultProject;
  made.declared = place.name;
  made.name = FreeName(state, place.name);
  if (!place.origins.empty()) made.origin = place.origins.front();
  made.file = place.file;
  made.made = now.wall;
  EventRecord& event = Tell(out, now, EventKind::kPipelineMade, made.project);
  event.subject = made.origin;
  event.detail = made.name;
  out.records.emplace_back(state.counters);
  return Keep(state, out, std::move(made));
}

std::string NoteOnName(const State& state, const PipelineRecord& pipeline) {
  if (pipeline.name == pipeline.declared) return "";
  const PipelineRecord* owner = state.pipelines.FindNamed(pipeline.project, pipeline.declared);
  return "the name " + pipeline.declared + " belongs to " + (owner == nullptr ? "another pipeline" : owner->file) +
         (owner == nullptr || owner->origin.empty() ? "" : " of " + owner->origin) +
         "; another `name:` in the file ends the difference";
}

void MovePipelines(State& state, Outbox& out, const std::string& from, const std::string& to) {
  std::vector<PipelineRecord> moved;
  for (const auto& [id, record] : state.pipelines.all())
    if (record.origin == from && state.pipelines.FindAt({record.project, to, record.file, record.declared}) == nullptr)
      moved.push_back(record);
  for (PipelineRecord& record : moved) {
    record.origin = to;
    Keep(state, out, std::move(record));
  }
}

std::uint64_t TakeNumber(State& state, Outbox& out, PipelineId id) {
  const PipelineRecord* known = state.pipelines.Find(id);
  FURROW_CHECK(known != nullptr, "a run is of a known pipeline");
  PipelineRecord next = *known;
  ++next.last_number;
  return Keep(state, out, std::move(next)).last_number;
}

}  // namespace furrow
