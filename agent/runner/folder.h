// Folders that are made where they are missing.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::runner {

// Makes `path` and what is missing above it (0700). Nothing happens if it is there.
Status MakeFolder(const std::string& path);

}  // namespace furrow::runner
