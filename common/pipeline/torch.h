// Reads the mappings under `train:` and `evaluate:`, which agent/torch/SPEC.md defines. This header is internal to
// common_pipeline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/file_uses.h"
#include "common/pipeline/yaml.h"

namespace furrow::pipeline {

// Checks the mapping of a `verb` step ("train" or "evaluate") in `where` ("step 2 of job `a`") and returns one JSON
// object with sorted keys: numbers stay numbers, and furrow-torch sets the defaults. Mistakes are reported at their
// positions; `position` is the verb's own. The files that the step reads and writes are added to `uses`.
TorchStep ReadTorchStep(std::string_view verb, const YamlNode& node, const std::string& where, Position position,
                        Report& report, std::vector<FileUse>& uses);

}  // namespace furrow::pipeline
