// Prepares a pipeline file for a run: parses it and hashes what is stored of it. The time grows with the file, so the
// loop never calls these functions; other threads do, and post the result to the loop.
#pragma once

#include <string>
#include <string_view>

#include "common/pipeline/pipeline.h"
#include "controller/state/effects.h"

namespace furrow {

// Parses the text of a pipeline file as ParsePipeline does. The result holds what to store, or every mistake.
PreparedPipeline PrepareFile(std::string text, std::string_view default_name, const Env& overrides = {});

// Prepares a submission and takes its text.
SubmissionPrepared PrepareFileOf(PrepareSubmission submission);

// Makes the shared value of a parsed pipeline. Only a pipeline that breaks a cap of the schema has no value, and the
// parser refuses such a pipeline.
SharedSpec ShareSpec(Pipeline pipeline);

// Returns "fashion" for "/srv/git/fashion.git". A pipeline whose file names none gets this name.
std::string DefaultNameOf(std::string repository);

}  // namespace furrow
