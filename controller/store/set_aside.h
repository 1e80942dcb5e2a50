// Records that a start finds and cannot read: damaged ones, or such as a newer version wrote. Each is copied into a
// file before anything may be written over it, so that a person or a later version can look at it; the start goes on
// without it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow {

class SetAside {
 public:
  explicit SetAside(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Keeps the bytes of a record under its name ("job-7-12") and says so in the log, with the reason. What cannot be
  // written is said, too: the record still lies in the database, until something is written over it.
  void Keep(const std::string& name, std::string_view bytes, const std::string& why) const;

 private:
  const std::filesystem::path folder_;
};

// A part of a name for any key: as it is where it consists of letters, digits, _ - and dots, else in hex.
std::string NameOfKey(std::string_view key);

}  // namespace furrow
