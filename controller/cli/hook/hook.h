// The git hook reports each push to the farm; a list in the repository keeps the pushes that could not be reported.
//
// The hook is POSIX sh. For each pushed ref it calls `furrow trigger REPO REF OLD NEW`, which bounds its own wait,
// prints a message for the pusher, and notes the push in the list when the controller is away. The hook always exits
// with 0, or with the status of the hook that was there before: it never fails a push. After a call has exited with
// kExitUnreachable, the calls for the push's other refs have FURROW_NOTE_ONLY=1 in their environment: they note the
// push and do not wait again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow::cli {

struct HookSettings {
  std::filesystem::path repository;  // the repository, bare or with a working copy
  std::filesystem::path program;     // the absolute path of furrow
  std::string state;                 // FURROW_STATE for the program: the farm's state folder on this machine
  std::string controller;            // FURROW_CONTROLLER for the program: the farm's address; both empty: the pusher's
                                     // environment decides
  bool force = false;                // Replace a hook that tells another farm.
};

// Writes the post-receive hook where git looks for hooks (core.hooksPath counts). An existing hook stays, as
// post-receive.before-furrow, and is called first with the same input; its exit status is the hook's. A second
// installation rewrites Furrow's hook and changes nothing else. Returns a message for the user. kNotFound: there is no
// repository; kRejected: git or the filesystem refuses, two foreign hooks are in the way, or the hook tells another
// farm and `force` is not set.
Result<std::string> InstallHook(const HookSettings& settings);

// Returns the folder where git keeps the repository at `path`: `path`, or the folder that `path`/.git is or names.
// kNotFound: there is no repository.
Result<std::filesystem::path> GitDirOf(const std::filesystem::path& path);

// Returns the one path by which the farm knows the repository at `path`, which may be a linked working copy, a `.git`
// or lead over links: where git keeps what its working copies share, without `/.git`.
Result<std::filesystem::path> RepositoryOf(const std::filesystem::path& path);

struct PendingPush {
  std::string ref;
  std::string old_commit;
  std::string new_commit;
  friend bool operator==(const PendingPush&, const PendingPush&) = default;
};

// Adds a push to <git_dir>/furrow/pending. Several pushes of one ref become one, from the oldest commit to the newest,
// in any order of the calls. Any process may call this function at any time; after a success the push survives a power
// cut.
Status NotePending(const std::filesystem::path& git_dir, const PendingPush& push);

// Takes all pushes off the list, in the order first noted; only one caller gets each push. A caller that fails to
// report a push notes it again. (If the caller dies first, the controller finds the push by comparing refs.)
Result<std::vector<PendingPush>> TakePending(const std::filesystem::path& git_dir);

}  // namespace furrow::cli
