// A pipeline file as `run` and `check` read it.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/pipeline/pipeline.h"

namespace furrow::cli {

struct PipelineFile {
  std::string name;  // as the user would say it, for messages
  std::string text;
  std::string default_name;  // of the pipeline, where the file gives none
};

// Reads the file at `path`, which is called `shown` in messages; the pipeline's default name is that of the
// folder that `root` is. kInvalid: it is missing or too large.
Result<PipelineFile> ReadPipelineFile(const std::string& path, const std::string& shown, const std::string& root);

// "K=V" each. kInvalid names the one that is not.
Result<Env> ParseSettings(const std::vector<std::string>& settings);

}  // namespace furrow::cli
