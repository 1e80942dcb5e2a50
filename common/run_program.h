// Runs a program and takes its output; for git.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/error.h"

namespace furrow::cli {

struct ProgramResult {
  int status = 0;  // exit status; 128 + N if signal N ended it
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::string folder;                                          // to run in; empty: ours
  std::vector<std::pair<std::string, std::string>> variables;  // added to the environment
};

// Runs argv[0], searched in PATH, with nothing on stdin, to its end. GIT_* variables of our own environment are not
// passed on: in a hook they speak of the wrong repository. kNotFound: there is no such program.
Result<ProgramResult> RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options = {});

}  // namespace furrow::cli
