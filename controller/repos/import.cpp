#include "controller/repos/import.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/chunks/chunker.h"
#include "common/chunks/tree.h"
#include "common/pipeline/pipeline.h"
#include "controller/repos/checkout.h"

namespace furrow::repos {
namespace {

constexpr std::size_t kMaxEntries = 1'000'000;  // A tree that names itself many times over has more entries.
constexpr std::size_t kMaxChangedPaths = 10'000;
constexpr std::size_t kMaxNotes = 20;
constexpr std::size_t kMaxWordsBytes = 1000;
constexpr std::uint64_t kBatchBytes = 64 << 20;
constexpr std::chrono::seconds kBatchTime{2};
constexpr const char* kPipelineFile = "furrow.yaml";
constexpr int kMostLinks = 8;
constexpr std::size_t kMaxLfsBytes = 512 << 20;  // of a file that is read at once, within the worker's memory

// Returns whether a file's name is one that people give to a pipeline file: furrow.yml, .furrow.yaml, Furrow.yaml.txt.
bool LooksLikePipeline(std::string_view name) {
  std::string plain;
  for (const char c : name.substr(0, 64)) plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (plain.starts_with('.')) plain.erase(0, 1);
  if (plain.ends_with(".txt")) plain.resize(plain.size() - 4);
  return plain == "furrow.yaml" || plain == "furrow.yml";
}

// Returns the remote from which a partial clone fetches what it lacks; empty: the repository is none.
std::string PromisorOf(git_repository* repository) {
  git_config* config = nullptr;
  if (git_repository_config_snapshot(&config, repository) != 0) return "";
  std::string remote;
  const auto take = [](const git_config_entry* entry, void* found) {
    constexpr std::string_view kBefore = "remote.", kBehind = ".promisor";
    const std::string_view name = entry->name;
    *static_cast<std::string*>(found) = name.substr(kBefore.size(), name.size() - kBefore.size() - kBehind.size());
    return 0;
  };
  git_config_foreach_match(config, "^remote\\..*\\.promisor$", take, &remote);
  git_config_free(config);
  return Presentable(remote, kMaxWordsBytes);
}

// Returns why an object cannot be read. A partial clone lacks objects, which git fetches when it needs them; nothing is
// fetched here.
Error Unreadable(git_repository* repository, int code, const std::string& what) {
  const std::string remote = code == GIT_ENOTFOUND ? PromisorOf(repository) : "";
  if (remote.empty()) return GitError(code, what);
  return {Errc::kRejected,
          what + ": the repository is a partial clone, which lacks it; there `git config --unset remote." + remote +
              ".partialclonefilter` and then `git fetch --refetch " + remote + " BRANCH` bring all"};
}

Result<Blob> ReadBlob(git_repository* repository, const git_oid& id, const std::string& path) {
  git_blob* read = nullptr;
  if (const int code = git_blob_lookup(&read, repository, &id); code != 0)
    return tl::unexpected(Unreadable(repository, code, "cannot read the file " + path));
  return Blob(read);
}

class Importer {
 public:
  Importer(git_repository* repository, const git_commit* commit, ChunkStore& store, BlobCache& cache,
           const std::function<void()>& progressed)
      : repository_(repository),
        checkout_(repository, commit),
        store_(store),
        cache_(cache),
        progressed_(progressed),
        batch_(store) {}

  // Appends the entries beneath `tree`; `folder` is "" or ends in '/'.
  Status Walk(const git_tree* tree, const std::string& folder) {
    const std::size_t count = git_tree_entrycount(tree);
    if (git_tree_entry_byname(tree, ".gitattributes") != nullptr) checkout_.HasAttributes();
    for (std::size_t i = 0; i < count; ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string path = folder + git_tree_entry_name(entry);
      // The check comes here and not only when the tree is made, because a hostile tree may be deeper than the stack.
      if (Status valid = ValidateTreePath(path); !valid) return tl::unexpected(Named(valid.error()));
      if (entries_.size() >= kMaxEntries) {
        return Fail(Errc::kRejected, "the commit has more than " + std::to_string(kMaxEntries) + " files");
      }
      FURROW_TRY(Take(entry, path));
    }
    return {};
  }

  // Makes everything durable and returns the tree's name.
  Result<Hash> Commit() {
    auto tree = MakeTree(std::move(entries_));
    if (!tree) return tl::unexpected(Named(tree.error()));
    FURROW_ASSIGN(const EncodedTree encoded, EncodeTree(*tree));
    FURROW_TRY(batch_.Put(encoded.name, AsBytes(encoded.bytes)));
    FURROW_TRY(CommitBatch());
    return encoded.name;
  }

