// Says how the files that git stores for a commit differ from those of a checkout: by attributes, and by Git LFS, whose
// objects it finds. Only the repository worker uses this header.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/repos/git.h"

namespace furrow::repos {

// A pointer is what git stores in the place of a file that Git LFS keeps.
struct LfsPointer {
  std::string oid;  // SHA-256 of the file, hex
  std::uint64_t size = 0;
};
inline constexpr std::size_t kMaxPointerBytes = 1024;
std::optional<LfsPointer> ReadPointer(std::string_view blob);

class Checkout {
 public:
  // Both must outlive the object.
  Checkout(git_repository* repository, const git_commit* commit);

  // Says that the commit has files `.gitattributes`, without which nothing is asked.
  void HasAttributes() { has_attributes_ = true; }

  // Takes note of a file that a checkout would convert. Returns whether Git LFS keeps it.
  bool Look(const std::string& path);
  // Returns where the repository holds the content behind a pointer; empty: it does not.
  std::filesystem::path ObjectOf(const LfsPointer& pointer) const;
  void MissesObject(const std::string& path) { Note("lfs", path); }

  std::vector<std::string> Notes() const;

 private:
  struct Found {
    std::size_t count = 0;
    std::string first;
  };
  void Note(const std::string& kind, const std::string& path);

  git_repository* const repository_;
  const git_commit* const commit_;
  bool has_attributes_ = false;
  std::map<std::string, Found> found_;  // by what would be done to the files
};

}  // namespace furrow::repos
