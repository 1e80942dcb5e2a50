// Lexical work on paths inside a tree; nothing here touches a disk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace furrow {

// The components between '/', empty ones included.
inline std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// "a/b" of "a/b/c", "" of "c".
inline std::string_view ParentPath(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

// "c" of "a/b/c".
inline std::string_view LastName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Whether `path` is inside the folder `folder`.
inline bool IsBeneath(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path[folder.size()] == '/' && path.substr(0, folder.size()) == folder;
}

// The path in quotes, shortened and with control bytes as '?', for a message.
inline std::string QuotePath(std::string_view path) {
  constexpr std::size_t kMost = 200;
  std::string quoted = "\"";
  for (const char c : path.substr(0, kMost)) quoted += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return quoted + (path.size() > kMost ? "…\"" : "\"");
}

}  // namespace furrow
