// Works on the text of paths inside a tree; no function here touches a disk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace furrow {

// Returns the components between '/', empty ones included.
inline std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// Returns "a/b" for "a/b/c" and "" for "c".
inline std::string_view ParentPath(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

// Returns "c" for "a/b/c".
inline std::string_view LastName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Returns whether `path` is inside the folder `folder`.
inline bool IsBeneath(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.substr(0, folder.size()) == folder;
}

// Returns the path in quotes for a message, shortened and with '?' for control bytes.
inline std::string QuotePath(std::string_view path) {
  constexpr std::size_t kMost = 200;
  std::string quoted = "\"";
  for (const char c : path.substr(0, kMost)) quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return quoted + (path.size() > kMost ? "…\"" : "\"");
}

}  // namespace furrow
