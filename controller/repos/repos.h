// Git: turns a commit into a tree of chunks, and notices pushes that nobody told. libgit2 works in a
// child process (`furrow-controller --repository-worker`) that is limited in memory and time and may be
// killed at any moment; hooks never run, submodules are not followed. One thread serves all requests, with
// up to two children at once, never two for the same repository.
//
// A repository of this machine is read where it lies: a commit that was pushed over a moment later is still
// found there, and nothing is stored twice. One behind the network is fetched into a bare mirror first.
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

struct RepositoryOptions {
  std::filesystem::path mirrors;  // folder of bare mirrors, and of what is known of each repository's files
  std::filesystem::path blobs;    // the controller's chunk store
  std::filesystem::path program;  // furrow-controller, started as the child
  std::chrono::milliseconds timeout{60000};
  std::uint64_t memory_limit_bytes = 1u << 30;
  std::vector<std::string>
      allowed;  // path prefixes ("/") or "scheme://host/" prefixes; empty: every local path, no network
  // ChunkStore::SyncPresence of this process's own store, which the child's tree may lean on; called before an import
  // is reported. May be null where nothing else writes to `blobs`.
  std::function<Status()> sync_presence;
};

class Repositories {
 public:
  using OnImported = std::function<void(std::uint64_t ticket, Result<ImportedCommit>)>;
  using OnRefs = std::function<void(RefsListed)>;

  // The callbacks are called from the thread of this class.
  static Result<std::unique_ptr<Repositories>> Start(RepositoryOptions options, OnImported on_imported, OnRefs on_refs);
  ~Repositories();  // kills a working child

  // What `timeout` and `allowed` of the options say from now on, for what is asked from now on.
  void SetLimits(std::chrono::milliseconds timeout, std::vector<std::string> allowed);

  // The following may be called from one thread, which is SetLimits' too.
  // Brings the commit's tree into the chunk store. Errors: kRejected (not on the allow list, no such commit any
  // more, over the memory limit), kUnavailable (timeout, network, disk full), kNotFound (no repository there),
  // kInvalid (a link that leaves the tree, a furrow.yaml over 1 MiB), kCorrupt (the repository is damaged).
  void Import(std::uint64_t ticket, ImportRequest request);
  // Reads the refs under refs/heads and refs/tags as they are in the repository now: ref → what it names, full hex.
  // Those whose names no message can hold are left out, and named. kRejected: there are more than a record holds.
  void ListRefs(std::string repository);

 private:
  struct Impl;
  explicit Repositories(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What furrow-controller does when started with --repository-worker: reads one request on standard input,
// answers on standard output. Returns the exit status.
int RepositoryWorkerMain();

}  // namespace furrow
