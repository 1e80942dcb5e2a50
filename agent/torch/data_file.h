// Reads a whole data file into memory, unpacking gzip.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::steps {

// Returns the bytes of `path`, decompressed if they start like gzip (the name does not matter). kNotFound: no such
// file. kInvalid: a git-LFS pointer is in its place.
// kCorrupt: the gzip data is cut off or damaged; the message says where.
Result<std::string> ReadDataFile(const std::string& path);

// Returns up to the first eight bytes for a message, as "93 4e 55 …", or "nothing".
std::string FirstBytes(const std::string& bytes);

}  // namespace furrow::steps
