// `run` and `check` read pipeline files with these functions.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/pipeline/pipeline.h"

namespace furrow::cli {

struct PipelineFile {
  std::string name;  // the name that the user knows, for messages
  std::string text;
  std::string default_name;  // the pipeline's name where the file gives none
};

// Reads the file at `path`, which messages call `shown`; the pipeline's default name is the name of the folder `root`.
// A pipe or device is read only if this program was started with it (`<(…)`, /dev/stdin), and is named after the
// current folder. kInvalid: the file is missing, no file or too large.
Result<PipelineFile> ReadPipelineFile(const std::string& path, const std::string& shown, const std::string& root);

// Parses settings of the form "K=V". kInvalid: the message names the setting that has another form.
Result<Env> ParseSettings(const std::vector<std::string>& settings);

// Returns "fashion" for "/srv/git/fashion.git".
std::string NameOfFolder(const std::string& root);

// Says which file may have been meant where the pipeline file `path` is not there; empty: nothing looks like it.
std::string PipelineMeant(const std::string& path);

}  // namespace furrow::cli
