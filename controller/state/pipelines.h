// Pipelines are what the farm knows of its pipelines. A pipeline is a file of a repository or folder, as long as the
// file gives itself the same name; its own name is unique in its project.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "common/base/ids.h"
#include "controller/state/records.h"

namespace furrow {

// The project, and the person, of everything that names none.
inline constexpr ProjectId kDefaultProject{1};
inline constexpr PersonId kDefaultPerson{1};
inline constexpr const char* kDefaultName = "default";

// ---- state: part of State, changed by controller/reactor/pipelines.cpp alone -----------------------------------

class Pipelines {
 public:
  const std::map<PipelineId, PipelineRecord>& all() const { return all_; }

  // Return a pipeline, or null.
  const PipelineRecord* Find(PipelineId id) const;
  const PipelineRecord* FindNamed(ProjectId project, const std::string& name) const;
  struct Place {
    ProjectId project{};
    std::string origin, file, declared;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  const PipelineRecord* FindAt(const Place& place) const;

  // Inserts a pipeline, or replaces the one with the same id. Aborts where the name belongs to another one.
  void Put(PipelineRecord record);

 private:
  std::map<PipelineId, PipelineRecord> all_;
  std::map<std::pair<ProjectId, std::string>, PipelineId> by_name_;
  std::map<Place, PipelineId> by_place_;
};

}  // namespace furrow
