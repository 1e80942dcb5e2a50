// Reads NPY, NumPy's format for one array: "\x93NUMPY", version, header length, a Python dict with descr, fortran_order
// and shape, then the values
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
#pragma once

#include <string>

#include "agent/torch/array.h"
#include "common/base/error.h"

namespace furrow::steps {

// Reads an NPY file of versions 1.0 to 3.0, plain or gzip: C order, little-endian, bool, integers of any size, float16,
// float32 or float64, at least one dimension. kCorrupt: the magic is wrong, the header cannot be read, or the number of
// bytes is not the header's. kInvalid: this kind of array is not supported; the message names the cure.
Result<Array> ReadNpy(const std::string& path);

}  // namespace furrow::steps
