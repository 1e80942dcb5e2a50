// IDX, the format of MNIST and its relatives: 00 00, a type byte (08: uint8), the number of
// dimensions, each dimension as a big-endian uint32, then the values.
#pragma once

#include <string>

#include "agent/torch/array.h"
#include "common/base/error.h"

namespace furrow::steps {

// An IDX file of uint8 values, plain or gzip; `path` stands in every message.
// kCorrupt: wrong magic, another type, or not as many bytes as its header says.
Result<Array> ReadIdx(const std::string& path);

}  // namespace furrow::steps
