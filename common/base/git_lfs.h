// Knows what git has in place of a file of git-LFS whose content was not fetched.
#pragma once

#include <string_view>

namespace furrow {

inline bool IsLfsPointer(std::string_view begin_of_file) {
  return begin_of_file.starts_with("version https://git-lfs.github.com/spec/");
}

inline constexpr const char* kLfsPointer =
    "is a git-LFS pointer in place of the file, whose content git did not have: `git lfs pull` where it is committed "
    "from, or in a `run` step before";

}  // namespace furrow
