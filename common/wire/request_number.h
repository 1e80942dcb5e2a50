// The number of a request that is not understood.
#pragma once

#include <cstdint>
#include <string_view>

namespace furrow {

// The request number of a client frame that DecodeClientRequest refuses, so that its sender can be told; 0 if not even
// that can be read.
std::uint64_t RequestNumberOf(std::string_view frame);

}  // namespace furrow
