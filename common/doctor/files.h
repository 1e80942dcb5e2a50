// Checks folders, disks and key files for doctor.
#pragma once

#include <filesystem>
#include <string>

#include "common/doctor/doctor.h"

namespace furrow::doctor {

struct FolderFacts {
  bool exists = false;
  bool is_folder = false;
  std::string access_error;  // why stat or statvfs failed; empty: neither did
  std::string owner;         // the user's name, or number
  std::uint32_t mode = 0;    // permission bits
  bool read_only = false;    // the filesystem is read-only
  std::string foreign;       // a file in the folder that belongs to another user; empty: none
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_files = 0;   // inodes
  std::uint64_t total_files = 0;  // 0: the filesystem does not count them
};
FolderFacts LookAtFolder(const std::filesystem::path& folder);

struct FolderDemand {
  std::string subject;  // "state folder"
  std::string path;
  std::uint32_t may_have = 0700;  // permission bits beyond these are a warning
  std::string owner;              // the owner that the folder should have; empty: any
  std::uint64_t low_bytes = 0;    // less free space is an error, less than twice as much a warning
};
Findings CheckFolder(const FolderDemand& demand, const FolderFacts& facts);

struct KeyFacts {
  bool exists = false;
  std::string access_error;
  std::string owner;
  std::uint32_t mode = 0;
};
KeyFacts LookAtKey(const std::filesystem::path& path);
// `owner` is the state folder's; the user that runs the daemon must be able to read the key.
Finding CheckKey(const std::string& path, const KeyFacts& facts, const std::string& owner);

// Returns "12 GiB" or "512 MiB".
std::string Size(std::uint64_t bytes);

}  // namespace furrow::doctor