  std::vector<std::string> TakeNotes() {
    for (std::string& note : checkout_.Notes()) notes_.push_back(std::move(note));
    return std::move(notes_);
  }
  // Returns what may have been meant where there is no pipeline file; empty: nothing looks like one.
  const std::string& hint() const { return hint_; }

 private:
  static Error Named(Error error) { return Annotate(std::move(error), "the commit cannot be taken"); }

  Status Take(const git_tree_entry* entry, const std::string& path) {
    if (LooksLikePipeline(git_tree_entry_name(entry))) {
      const bool in_root = path.find('/') == std::string::npos;
      if (hint_.empty() || in_root)
        hint_ = "there is " + Presentable(path, kMaxWordsBytes) +
                (in_root ? "; call it furrow.yaml" : "; only a furrow.yaml in the root is read");
    }
    switch (git_tree_entry_filemode(entry)) {
      case GIT_FILEMODE_TREE: {
        git_tree* child = nullptr;
        if (const int code = git_tree_lookup(&child, repository_, git_tree_entry_id(entry)); code != 0) {
          return tl::unexpected(Unreadable(repository_, code, "cannot read the folder " + path));
        }
        const GitTree owned(child);
        return Walk(child, path + "/");
      }
      case GIT_FILEMODE_COMMIT:
        if (notes_.size() < kMaxNotes) notes_.push_back("submodule " + Presentable(path, kMaxWordsBytes) + " left out");
        return {};
      case GIT_FILEMODE_LINK: return TakeLink(*git_tree_entry_id(entry), path);
      case GIT_FILEMODE_BLOB_EXECUTABLE: return TakeFile(*git_tree_entry_id(entry), path, TreeMode::kExecutable);
      default: return TakeFile(*git_tree_entry_id(entry), path, TreeMode::kFile);
    }
  }

  Status TakeLink(const git_oid& id, const std::string& path) {
    FURROW_ASSIGN(const Blob blob, ReadBlob(repository_, id, path));
    const auto size = static_cast<std::size_t>(git_blob_rawsize(blob.get()));
    if (size > kMaxPathBytes)
      return Fail(Errc::kInvalid, "the commit cannot be taken: the link " + path + " is too long");
    TreeEntry entry{path, TreeMode::kSymlink, 0, {}, {}};
    entry.target.assign(static_cast<const char*>(git_blob_rawcontent(blob.get())), size);
    entries_.push_back(std::move(entry));
    return {};
  }

  // Takes the content of a file that Git LFS keeps, if the repository holds it. Returns null if it does not.
  Result<const KnownBlob*> TakeLfsObject(const git_oid& id, const std::string& path) {
    FURROW_ASSIGN(const Blob blob, ReadBlob(repository_, id, path));
    const auto size = static_cast<std::size_t>(git_blob_rawsize(blob.get()));
    const auto pointer = ReadPointer({static_cast<const char*>(git_blob_rawcontent(blob.get())), size});
    if (!pointer) return nullptr;  // Not every file of LFS was added with LFS at hand.
    const Hash name = HashOf("lfs " + pointer->oid);
    BlobId key;
    std::memcpy(key.data(), name.bytes.data(), key.size());
    if (const KnownBlob* known = Present(key)) return known;
    const std::filesystem::path object = checkout_.ObjectOf(*pointer);
    const auto bytes =
        object.empty() ? Result<std::string>(Fail(Errc::kNotFound, "")) : ReadFile(object.string(), kMaxLfsBytes);
    if (!bytes || HashOf(*bytes).ToHex() != pointer->oid) {
      checkout_.MissesObject(path);
      return nullptr;
    }
    FURROW_ASSIGN(KnownBlob stored, StoreFile(AsBytes(*bytes)));
    return &cache_.Add(key, std::move(stored));
  }

  // Returns what the cache knows of a blob. The store may have lost a chunk that the cache knows, so the store is
  // asked.
  const KnownBlob* Present(const BlobId& key) const {
    const KnownBlob* known = cache_.Find(key);
    const bool present = known != nullptr && std::ranges::all_of(known->chunks, [&](const ChunkRef& chunk) {
                           return store_.Has(chunk.hash);
                         });
    return present ? known : nullptr;
  }

