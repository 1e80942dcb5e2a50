#include "common/base/user_folders.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <system_error>

namespace furrow {
namespace {

namespace fs = std::filesystem;

// Returns the folder that the variable names; empty: none, or a relative one.
fs::path FolderOf(const char* variable) {
  const char* value = std::getenv(variable);
  fs::path folder = value != nullptr ? value : "";
  return folder.is_absolute() ? folder : fs::path();
}

}  // namespace

Result<fs::path> HomeFolder() {
  fs::path home = FolderOf("HOME");
  if (!home.empty()) return home;
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16384> buffer;
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    home = found->pw_dir;
  if (home.is_absolute()) return home;
  return Fail(
      Errc::kInvalid,
      "this user has no home folder: HOME names no absolute path, and neither does the password file; set HOME");
}

Status CheckCurrentFolder(const fs::path& path) {
  std::error_code failed;
  if (path.is_absolute()) return {};
  static_cast<void>(fs::current_path(failed));
  if (failed != std::errc::no_such_file_or_directory) return {};
  return Fail(Errc::kInvalid, "the current folder is gone, so that there is no " + path.string() +
                                  " in it; go to another folder, or name an absolute path");
}

Result<fs::path> CacheFolder() {
  fs::path cache = FolderOf("XDG_CACHE_HOME");
  if (!cache.empty()) return cache;
  FURROW_ASSIGN(const fs::path home, HomeFolder());
  return home / ".cache";
}

fs::path FolderForTemporaries() {
  std::error_code none;
  fs::path folder = FolderOf("TMPDIR");
  return !folder.empty() && fs::is_directory(folder, none) ? folder : fs::path("/tmp");
}

}  // namespace furrow
