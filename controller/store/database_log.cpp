#include "controller/store/database_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "common/base/log.h"

namespace furrow {

void DatabaseLog::Logv(const char* format, std::va_list arguments) {
  std::array<char, 1024> text;
  const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
  if (length < 0) return;
  std::string_view words(text.data(), std::min(static_cast<std::size_t>(length), text.size() - 1));
  while (!words.empty() && words.back() == '\n') words.remove_suffix(1);
  log::Warning("the database says: {}", words);
}

}  // namespace furrow
