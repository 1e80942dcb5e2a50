// Makes folders.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::runner {

// Makes `path` and the missing folders above it, with mode 0700. An existing folder is no error.
Status MakeFolder(const std::string& path);

}  // namespace furrow::runner
