// The git hook that tells the farm of a push, and the list of pushes that could not be told.
//
// The hook is POSIX sh. For each ref that was pushed it calls `furrow trigger REPO REF OLD NEW`, which bounds its own
// wait, prints what the pusher should read, and notes the push here when the controller is away. The hook itself
// always ends well, or as the hook that was there before did: it never fails a push. Once one call has ended with
// kExitUnreachable, the calls for the push's other refs find FURROW_NOTE_ONLY=1 in their environment: note it, do
// not wait again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow::cli {

struct HookSettings {
  std::filesystem::path repository;  // bare or with a working copy
  std::filesystem::path program;     // furrow; absolute
  std::string state;                 // the farm's state folder on this machine: FURROW_STATE for the program
  std::string controller;            // or its address: FURROW_CONTROLLER; both empty: as the pusher's environment says
};

// Writes the post-receive hook where git looks for it (core.hooksPath counts). A hook that is there already stays, as
// post-receive.before-furrow, and is called first with the same input; its exit status is the hook's. Installing again
// rewrites ours and changes nothing else. Returns what to tell the user. kNotFound: no repository there; kRejected: git
// or the filesystem refuses, or two foreign hooks are in the way.
Result<std::string> InstallHook(const HookSettings& settings);

// Where git keeps the repository at `path` itself: `path`, or what `path`/.git is or names. kNotFound: no repository.
Result<std::filesystem::path> GitDirOf(const std::filesystem::path& path);

struct PendingPush {
  std::string ref;
  std::string old_commit;
  std::string new_commit;
  friend bool operator==(const PendingPush&, const PendingPush&) = default;
};

// Adds a push to <git_dir>/furrow/pending. Several pushes of one ref become one, from the oldest commit to the newest,
// in whatever order they are noted. Any process, any time; what it returns for survives a power cut.
Status NotePending(const std::filesystem::path& git_dir, const PendingPush& push);

// Takes all of them off the list, in the order first noted; each is given to one caller only. Who fails to hand one
// over notes it again. (Should he die first, the controller finds the push by comparing refs.)
Result<std::vector<PendingPush>> TakePending(const std::filesystem::path& git_dir);

}  // namespace furrow::cli
