// Git: turns a commit into a tree of chunks, and notices pushes that nobody told. libgit2 works in a
// child process (`furrow-controller --repository-worker`) that is limited in memory and time and may be
// killed at any moment; hooks never run, submodules are not followed. One thread serves all requests.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/ids.h"

namespace furrow {

struct RepositoryOptions {
  std::filesystem::path mirrors;           // folder of bare mirrors
  std::filesystem::path blobs;             // the controller's chunk store
  std::filesystem::path program;           // furrow-controller, started as the child
  std::chrono::milliseconds timeout{60000};
  std::uint64_t memory_limit_bytes = 1u << 30;
  std::vector<std::string> allowed;        // path prefixes ("/") or "scheme://host/" prefixes; empty: every local path, no network
};

// A commit brought home.
struct ImportedCommit {
  std::string commit;                      // full hex
  Hash tree;                               // committed in the chunk store
  std::string title;
  std::string author;
  std::string pipeline_text;               // furrow.yaml at the root; empty with has_pipeline false
  bool has_pipeline = false;
  std::vector<std::string> changed_paths;  // against old_commit; every path where that is unknown; ≤ 10,000
};

struct ImportRequest {
  std::string repository;
  std::string ref;
  std::string old_commit;                  // may be zeros
  std::string commit;                      // full hex
};

class Repositories {
 public:
  using OnImported = std::function<void(std::uint64_t ticket, Result<ImportedCommit>)>;
  using OnRefs = std::function<void(std::string repository, Result<std::map<std::string, std::string>>)>;

  // The callbacks are called from the thread of this class.
  static Result<std::unique_ptr<Repositories>> Start(RepositoryOptions options, OnImported on_imported, OnRefs on_refs);
  ~Repositories();  // kills a working child

  // Fetches the commit into the mirror and imports its tree. Errors: kRejected (not on the allow list, no such
  // commit any more), kUnavailable (timeout, repository away), kNotFound.
  void Import(std::uint64_t ticket, ImportRequest request);
  // Reads the refs under refs/heads and refs/tags as they are in the repository now.
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
