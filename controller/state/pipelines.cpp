#include "controller/state/pipelines.h"

#include "common/base/check.h"

namespace furrow {
namespace {

Pipelines::Place PlaceOf(const PipelineRecord& record) {
  return {record.project, record.origin, record.file, record.declared};
}

}  // namespace

const PipelineRecord* Pipelines::Find(PipelineId id) const {
  const auto it = all_.find(id);
  return it == all_.end() ? nullptr : &it->second;
}

const PipelineRecord* Pipelines::FindNamed(ProjectId project, const std::string& name) const {
  const auto it = by_name_.find({project, name});
  return it == by_name_.end() ? nullptr : Find(it->second);
}

const PipelineRecord* Pipelines::FindAt(const Place& place) const {
  const auto it = by_place_.find(place);
  return it == by_place_.end() ? nullptr : Find(it->second);
}

void Pipelines::Put(PipelineRecord record) {
  if (const PipelineRecord* old = Find(record.id)) {
    by_name_.erase({old->project, old->name});
    by_place_.erase(PlaceOf(*old));
  }
  const bool free = by_name_.emplace(std::pair(record.project, record.name), record.id).second;
  FURROW_CHECK(free, "a pipeline's name is unique in its project");
  if (!record.origin.empty()) by_place_.insert_or_assign(PlaceOf(record), record.id);
  const PipelineId id = record.id;
  all_.insert_or_assign(id, std::move(record));
}

}  // namespace furrow
