// Raises this process's limit of open files and remembers what it was, for the programs that are not to inherit it.
#pragma once

#include <sys/resource.h>

namespace furrow {

// Raises the soft limit to the hard one, at most to `most`.
void RaiseOpenFiles(rlim_t most = RLIM_INFINITY);

// Returns whether this process may open `count` more files now.
bool CanOpenFiles(unsigned count);

// Returns the soft limit that this process was started with.
rlim_t OpenFilesAtStart();

}  // namespace furrow
