// Removes what lies in a folder, whatever a hostile or careless program left there: folders without permissions, trees
// of any depth, files with flags (chattr), mounts. Links are not followed. What is mounted inside is unmounted where
// this process may do so, and is never entered. After an error, which names what stands in the way first and why,
// everything that could be removed is gone.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow {

// Removes everything beneath the directory `dir_fd`, and leaves the directory itself.
Status RemoveBeneath(int dir_fd);

// Makes the folder `path` as good as new for its owner, this process: empty, mode 0700, without access lists.
// kNotFound: there is nothing.
Status EmptyFolder(const std::string& path);

// Removes a file, or a folder with all beneath. A missing path is no error.
Status RemovePath(const std::string& path);

}  // namespace furrow
