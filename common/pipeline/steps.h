// The steps of a job. Internal to common_pipeline.
#pragma once

#include <string>
#include <vector>

#include "common/pipeline/fields.h"

namespace furrow::pipeline {

// Reads `steps` of a job; reports every mistake, also if there is no step at all.
std::vector<Step> ReadSteps(Fields& job);

}  // namespace furrow::pipeline
