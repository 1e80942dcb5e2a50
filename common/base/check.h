// FURROW_CHECK: an invariant that stays on in release builds. A broken one ends the process with
// the condition, the place and the given words: going on from a wrong state would lose more.
#pragma once

#include <string_view>

namespace furrow {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, std::string_view message);

}  // namespace furrow

#define FURROW_CHECK(condition, message)                                \
  do {                                                                  \
    if (!(condition)) [[unlikely]]                                      \
      ::furrow::CheckFailed(__FILE__, __LINE__, #condition, (message)); \
  } while (0)
