// Asks how much room a filesystem has for a process that is not its administrator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace furrow {

// Returns the bytes that may still be written in the folder's filesystem: 0 also where it takes no further file.
// Nothing: it cannot be asked.
std::optional<std::uint64_t> FreeBytes(const std::filesystem::path& folder);

}  // namespace furrow
