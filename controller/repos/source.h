// A Source says where a repository is and how its objects are reached: in place on this machine, or behind the network
// through a bare mirror. Only the repository worker uses this header.
#pragma once

#include <string>

#include "common/base/error.h"
#include "controller/repos/git.h"
#include "controller/repos/worker_messages.h"

namespace furrow::repos {

struct Source {
  bool local = false;
  std::string address;  // local: the absolute path without links; else the URL
};

// Classifies the address and checks it against the allow list. kRejected: the list does not have the address;
// kNotFound: there is no such folder; kInvalid: the text is neither a path nor an address.
Result<Source> Locate(const WorkerRequest& request);

// Returns the path of a file that belongs to this repository: `mirrors`/<SHA-256 of the address>`suffix`.
std::string FileFor(const WorkerRequest& request, const Source& source, const char* suffix);

// Opens a repository in which the requested commit can be looked up. A mirror that lacks the commit is fetched first.
// kNotFound: there is no repository.
Result<Repository> OpenForImport(const WorkerRequest& request, const Source& source);

// Returns the refs under refs/heads and refs/tags as they are now, and whether the farm's hook is there.
Result<Look> LookAt(const Source& source);

// Returns a text that says which repository this is, by whatever path it was opened; empty: not known.
std::string IdentityOf(const Source& source, git_repository* repository);

}  // namespace furrow::repos
