// Names a chunk store's 256 folders. store*.cpp uses it.
#pragma once

#include <cstdio>

namespace furrow {

struct FolderName {
  char text[3];
  explicit FolderName(unsigned index) { std::snprintf(text, sizeof(text), "%02x", index & 0xFF); }
};

}  // namespace furrow
