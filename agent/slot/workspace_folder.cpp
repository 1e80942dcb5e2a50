#include "agent/slot/workspace_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/chunks/remove_tree.h"

namespace furrow {
namespace {

constexpr std::string_view kAside = ".aside-";

bool IsAside(const std::string& path) {
  return path.find(kAside, path.rfind('/') + 1) != std::string::npos;
}

// A rename within one folder needs no right to what is renamed. kInternal, kRejected: `path` itself is a mount.
Status PutAside(const std::string& path, const Error& why) {
  for (std::uint64_t number = 1;; ++number) {
    const std::string aside = path + std::string(kAside) + std::to_string(number);
    if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, aside.c_str(), RENAME_NOREPLACE) == 0) {
      log::Warning("{} was put aside, because it cannot be removed: {}; `furrow-agent doctor` says what to do", aside,
                   why.message);
      return {};
    }
    if (errno == EEXIST) continue;
    Error error = why;
    error.message += "; nor can it be put aside: " + ErrnoError("rename", errno).message;
    return tl::unexpected(std::move(error));
  }
}

}  // namespace

Status MakeWorkspaceFolder(const std::string& dir) {
  if (::mkdir(dir.c_str(), 0700) == 0) return {};
  if (errno == ENOENT) return MakeFolders(dir);
  if (errno != EEXIST) return tl::unexpected(ErrnoError("cannot make the workspace " + dir, errno));
  if (EmptyFolder(dir)) return {};
  if (const Status removed = RemovePath(dir); !removed) {  // It is no folder, or something in it stays.
    if (Status aside = PutAside(dir, removed.error()); !aside)
      return tl::unexpected(Annotate(std::move(aside).error(), "the workspace " + dir));
  }
  if (::mkdir(dir.c_str(), 0700) == 0) return {};
  return tl::unexpected(ErrnoError("cannot make the workspace " + dir, errno));
}

bool IsNewWorkspaceFolder(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(dir.c_str()), ::closedir);
  if (!folder) return errno == ENOENT;
  struct stat status {};
  if (::fstat(::dirfd(folder.get()), &status) != 0 || (status.st_mode & 07777) != 0700) return false;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

void RemoveLeftover(const std::string& path) {
  const Status removed = RemovePath(path);
  if (removed) return;
  if (IsAside(path)) return log::Warning("{} is still put aside: {}", path, removed.error().message);
  if (const Status aside = PutAside(path, removed.error()); !aside)
    log::Warning("left behind: {}", aside.error().message);
}

Result<bool> KeepOwnFolder(const std::string& dir) {
  struct stat now {};
  const bool there = ::stat(dir.c_str(), &now) == 0;  // A link to a folder is its administrator's way to another disk.
  if (there && S_ISDIR(now.st_mode) && (now.st_mode & S_IRWXU) == S_IRWXU) return false;
  if (!there && errno != ENOENT) return tl::unexpected(ErrnoError("cannot look at " + dir, errno));
  log::Warning("the agent's folder {} {} and is repaired: a job must have done it", dir,
               !there                 ? "is gone"
               : S_ISDIR(now.st_mode) ? "was closed to its owner"
                                      : "is no folder any more");
  if (there && S_ISDIR(now.st_mode)) {
    if (::chmod(dir.c_str(), (now.st_mode & 07777) | S_IRWXU) == 0) return true;
    return tl::unexpected(ErrnoError("cannot open " + dir + " to its owner again", errno));
  }
  if (there) FURROW_TRY(RemovePath(dir));
  FURROW_TRY(MakeFolders(dir));
  return true;
}

std::vector<std::string> FoldersAside(const std::string& work) {
  std::vector<std::string> aside;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(work, error))
    if (IsAside(entry.path().string())) aside.push_back(entry.path().string());
  std::sort(aside.begin(), aside.end());
  return aside;
}

}  // namespace furrow
