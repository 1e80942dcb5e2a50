// Where a repository is and how its objects are reached: in place on this machine, or behind the network by way
// of a bare mirror. For the repository worker.
#pragma once

#include <string>

#include "common/base/error.h"
#include "controller/repos/git.h"
#include "controller/repos/worker_messages.h"

namespace furrow::repos {

struct Source {
  bool local = false;
  std::string address;  // local: the path, absolute and without links; else the URL
};

// Sorts the address and holds it against the allow list. kRejected: not on it; kNotFound: no such folder.
Result<Source> Locate(const WorkerRequest& request);

// Where things that belong to this repository lie: `mirrors`/<SHA-256 of the address>`suffix`.
std::string FileFor(const WorkerRequest& request, const Source& source, const char* suffix);

// Opens a repository in which the requested commit can be looked up; fetches first where it is behind the network
// and the mirror lacks the commit. kNotFound: no repository there.
Result<Repository> OpenForImport(const WorkerRequest& request, const Source& source);

// The refs under refs/heads and refs/tags, now.
Result<Refs> ReadRefs(const Source& source);

}  // namespace furrow::repos
