// Runs a program to its end and takes its output. Blocks: not for a loop.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"

namespace furrow {

struct ProgramResult {
  int status = 0;  // exit status; 128 + N if signal N ended it, us at the limit too
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::string folder;                                          // to run in; empty: ours
  std::vector<std::pair<std::string, std::string>> variables;  // added to the environment
  std::chrono::milliseconds limit{0};                          // killed after that; 0: none
};

// Runs argv[0], searched in PATH, with nothing on stdin, to its end. GIT_* variables of our own environment are not
// passed on: in a hook they speak of the wrong repository. kNotFound: there is no such program.
Result<ProgramResult> RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options = {});

}  // namespace furrow
