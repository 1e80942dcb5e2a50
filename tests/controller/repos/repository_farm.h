// A bare repository made by git with a working copy beside it, and the farm's side: the real Repositories with real
// children.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "common/chunks/tree.h"
#include "controller/repos/repos.h"

namespace furrow::testing {

inline const std::string kZeros(40, '0');

inline std::string Shell(const std::filesystem::path& dir, const std::string& command) {
  const std::string whole =
      "cd '" + dir.string() +
      "' && export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsync GIT_CONFIG_VALUE_0=none GIT_CONFIG_GLOBAL=/dev/null "
      "GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=Ada"
      " GIT_AUTHOR_EMAIL=ada@example.org GIT_COMMITTER_NAME=Ada GIT_COMMITTER_EMAIL=ada@example.org; set -e; " +
      command;
  std::FILE* out = ::popen(whole.c_str(), "r");
  REQUIRE(out != nullptr);
  std::string text;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), out)) text.append(buffer, got);
  INFO(command);
  REQUIRE(::pclose(out) == 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class RepositoryFarm {
 public:
  explicit RepositoryFarm(const std::string& program) {
    std::string pattern = (std::filesystem::temp_directory_path() / "furrow-repos-XXXXXX").string();
    root = ::mkdtemp(pattern.data());
    Shell(root, "git init -q --bare origin.git; git init -q -b main work; git -C work remote add origin ../origin.git");
    options.mirrors = root / "mirrors";
    options.blobs = root / "blobs";
    options.program = program;
  }
  ~RepositoryFarm() {
    repositories.reset();
    std::filesystem::remove_all(root);
  }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root / "work" / path).parent_path());
    std::ofstream(root / "work" / path, std::ios::binary) << text;
  }
  // Commits everything in the working copy and pushes it; returns the commit.
  std::string Push(const std::string& title, const std::string& ref = "main") {
    return Shell(root / "work", "git add -A; git commit -q -m '" + title + "'; git push -q origin HEAD:" + ref +
                                    "; git rev-parse HEAD");
  }

  void Start() {
    auto started = Repositories::Start(
        options,
        [this](std::uint64_t ticket, Result<ImportedCommit> result, bool further) {
          std::lock_guard lock(mutex_);
          progressed = further;
          imported_.emplace(ticket, std::move(result));
          changed_.notify_all();
        },
        [this](RefsListed listed) {
          std::lock_guard lock(mutex_);
          left_out = listed.left_out;
          hooked = listed.hooked;
          identity = listed.identity;
          refs_.emplace(listed.repository, std::move(listed.refs));
          changed_.notify_all();
        });
    if (!started) FAIL(started.error().message);
    repositories = std::move(*started);
  }
  std::uint64_t Ask(const std::string& commit, const std::string& old_commit = kZeros, std::string repository = "") {
    if (!repositories) Start();
    if (repository.empty()) repository = (root / "origin.git").string();
    repositories->Import(++ticket_, {repository, "refs/heads/main", old_commit, commit});
    return ticket_;
  }
  Result<ImportedCommit> Answer(std::uint64_t ticket) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::minutes(1), [&] { return imported_.contains(ticket); }));
    return imported_.at(ticket);
  }
  Result<ImportedCommit> Import(const std::string& commit, const std::string& old_commit = kZeros,
                                const std::string& repository = "") {
    return Answer(Ask(commit, old_commit, repository));
  }
  Result<std::map<std::string, std::string>> Refs(const std::string& repository) {
    if (!repositories) Start();
    repositories->ListRefs(repository);
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::minutes(1), [&] { return refs_.contains(repository); }));
    auto refs = refs_.at(repository);
    refs_.erase(repository);
    return refs;
  }

  Tree TreeOf(const ImportedCommit& imported) {
    auto store = ChunkStore::Open(options.blobs.string());
    REQUIRE(store);
    auto bytes = (*store)->Get(imported.tree);
    REQUIRE(bytes);
    auto tree = DecodeTree(AsBytes(*bytes));
    REQUIRE(tree);
    for (const ChunkRef& chunk : tree->UniqueChunks()) CHECK((*store)->Get(chunk.hash)->size() == chunk.size);
    return *tree;
  }

  std::filesystem::path root;
  RepositoryOptions options;
  std::unique_ptr<Repositories> repositories;
  std::string left_out;     // of the last Refs
  std::string identity;     // of the last Refs
  bool hooked = false;      // of the last Refs
  bool progressed = false;  // of the last import

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Result<ImportedCommit>> imported_;
  std::map<std::string, Result<std::map<std::string, std::string>>> refs_;
  std::uint64_t ticket_ = 0;
};

inline std::string Content(RepositoryFarm& farm, const Tree& tree, const std::string& path) {
  const TreeEntry* entry = tree.Find(path);
  REQUIRE(entry != nullptr);
  auto store = ChunkStore::Open(farm.options.blobs.string());
  std::string text;
  for (const ChunkRef& chunk : entry->chunks) text += *(*store)->Get(chunk.hash);
  return text;
}

}  // namespace furrow::testing
