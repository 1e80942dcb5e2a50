// Reads the steps of a job. This header is internal to common_pipeline.
#pragma once

#include <string>
#include <vector>

#include "common/pipeline/fields.h"

namespace furrow::pipeline {

// Reads `steps` of a job and reports every mistake, also that there is no step at all.
std::vector<Step> ReadSteps(Fields& job);

}  // namespace furrow::pipeline
