#include "controller/cli/source/folder_files.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace furrow::cli {

namespace fs = std::filesystem;

FolderFiles::FolderFiles(std::vector<std::string> roots) : roots_(std::move(roots)) {}

FolderFiles FolderFiles::Around(const std::string& pipeline_file) {
  std::error_code error;
  const fs::path own = fs::absolute(pipeline_file, error).lexically_normal().parent_path();
  std::vector<std::string> roots = {own.string(), "."};
  for (fs::path folder = own; !error && folder != folder.parent_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / ".git", error)) roots.push_back(folder.string());
  }
  return FolderFiles(std::move(roots));
}

SourceFiles::Kind FolderFiles::Look(const std::string& path) const {
  Kind found = Kind::kNone;
  for (const std::string& root : roots_) {
    std::error_code error;
    const fs::file_status status = fs::status(fs::path(root) / path, error);
    if (fs::is_directory(status)) {
      if (found == Kind::kNone) found = Kind::kFolder;
    } else if (fs::exists(status) || status.type() == fs::file_type::unknown) {
      return Kind::kFile;
    }
  }
  return found;
}

std::string FolderFiles::Start(const std::string& path) const {
  constexpr std::size_t kMost = 64 << 10;
  for (const std::string& root : roots_) {
    std::error_code error;
    const fs::path file = fs::path(root) / path;
    if (!fs::is_regular_file(file, error)) continue;
    std::ifstream in(file, std::ios::binary);
    std::string bytes(kMost, '\0');
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(in.gcount()));
    return bytes;
  }
  return {};
}

}  // namespace furrow::cli
