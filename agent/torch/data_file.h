// Reads a whole data file into memory, unpacking gzip.
#pragma once

#include <string>

#include "common/base/error.h"

namespace furrow::steps {

// The bytes of `path`, decompressed if they start like gzip (the name does not matter).
// kNotFound: no such file. kCorrupt: gzip that is cut off or damaged; says where.
Result<std::string> ReadDataFile(const std::string& path);

// For a message: up to the first eight bytes as "93 4e 55 …", or "nothing".
std::string FirstBytes(const std::string& bytes);

}  // namespace furrow::steps
