#include "controller/store/set_aside.h"

#include <algorithm>
#include <cctype>

#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/base/replace_file.h"

namespace furrow {

void SetAside::Keep(const std::string& name, std::string_view bytes, const std::string& why) const {
  if (!begun_) return;
  const std::filesystem::path file = folder_ / name;
  Status kept = MakeFolders(folder_.string());
  if (kept) kept = ReplaceFile(file.string(), bytes, 0600);
  log::Error("the record {} cannot be read and is left out, a copy lies in {}: {}", name,
             kept ? file.string() : "no file (" + kept.error().message + ")", why);
}

std::string NameOfKey(std::string_view key) {
  const bool plain = !key.empty() && key.size() <= 100 && key.front() != '.' &&
                     std::all_of(key.begin(), key.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
                     });
  if (plain) return std::string(key);
  constexpr const char* kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : key.substr(0, 100)) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

}  // namespace furrow
