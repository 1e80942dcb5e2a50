// Bounds what one answer lists.
#pragma once

#include <cstddef>

namespace furrow {

// An answer that lists things holds so many bytes of them; the asker asks for the rest, or gets it in a further
// message.
inline constexpr std::size_t kPageBytes = 1 << 20;

}  // namespace furrow
