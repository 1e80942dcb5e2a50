// Writes past the page cache (O_DIRECT): large data that is written once and not read soon neither pushes other data
// out of memory, nor is copied there, nor piles up as dirty pages for which the next sync must wait. On a file system
// that refuses O_DIRECT, writes go through the page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/base/file_io.h"

namespace furrow {

constexpr std::size_t kDirectAlignment = 4096;  // enough for every file system and disk sector in use

// Makes a new file in the folder `dir_fd` and opens it for writing. The handle is empty on failure, and errno says why;
// EEXIST: the file exists already.
FileHandle CreateDirect(int dir_fd, const std::string& name);

// Writes at `offset`, a multiple of the alignment. Zeros may overwrite the bytes between the end of `bytes` and the
// next multiple. WriteDirect starts the way to the disk, but does not sync. Any thread may call it; parts that share no
// block may be written at once. kUnavailable: the disk is full.
Status WriteDirect(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what);

// Sends later writes through the page cache, at any offset. No write may be under way.
void StopDirect(int fd);

}  // namespace furrow