  Status TakeFile(const git_oid& id, const std::string& path, TreeMode mode) {
    if (checkout_.Look(path)) {
      FURROW_ASSIGN(const KnownBlob* object, TakeLfsObject(id, path));
      if (object != nullptr) {
        entries_.push_back({path, mode, object->size, object->chunks, {}});
        return {};
      }
    }
    BlobId key;
    std::memcpy(key.data(), id.id, key.size());
    const KnownBlob* known = Present(key);
    if (known == nullptr) {
      FURROW_ASSIGN(const Blob blob, ReadBlob(repository_, id, path));
      const auto* content = static_cast<const std::byte*>(git_blob_rawcontent(blob.get()));
      FURROW_ASSIGN(KnownBlob stored, StoreFile({content, static_cast<std::size_t>(git_blob_rawsize(blob.get()))}));
      known = &cache_.Add(key, std::move(stored));
    }
    entries_.push_back({path, mode, known->size, known->chunks, {}});
    return {};
  }

  Result<KnownBlob> StoreFile(std::span<const std::byte> rest) {
    KnownBlob known;
    known.size = rest.size();
    while (!rest.empty()) {
      const std::span<const std::byte> chunk = rest.first(FirstChunk(rest));
      const Hash hash = HashOf(chunk);
      FURROW_TRY(batch_.Put(hash, chunk));
      if (batch_.Bytes() >= kBatchBytes || Clock::now() - committed_ >= kBatchTime) FURROW_TRY(CommitBatch());
      known.chunks.push_back({hash, static_cast<std::uint32_t>(chunk.size())});
      rest = rest.subspan(chunk.size());
    }
    return known;
  }

  // Makes durable what was put. The cache comes after, because it knows only whole files, whose chunks are present
  // then.
  Status CommitBatch() {
    const bool anything = batch_.Count() > 0;
    FURROW_TRY(batch_.Commit());
    cache_.Save();
    committed_ = Clock::now();
    if (anything) progressed_();
    return {};
  }

  using Clock = std::chrono::steady_clock;

