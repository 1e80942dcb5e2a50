// An Assignment is one decision of the scheduler: which agent and which devices a job gets.
#pragma once

#include <string>
#include <vector>

#include "common/base/ids.h"

namespace furrow {

struct Assignment {
  JobId job{};
  std::string agent;
  std::vector<std::string> gpu_uuids;
};

}  // namespace furrow
