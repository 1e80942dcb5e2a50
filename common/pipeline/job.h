// Reads one job of a furrow.yaml, and the values that jobs share with the file's top. This header is internal to
// common_pipeline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/fields.h"
#include "common/pipeline/file_uses.h"
#include "common/pipeline/pattern.h"

namespace furrow::pipeline {

// Holds the positions of values that can be judged only once all jobs are read.
struct JobPositions {
  Position job;
  Position shards;
  std::vector<Position> needs;  // one for each of JobSpec::needs
  std::vector<FileUse> files;   // of its native steps
};

// Reads one entry of `jobs`. `base_env` holds the file's variables, which the job's own override.
JobSpec ReadJob(const YamlNode& key, const YamlNode& value, const Env& base_env, JobPositions& positions,
                Report& report);

// Puts the variables under `env` of `fields` into `env`, where they replace those of the same name.
void ReadEnv(Fields& fields, Env& env);

// Returns the patterns at `key`, read by ReadPattern; reports those that can match nothing, and a list that takes
// nothing.
std::vector<std::string> ReadPatterns(Fields& fields, std::string_view key, std::string_view example, PatternUse use);

// Reports, job by job, needs of jobs that do not exist, doubled needs, each cycle, and jobs that need more than a
// message to an agent holds.
void CheckNeeds(const std::vector<JobSpec>& jobs, const std::vector<JobPositions>& positions, Report& report);

}  // namespace furrow::pipeline
