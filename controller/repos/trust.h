// Judges where a repository leads: a file `.git`, alternates and links name other folders, which its owner may not be
// allowed to read although the controller is. Only the repository worker uses this header.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace furrow::repos {

// Returns whether `path` is `prefix` or lies beneath it; "/srv/git" does not cover "/srv/github".
bool Beneath(std::string_view path, std::string_view prefix);

// Returns whether `path` is one of the allowed path prefixes or lies beneath one; links are resolved. An empty list
// allows every path.
bool OnList(const std::vector<std::string>& allowed, const std::filesystem::path& path);

// Checks all that reading the repository at `folder`, a path without links, would follow: the folder that a file `.git`
// names, the common folder of a linked working copy, alternates, links among the objects. Each must be on the list, and
// belong to the owner of `folder` or be readable by everybody. kRejected: one is not.
Status CheckWhereItLeads(const std::filesystem::path& folder, const std::vector<std::string>& allowed);

}  // namespace furrow::repos
