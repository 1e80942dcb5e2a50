// SetAside keeps records that a start cannot read: damaged ones, or ones that a newer version wrote. Each record is
// copied into a file before anything may overwrite it, so that a person or a later version can read it; the start goes
// on without the record.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow {

class SetAside {
 public:
  explicit SetAside(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Until this is called Keep does nothing: the database is only looked at.
  void Begin() { begun_ = true; }

  // Copies the bytes of a record into a file of this name ("job-7-12") and logs the copy and the reason. A failed copy
  // is logged, too: the record stays in the database until something overwrites it.
  void Keep(const std::string& name, std::string_view bytes, const std::string& why) const;

 private:
  const std::filesystem::path folder_;
  bool begun_ = false;
};

// Returns a part of a file name for any key: the key itself where it consists of letters, digits, _ - and dots, else
// its hex form.
std::string NameOfKey(std::string_view key);

}  // namespace furrow
