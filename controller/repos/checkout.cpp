#include "controller/repos/checkout.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace furrow::repos {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNamedBytes = 200;

}  // namespace

std::optional<LfsPointer> ReadPointer(std::string_view blob) {
  constexpr std::string_view kVersion = "version https://git-lfs.github.com/spec/v1\n";
  constexpr std::string_view kOid = "oid sha256:", kSize = "size ";
  if (blob.size() > kMaxPointerBytes || !blob.starts_with(kVersion)) return std::nullopt;
  LfsPointer pointer;
  while (!blob.empty()) {
    const std::string_view line = blob.substr(0, blob.find('\n'));
    blob.remove_prefix(std::min(line.size() + 1, blob.size()));
    if (line.starts_with(kOid)) pointer.oid = line.substr(kOid.size());
    if (!line.starts_with(kSize)) continue;
    const std::string_view number = line.substr(kSize.size());
    std::from_chars(number.data(), number.data() + number.size(), pointer.size);
  }
  const bool hex = pointer.oid.find_first_not_of("0123456789abcdef") == std::string::npos;
  return pointer.oid.size() == 64 && hex ? std::optional(pointer) : std::nullopt;
}

Checkout::Checkout(git_repository* repository, const git_commit* commit) : repository_(repository), commit_(commit) {
  std::error_code ignored;
  has_attributes_ = fs::exists(fs::path(git_repository_commondir(repository)) / "info" / "attributes", ignored);
}

void Checkout::Note(const std::string& kind, const std::string& path) {
  Found& found = found_[kind];
  if (found.count++ == 0) found.first = Presentable(path, kMaxNamedBytes);
}

bool Checkout::Look(const std::string& path) {
  if (!has_attributes_) return false;
  constexpr std::size_t kCount = 4;
  const char* names[kCount] = {"filter", "ident", "eol", "working-tree-encoding"};
  const char* values[kCount] = {};
  git_attr_options options = GIT_ATTR_OPTIONS_INIT;
  options.flags = GIT_ATTR_CHECK_INCLUDE_COMMIT | GIT_ATTR_CHECK_NO_SYSTEM;
  options.attr_commit_id = *git_commit_id(commit_);
  if (git_attr_get_many_ext(values, repository_, &options, path.c_str(), kCount, names) != 0) return false;
  const auto text = [&](std::size_t i) {
    return git_attr_value(values[i]) == GIT_ATTR_VALUE_STRING ? std::string(values[i]) : std::string();
  };
  const std::string filter = text(0);
  if (!filter.empty() && filter != "lfs")
    Note("did not go through the filter `" + Presentable(filter, kMaxNamedBytes) + "`", path);
  if (git_attr_value(values[1]) == GIT_ATTR_VALUE_TRUE) Note("have `$Id$` without its value", path);
  if (text(2) == "crlf") Note("end their lines with LF, not by `eol=crlf`", path);
  if (const std::string encoding = text(3); !encoding.empty())
    Note("are in UTF-8, not in " + Presentable(encoding, kMaxNamedBytes), path);
  return filter == "lfs";
}

fs::path Checkout::ObjectOf(const LfsPointer& pointer) const {
  fs::path object = fs::path(git_repository_commondir(repository_)) / "lfs" / "objects" / pointer.oid.substr(0, 2) /
                    pointer.oid.substr(2, 2) / pointer.oid;
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(object, failed);
  if (failed || !fs::is_regular_file(status) || fs::file_size(object, failed) != pointer.size) return {};
  return object;
}

std::vector<std::string> Checkout::Notes() const {
  std::vector<std::string> notes;
  for (const auto& [kind, found] : found_) {
    const std::string which =
        found.first + (found.count > 1 ? " and " + std::to_string(found.count - 1) + " more" : "");
    if (kind == "lfs")
      notes.push_back("of files in Git LFS jobs find the pointers, since the repository lacks the contents: " + which +
                      "; `git lfs pull` in a step fetches them");
    else
      notes.push_back("files are as git stores them, and " + kind + ": " + which);
  }
  return notes;
}

}  // namespace furrow::repos
