// FURROW_CHECK checks an invariant, in release builds too. A broken invariant ends the process with the condition, its
// file and line, and `message`: a process that goes on from a wrong state loses more.
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
