// Takes the folder in which a daemon keeps its state: environments of jobs, logs and keys are in there.
#pragma once

#include <filesystem>

#include "common/base/error.h"

namespace furrow::daemon {

// Makes the folder, with those above it, and takes it from other users, whatever its mode was: only its owner may enter
// it, and its group where the daemon runs as kFarmGroup. A folder of another user and one that all users share, such as
// /tmp, stay as they are; the daemon's files in there are private nevertheless (MakeFilesPrivate). kInvalid: the folder
// cannot be made, or something else is in its place.
Status TakeStateFolder(const std::filesystem::path& folder);

}  // namespace furrow::daemon
