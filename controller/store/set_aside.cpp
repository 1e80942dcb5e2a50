#include "controller/store/set_aside.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <span>

#include "common/base/file_io.h"
#include "common/base/log.h"

namespace furrow {

namespace {

Status WriteWhole(const std::filesystem::path& file, std::string_view bytes) {
  FURROW_TRY(MakeFolders(file.parent_path().string()));
  const FileHandle handle(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!handle) return tl::unexpected(ErrnoError("cannot write " + file.string(), errno));
  FURROW_TRY(WriteAll(handle.Get(), std::as_bytes(std::span(bytes)), file.string()));
  if (::fsync(handle.Get()) != 0) return tl::unexpected(ErrnoError("cannot sync " + file.string(), errno));
  return SyncFolder(file.parent_path().string());
}

}  // namespace

void SetAside::Keep(const std::string& name, std::string_view bytes, const std::string& why) const {
  const std::filesystem::path file = folder_ / name;
  const Status kept = WriteWhole(file, bytes);
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
