// Checks the files that native steps name against what can be there when the step starts. This header is internal to
// common_pipeline.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "common/pipeline/report.h"
#include "schemas/pipeline.h"

namespace furrow::pipeline {

// A FileUse is one file that a native step reads or writes.
struct FileUse {
  enum class Kind : std::uint8_t { kRead, kReadCsvWithNames, kWritten };

  std::string path;         // as the file writes it, with data.dir in front
  Kind kind = Kind::kRead;  // kReadCsvWithNames: its first line is taken for the columns' names, which nobody has said
  std::string named;        // "`model` in `train` of step 1 of job `a`"
  Position position;
  std::size_t step = 0;  // its step's index in the job
};

// Returns a path without `.`, doubled slashes, and `..` behind a folder's name, as its text alone tells.
std::string PlainPath(std::string_view path);

// Reports the files that the sources do not have and that nothing makes before the step: no earlier step of the job and
// no job that it needs; a place to write to that is not there; and a CSV file whose first line holds numbers where
// names are expected. An absolute path is the agent's, and is not judged. `uses` has the files of each job.
void CheckFileUses(const std::vector<JobSpec>& jobs, const std::vector<std::vector<FileUse>>& uses,
                   const SourceFiles& sources, Report& report);

}  // namespace furrow::pipeline
