// Keeps the folders in which jobs work: each job finds an empty one, whatever the job before left behind.
//
// A folder that cannot be emptied, because it holds files of another user or a mount, for example, is put aside: it is
// renamed to "<folder>.aside-<number>". The log and `furrow-agent doctor` name it, and every start of the agent tries
// to remove it again.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow {

// Makes the folder `dir` and those above it, or makes it as good as new. Errors name the folder: it can be neither
// emptied nor put aside.
Status MakeWorkspaceFolder(const std::string& dir);

// Returns whether `dir` is as MakeWorkspaceFolder leaves it, or missing. It is the quick answer: false may mean that it
// only could not be seen.
bool IsNewWorkspaceFolder(const std::string& dir);

// Removes what an earlier process of the agent left at `path`, or puts it aside.
void RemoveLeftover(const std::string& path);

// Makes sure that a folder of the agent's own is one that its user can use: a job, which is the same user's, may have
// taken it away, closed it or put something else in its place. Says in the log what it had to repair, and returns
// whether there was something.
Result<bool> KeepOwnFolder(const std::string& dir);

// Returns the paths of what is put aside in the folder `work`, in order.
std::vector<std::string> FoldersAside(const std::string& work);

}  // namespace furrow
