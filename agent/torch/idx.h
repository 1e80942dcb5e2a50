// Reads IDX, the format of MNIST and similar data sets: 00 00, a type byte (08: uint8), the number of dimensions, each
// dimension as a big-endian uint32, then the values.
#pragma once

#include <string>

#include "agent/torch/array.h"
#include "common/base/error.h"

namespace furrow::steps {

// Reads an IDX file of uint8 values, plain or gzip; every message has `path`. kCorrupt: the magic is wrong, the type is
// another one, or the number of bytes is not the header's.
Result<Array> ReadIdx(const std::string& path);

}  // namespace furrow::steps
