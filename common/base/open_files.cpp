#include "common/base/open_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

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

bool CanOpenFiles(unsigned count) {
  std::vector<int> opened;
  while (opened.size() < count) {
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) break;
    opened.push_back(fd);
  }
  for (const int fd : opened) ::close(fd);
  return opened.size() == count;
}

}  // namespace furrow
