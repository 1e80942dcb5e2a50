#include "common/base/open_files.h"

#include <algorithm>

namespace furrow {

rlim_t OpenFilesAtStart() {
  static const rlim_t at_start = [] {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : rlim_t{1024};
  }();
  return at_start;
}

void RaiseOpenFiles(rlim_t most) {
  OpenFilesAtStart();  // It has to look before the limit changes.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min(limit.rlim_max, most);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace furrow
