// Says which pipeline a run is of.
#pragma once

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// A PipelinePlace says where a pipeline file was found and how it names itself.
struct PipelinePlace {
  std::string name;                  // as the file says, or by default
  std::vector<std::string> origins;  // repository or folder; the first is the best known. Empty: not known
  std::string file;                  // path of the file there
};

// Returns the place of the sources of a run.
PipelinePlace PlaceOf(const State& state, const std::string& name, const SourceInfo& info);

// Returns the pipeline of this place in the default project, and makes it where there is none. A name that belongs to
// the pipeline of another place gets a number: "fashion-2". A place that is not known matches by name alone.
const PipelineRecord& PipelineAt(State& state, Outbox& out, Now now, const PipelinePlace& place);

// Returns why a pipeline is not called what its file says, for people; empty: it is.
std::string NoteOnName(const State& state, const PipelineRecord& pipeline);

// Gives the pipelines of an origin that was renamed their new one, but for those that the new one has already.
void MovePipelines(State& state, Outbox& out, const std::string& from, const std::string& to);

// Gives the pipeline's next run a number and records that it is taken.
std::uint64_t TakeNumber(State& state, Outbox& out, PipelineId id);

}  // namespace furrow
