// The mappings under `train:` and `evaluate:`, as agent/torch/SPEC.md has them. Internal to common_pipeline.
#pragma once

#include <string>
#include <string_view>

#include "common/pipeline/yaml.h"

namespace furrow::pipeline {

// Checks the mapping of a `verb` step ("train" or "evaluate") in `where` ("step 2 of job `a`") and
// gives it as one JSON object with sorted keys: numbers as numbers, defaults left to furrow-torch.
// Mistakes are reported at their positions; `position` is the verb's own.
TorchStep ReadTorchStep(std::string_view verb, const YamlNode& node, const std::string& where, Position position,
                        Report& report);

}  // namespace furrow::pipeline
