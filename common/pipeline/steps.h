// Reads the steps of a job. This header is internal to common_pipeline.
#pragma once

#include <string>
#include <vector>

#include "common/pipeline/fields.h"
#include "common/pipeline/file_uses.h"

namespace furrow::pipeline {

// Reads `steps` of a job and reports every mistake, also that there is no step at all. The files of native steps are
// added to `uses`.
std::vector<Step> ReadSteps(Fields& job, std::vector<FileUse>& uses);

}  // namespace furrow::pipeline