  git_repository* const repository_;
  Checkout checkout_;
  ChunkStore& store_;
  BlobCache& cache_;
  const std::function<void()>& progressed_;
  ChunkStore::Batch batch_;
  Clock::time_point committed_ = Clock::now();
  std::vector<TreeEntry> entries_;
  std::vector<std::string> notes_;
  std::string hint_;
};

// Returns the commit that `hex` names, directly or through a tag.
Result<Commit> FindCommit(git_repository* repository, const std::string& hex) {
  git_oid id;
  if (hex.size() != GIT_OID_HEXSZ || git_oid_fromstr(&id, hex.c_str()) != 0) {
    return Fail(Errc::kInvalid, "\"" + Presentable(hex, 100) + "\" is no full commit id (40 hex digits)");
  }
  git_object* object = nullptr;
  int code = git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY);
  if (code == GIT_ENOTFOUND) {
    return Fail(Errc::kRejected,
                "the repository has no commit " + hex + " (any more): was it pushed over and collected?");
  }
  if (code != 0) return tl::unexpected(GitError(code, "cannot read the commit " + hex));
  const Object owned(object);
  git_object* commit = nullptr;
  code = git_object_peel(&commit, object, GIT_OBJECT_COMMIT);
  if (code != 0) return Fail(Errc::kInvalid, hex + " names no commit");
  return Commit(reinterpret_cast<git_commit*>(commit));
}

Result<GitTree> TreeOf(const git_commit* commit) {
  git_tree* tree = nullptr;
  if (const int code = git_commit_tree(&tree, commit); code != 0) {
    return tl::unexpected(GitError(code, "cannot read the tree of the commit"));
  }
  return GitTree(tree);
}

// Returns the paths that differ between the old commit's tree (null: an empty one) and `tree`; a rename gives both
// names.
Result<std::vector<std::string>> ChangedPaths(git_repository* repository, git_tree* old_tree, git_tree* tree,
                                              bool& all) {
  git_diff_options options = GIT_DIFF_OPTIONS_INIT;
  options.flags |= GIT_DIFF_SKIP_BINARY_CHECK;
  git_diff* made = nullptr;
  if (const int code = git_diff_tree_to_tree(&made, repository, old_tree, tree, &options); code != 0) {
    return tl::unexpected(Unreadable(repository, code, "cannot compare the commit with the one before the push"));
  }
  const Diff diff(made);
  std::vector<std::string> paths;
  const std::size_t count = std::min(git_diff_num_deltas(diff.get()), kMaxChangedPaths);
  all = count == git_diff_num_deltas(diff.get());
  for (std::size_t i = 0; i < count; ++i) paths.emplace_back(git_diff_get_delta(diff.get(), i)->new_file.path);
  return paths;
}

// Finds the pipeline file, through links within the commit. Returns null if there is none.
Result<Blob> FindPipeline(git_repository* repository, const git_tree* tree) {
  std::string path = kPipelineFile;
  for (int links = 0; links <= kMostLinks; ++links) {
    git_tree_entry* found = nullptr;
    const int code = git_tree_entry_bypath(&found, tree, path.c_str());
    const TreeItem entry(found);
    if (code == GIT_ENOTFOUND && links == 0) return Blob();
    if (code == GIT_ENOTFOUND)
      return Fail(Errc::kInvalid,
                  "furrow.yaml is a link to " + Presentable(path, kMaxWordsBytes) + ", which the commit does not have");
    if (code != 0) return tl::unexpected(Unreadable(repository, code, "cannot read the folder of " + path));
    const git_filemode_t mode = git_tree_entry_filemode(entry.get());
    if (mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE)
      return ReadBlob(repository, *git_tree_entry_id(entry.get()), kPipelineFile);
    if (mode != GIT_FILEMODE_LINK)
      return Fail(Errc::kInvalid, Presentable(path, kMaxWordsBytes) + " is no file: the pipeline file is one");
    FURROW_ASSIGN(const Blob link, ReadBlob(repository, *git_tree_entry_id(entry.get()), kPipelineFile));
    const std::string target(static_cast<const char*>(git_blob_rawcontent(link.get())),
                             std::min<std::size_t>(git_blob_rawsize(link.get()), kMaxWordsBytes));
    path = (std::filesystem::path(path).parent_path() / target).lexically_normal().string();
    if (path.starts_with('/') || path == ".." || path.starts_with("../") || path.find('\0') != std::string::npos)
      return Fail(Errc::kInvalid, "furrow.yaml is a link to " + Presentable(target, kMaxWordsBytes) +
                                      ", outside of the commit: commit the file itself");
  }
  return Fail(Errc::kInvalid, "furrow.yaml is a link to a link, more than " + std::to_string(kMostLinks) + " deep");
}

Status ReadPipeline(git_repository* repository, const git_tree* tree, ImportedCommit& imported) {
  FURROW_ASSIGN(const Blob blob, FindPipeline(repository, tree));
  if (blob == nullptr) return {};
  const auto size = static_cast<std::size_t>(git_blob_rawsize(blob.get()));
  if (size > kMaxPipelineBytes) {
    return Fail(Errc::kInvalid, "furrow.yaml has " + std::to_string(size) + " bytes, at most " +
                                    std::to_string(kMaxPipelineBytes) + " are read");
  }
  imported.pipeline_text.assign(static_cast<const char*>(git_blob_rawcontent(blob.get())), size);
  imported.has_pipeline = true;
  return {};
}

}  // namespace

Result<ImportedCommit> ImportCommit(git_repository* repository, const ImportRequest& request, ChunkStore& store,
                                    BlobCache& cache, const std::function<void()>& progressed) {
  FURROW_ASSIGN(const Commit commit, FindCommit(repository, request.commit));
  FURROW_ASSIGN(const GitTree tree, TreeOf(commit.get()));

  ImportedCommit imported;
  imported.commit = ToHex(*git_commit_id(commit.get()));
  if (const char* title = git_commit_summary(commit.get())) imported.title = Presentable(title, kMaxWordsBytes);
  if (const git_signature* author = git_commit_author(commit.get())) {
    imported.author = Presentable(std::string(author->name) + " <" + author->email + ">", kMaxWordsBytes);
  }
  FURROW_TRY(ReadPipeline(repository, tree.get(), imported));

  GitTree old_tree;  // null: the branch is new, or its old commit is gone
  if (auto old = FindCommit(repository, request.old_commit)) {
    if (auto found = TreeOf(old->get())) old_tree = std::move(*found);
  }
  FURROW_ASSIGN(imported.changed_paths, ChangedPaths(repository, old_tree.get(), tree.get(), imported.all_paths));

  Importer importer(repository, commit.get(), store, cache, progressed);
  FURROW_TRY(importer.Walk(tree.get(), ""));
  FURROW_ASSIGN(imported.tree, importer.Commit());
  imported.notes = importer.TakeNotes();
  if (!imported.has_pipeline) imported.hint = importer.hint();
  return imported;
}

}  // namespace furrow::repos
