#include "common/chunks/tree_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "common/base/hash.h"
#include "common/chunks/beneath.h"
#include "common/chunks/file_hasher.h"
#include "common/chunks/tree_path.h"
#include "common/chunks/tree_walk.h"

namespace furrow {
namespace {

Result<ScannedTree> HashWalk(int root_fd, Walk walk, const ScanOptions& options) {
  std::vector<WalkedEntry>& walked = walk.entries;
  std::sort(walked.begin(), walked.end(),
            [](const WalkedEntry& a, const WalkedEntry& b) { return TreePathLess(a.path, b.path); });
  walked.erase(std::unique(walked.begin(), walked.end(),
                           [](const WalkedEntry& a, const WalkedEntry& b) { return a.path == b.path; }),
               walked.end());

  std::vector<HashJob> jobs;
  std::uint64_t bytes = 0;
  for (const WalkedEntry& entry : walked) {
    if (entry.mode != TreeMode::kFile && entry.mode != TreeMode::kExecutable) continue;
    jobs.push_back({entry.path, entry.status, {}, {}});
    bytes += static_cast<std::uint64_t>(entry.status.st_size);
    if (bytes > options.max_bytes)
      return Fail(Errc::kInvalid, "the files up to " + QuotePath(entry.path) + " are over the limit of " +
                                      std::to_string(options.max_bytes) + " bytes");
  }
  std::vector<HashJob*> pointers;
  pointers.reserve(jobs.size());
  for (HashJob& job : jobs) pointers.push_back(&job);
  ScannedTree scanned;
  scanned.left_out = std::move(walk.left_out);
  scanned.special = std::move(walk.special);
  FURROW_ASSIGN(scanned.hashed_bytes, HashFiles(root_fd, pointers, options.cache, options.threads, options.keep_going));

  std::vector<TreeEntry> entries;
  entries.reserve(walked.size());
  auto job = jobs.begin();
  for (WalkedEntry& from : walked) {
    TreeEntry entry{std::move(from.path), from.mode, 0, {}, std::move(from.target)};
    if (entry.mode == TreeMode::kFile || entry.mode == TreeMode::kExecutable) {
      entry.size = static_cast<std::uint64_t>(job->status.st_size);
      entry.chunks = std::move(job->chunks);
      const std::string failure = std::move((job++)->failure);
      if (!failure.empty()) {
        scanned.left_out.push_back(failure);
        continue;
      }
    }
    entries.push_back(std::move(entry));
  }
  if (options.keep_going) {
    Tree all{std::move(entries)};
    std::vector<std::string> links = TakeOutBadLinks(all);
    std::move(links.begin(), links.end(), std::back_inserter(scanned.left_out));
    entries = std::move(all.entries);
  }
  FURROW_ASSIGN(scanned.tree, MakeTree(std::move(entries)));
  scanned.unmatched = std::move(walk.unmatched);
  return scanned;
}

}  // namespace

void CutToEncodable(ScannedTree& scanned) {
  std::vector<TreeEntry>& entries = scanned.tree.entries;
  const std::size_t all = entries.size();
  std::string first;
  while (!entries.empty() && !EncodeTree(scanned.tree)) {
    const std::size_t keep = entries.size() - std::max<std::size_t>(entries.size() / 16, 1);
    first = entries[keep].path;
    entries.resize(keep);
  }
  if (entries.size() < all)
    scanned.left_out.push_back("the list of " + std::to_string(all) + " files is longer than " +
                               std::to_string(kMaxBlobBytes >> 20) + " MiB: it ends before " + QuotePath(first) +
                               "; pack many small files into one archive");
}

Result<ScannedTree> ScanTree(int root_fd, const ScanOptions& options) {
  FURROW_ASSIGN(Walk walk, WalkPatterns(root_fd, options.include, options.exclude, options.keep_going));
  return HashWalk(root_fd, std::move(walk), options);
}

Result<ScannedTree> ScanTree(const std::string& root, const ScanOptions& options) {
  const FileHandle folder(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return tl::unexpected(ErrnoError("cannot open the folder " + root, errno));
  return ScanTree(folder.Get(), options);
}

Result<ScannedTree> ScanPaths(int root_fd, const std::vector<std::string>& paths, const ScanOptions& options) {
  FURROW_ASSIGN(Walk walk, WalkPaths(root_fd, paths, options.exclude));
  return HashWalk(root_fd, std::move(walk), options);
}

Result<std::unique_ptr<ScannedChunks>> ScannedChunks::Open(const Tree& tree, int root_fd) {
  const int copy = ::fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return tl::unexpected(ErrnoError("cannot keep a scanned folder open", errno));
  std::unique_ptr<ScannedChunks> chunks(new ScannedChunks(tree, FileHandle(copy)));
  for (std::uint32_t i = 0; i < tree.entries.size(); ++i) {
    std::uint64_t offset = 0;
    for (const ChunkRef& chunk : tree.entries[i].chunks) {
      chunks->locations_.try_emplace(chunk.hash, Location{i, chunk.size, offset});
      offset += chunk.size;
    }
  }
  return chunks;
}

const ScannedChunks::Location* ScannedChunks::Find(const Hash& hash) const {
  const auto at = locations_.find(hash);
  return at == locations_.end() ? nullptr : &at->second;
}

Status ScannedChunks::ReadUnverified(const ChunkRef& chunk, std::span<std::byte> out) {
  const Location* location = Find(chunk.hash);
  if (location == nullptr || location->length != out.size())
    return Fail(Errc::kNotFound, "chunk " + chunk.hash.ToHex() + " is in no file of this tree");
  const std::string& path = tree_.entries[location->entry].path;
  std::shared_ptr<FileHandle> file;
  {
    const std::lock_guard lock(mutex_);
    if (open_entry_ != location->entry) {
      FURROW_ASSIGN(FileHandle opened, OpenBeneath(root_fd_.Get(), path, O_RDONLY | O_NONBLOCK));
      open_file_ = std::make_shared<FileHandle>(std::move(opened));
      open_entry_ = location->entry;
    }
    file = open_file_;
  }
  return ReadAllAt(file->Get(), out, location->offset, QuotePath(path));
}

Status ScannedChunks::Read(const ChunkRef& chunk, std::span<std::byte> out) {
  FURROW_TRY(ReadUnverified(chunk, out));
  if (HashOf(out) == chunk.hash) return {};
  return Fail(Errc::kCorrupt,
              QuotePath(tree_.entries[Find(chunk.hash)->entry].path) + " changed after it was scanned; scan it again");
}

}  // namespace furrow
