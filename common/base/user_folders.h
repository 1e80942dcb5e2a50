// The folders of the user who runs this process. None of them is ever relative: what lies in the current folder may be
// somebody else's, a repository's for example, and must not pass for the user's own.
#pragma once

#include <filesystem>

#include "common/base/error.h"

namespace furrow {

// HOME, or what the password file says where HOME names no absolute folder. kInvalid: neither does.
Result<std::filesystem::path> HomeFolder();

// Fails with kInvalid where `path` is relative and the current folder is gone, so that nothing lies there.
Status CheckCurrentFolder(const std::filesystem::path& path);

// XDG_CACHE_HOME, or .cache in the home folder where the variable names no absolute folder.
Result<std::filesystem::path> CacheFolder();

// TMPDIR, or /tmp where the variable names no absolute folder that is there.
std::filesystem::path FolderForTemporaries();

}  // namespace furrow
