// Repositories turns git commits into trees of chunks and finds pushes that no hook reported. libgit2 works in a child
// process (`furrow-controller --repository-worker`), which has limits on memory and time and may be killed at any
// moment; hooks never run, submodules are not followed. One thread serves all requests, with up to two children at
// once, never two for the same repository.
//
// A repository on this machine is read in place: a commit that was pushed over a moment later is still found there, and
// nothing is stored twice. A repository behind the network is first fetched into a bare mirror.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "controller/state/effects.h"

namespace furrow {

class ChunkStore;

struct RepositoryOptions {
  std::filesystem::path mirrors;  // the folder of bare mirrors and of blob caches
  std::filesystem::path blobs;    // the folder of the controller's chunk store
  std::filesystem::path program;  // furrow-controller, which is started as the child
  std::chrono::milliseconds timeout{60000};
  std::uint64_t memory_limit_bytes = 1u << 30;
  std::vector<std::string>
      allowed;  // path prefixes ("/") or "scheme://host/" prefixes; empty: every local path, no network
  // This process's own store in `blobs`, on whose chunks the child's tree may depend and which may count chunks of the
  // child as present: the store knows for how long children write, and syncs before an import is reported. The store
  // may be null where nothing else writes to `blobs`.
  ChunkStore* store = nullptr;
};

class Repositories {
 public:
  // `progressed` says that the import has stored something, which another try need not store again.
  using OnImported = std::function<void(std::uint64_t ticket, Result<ImportedCommit>, bool progressed)>;
  using OnRefs = std::function<void(RefsListed)>;

  // The thread of this class calls the callbacks, each after the request has left its queues: a callback may make
  // other requests.
  static Result<std::unique_ptr<Repositories>> Start(RepositoryOptions options, OnImported on_imported, OnRefs on_refs);
  ~Repositories();  // Kills the working children.

  // Sets `timeout` and `allowed` of the options for all later requests.
  void SetLimits(std::chrono::milliseconds timeout, std::vector<std::string> allowed);

  // One thread calls the following functions and SetLimits. Import brings the commit's tree into the chunk store.
  // Errors: kUnavailable (the machine's or the network's momentary trouble: no child could be started, the child was
  // killed or took too long, no file descriptor or space on the disk was left), kInternal (trouble that the commit may
  // be the cause of: over the memory limit, a crash), kRejected (not on the allow list, the commit is gone), kNotFound
  // (no repository there), kInvalid (a link that leaves the tree, a furrow.yaml over 1 MiB), kCorrupt (the repository
  // is damaged).
  void Import(std::uint64_t ticket, ImportRequest request);
  // Reads the refs under refs/heads and refs/tags as they are in the repository now: ref → object id, full hex. Refs
  // whose names no message can hold are left out and listed. kRejected: there are more refs than a record holds.
  void ListRefs(std::string repository);

 private:
  struct Impl;
  explicit Repositories(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Runs furrow-controller --repository-worker: reads one request on standard input and answers on standard output.
// Returns the exit status.
int RepositoryWorkerMain();

}  // namespace furrow
