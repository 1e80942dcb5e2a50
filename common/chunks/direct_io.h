// Writing past the page cache (O_DIRECT), for large data that is written once and need not be near afterwards: a
// gigabyte of it neither pushes other things out of memory, nor is copied there, nor piles up as dirty pages that
// whoever syncs next must wait for. A file system that cannot do so is written to the ordinary way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/base/file_io.h"

namespace furrow {

constexpr std::size_t kDirectAlignment = 4096;  // enough for every file system and disk sector in use

// Makes a new file in the folder `dir_fd` to write to: -1 and errno on failure, EEXIST if there is one.
FileHandle CreateDirect(int dir_fd, const std::string& name);

// Writes at `offset`, a multiple of the alignment. What lies between the end of `bytes` and the next multiple may be
// overwritten with zeros. Starts the way to the disk, but does not sync. Any thread; parts that share no block may be
// written at once. kUnavailable: the disk is full.
Status WriteDirect(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what);

// What is written from now on goes through the page cache, at any offset. When no write is under way.
void StopDirect(int fd);

}  // namespace furrow
