// Writes a file whole: whoever reads it, and a start after a crash, finds the old bytes or the new ones.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow {

enum class Durability {
  kSynced,     // The file survives a power cut from when the call returns.
  kNotSynced,  // The file may be the old one, or empty, after a power cut.
};

// Puts a file of these bytes and exactly this mode, whatever the umask, in the place of `path`. On an error the old
// file is there, unless the sync of the folder failed, which comes last: the new one is there then and may not survive
// a power cut.
Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode,
                   Durability durability = Durability::kSynced);

// Writes a new file in the folder of `path` and syncs it; returns its name, which the caller renames or removes.
Result<std::string> WriteBeside(const std::string& path, std::string_view bytes, mode_t mode,
                                Durability durability = Durability::kSynced);

}  // namespace furrow
