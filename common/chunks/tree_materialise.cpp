#include "common/chunks/tree_materialise.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/chunks/beneath.h"
#include "common/chunks/chunker.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

// The threads share the chunks of a file of this size or more; they share smaller files as a whole.
constexpr std::uint64_t kLargeFileBytes = 4 << 20;
constexpr std::size_t kHoleBytes = 16 << 10;  // Aligned zeros of this length become a hole.
constexpr std::size_t kEntriesWorthAThread = 256;
constexpr std::uint64_t kBytesWorthAThread = 2 << 20;

Error Named(Error error, const TreeEntry& entry) {
  return Annotate(std::move(error), "cannot write " + QuotePath(entry.path));
}

// Makes a buffer for one chunk. It is not zeroed, since it is always filled before use.
std::unique_ptr<std::byte[]> ChunkBuffer() {
  return std::unique_ptr<std::byte[]>(new std::byte[kMaxChunkBytes]);
}

bool IsLarge(const TreeEntry& entry) {
  return entry.size >= kLargeFileBytes;
}

// A file may end in a hole.
Status SetLength(int file, const TreeEntry& entry) {
  if (::ftruncate(file, static_cast<off_t>(entry.size)) == 0) return {};
  return tl::unexpected(Named(ErrnoError("ftruncate", errno), entry));
}

// Writes to a new file, and leaves holes where whole blocks are zeros, as the file had them that was scanned.
Status WriteSparse(int file, std::span<const std::byte> bytes, std::uint64_t offset, const TreeEntry& entry) {
  std::size_t begin = 0;  // of what is not written yet and is no hole
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min<std::size_t>(bytes.size(), at + kHoleBytes - (offset + at) % kHoleBytes);
    const bool hole = end - at == kHoleBytes && IsZero(bytes.subspan(at, kHoleBytes));
    if (hole) {
      FURROW_TRY(WriteAllAt(file, bytes.subspan(begin, at - begin), offset + begin, QuotePath(entry.path)));
      begin = end;
    }
    at = end;
  }
  return WriteAllAt(file, bytes.subspan(begin), offset + begin, QuotePath(entry.path));
}

// Writes the entries of one range; for a large file it only makes the folder and the empty file.
class RangeWriter {
 public:
  RangeWriter(int dest_fd, ChunkSource& chunks, const MaterialiseOptions& options)
      : folders_(dest_fd, true, options.umask), chunks_(chunks), options_(options), buffer_(ChunkBuffer()) {}

  Status Write(const TreeEntry& entry) {
    if (entry.mode == TreeMode::kDirectory) {
      FURROW_TRY(folders_.Enter(entry.path));
      return {};
    }
    FURROW_ASSIGN(const int folder, folders_.Enter(ParentPath(entry.path)));
    const std::string name(LastName(entry.path));
    if (entry.mode == TreeMode::kSymlink) {
      return Make(folder, name, entry, [&] { return ::symlinkat(entry.target.c_str(), folder, name.c_str()); });
    }
    const mode_t mode = entry.mode == TreeMode::kExecutable ? 0777 : 0666;
    FileHandle file;
    FURROW_TRY(Make(folder, name, entry, [&] {
      file = FileHandle(::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
      return file.Get();
    }));
    if (options_.umask && ::fchmod(file.Get(), ModeUnder(*options_.umask, mode)) != 0)
      return tl::unexpected(Named(ErrnoError("chmod", errno), entry));
    return IsLarge(entry) ? Status() : WriteChunks(file.Get(), entry);
  }

 private:
  // Runs `make`, which returns a negative number and EEXIST if something is in the way; `replace` removes the obstacle
  // and runs `make` once more.
  template <class Maker>
  Status Make(int folder, const std::string& name, const TreeEntry& entry, Maker make) {
    if (make() >= 0) return {};
    if (errno == EEXIST) {
      if (!options_.replace)
        return Fail(Errc::kRejected,
                    "cannot write " + QuotePath(entry.path) + ": something of that name is there already");
      if (::unlinkat(folder, name.c_str(), 0) != 0 && errno != ENOENT) {
        return Fail(Errc::kRejected, "cannot write " + QuotePath(entry.path) + ": a folder of that name is in the way");
      }
      if (make() >= 0) return {};
    }
    return tl::unexpected(Named(ErrnoError("open", errno), entry));
  }

  Status WriteChunks(int file, const TreeEntry& entry) {
    std::uint64_t offset = 0;
    for (const ChunkRef& chunk : entry.chunks) {
      const std::span<std::byte> bytes(buffer_.get(), chunk.size);
      if (Status read = chunks_.Read(chunk, bytes); !read) return tl::unexpected(Named(std::move(read).error(), entry));
      FURROW_TRY(WriteSparse(file, bytes, offset, entry));
      offset += chunk.size;
    }
    return SetLength(file, entry);
  }

  FolderStack folders_;
  ChunkSource& chunks_;
  const MaterialiseOptions& options_;
  std::unique_ptr<std::byte[]> buffer_;
};

// Runs `work(index)` for 0 … count-1 on `threads` threads, this one included; returns the first error, after which the
// other threads stop soon. Each thread calls `make_work()` once.
template <class MakeWork>
Status RunParallel(std::size_t count, unsigned threads, MakeWork make_work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  Status first;
  const auto run = [&] {
    auto work = make_work();
    for (std::size_t i = next++; i < count; i = next++) {
      if (Status status = work(i); !status) {
        next = count;
        const std::lock_guard lock(mutex);
        if (first) first = std::move(status);
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (unsigned i = 1; i < std::min<std::size_t>(threads, count); ++i) others.emplace_back(run);
  } catch (const std::system_error&) {
    // The machine has no more threads: fewer do the same work.
  }
  run();
  for (std::thread& other : others) other.join();
  return first;
}

Status FillLargeFile(const TreeEntry& entry, int dest_fd, ChunkSource& chunks, unsigned threads) {
  FURROW_ASSIGN(const FileHandle file, OpenBeneath(dest_fd, entry.path, O_WRONLY));
  FURROW_TRY(SetLength(file.Get(), entry));
  std::vector<std::uint64_t> offsets;
  offsets.reserve(entry.chunks.size());
  std::uint64_t offset = 0;
  for (const ChunkRef& chunk : entry.chunks) {
    offsets.push_back(offset);
    offset += chunk.size;
  }
  return RunParallel(entry.chunks.size(), threads, [&] {
    return [&, buffer = ChunkBuffer()](std::size_t i) -> Status {
      const std::span<std::byte> bytes(buffer.get(), entry.chunks[i].size);
      if (Status read = chunks.Read(entry.chunks[i], bytes); !read)
        return tl::unexpected(Named(std::move(read).error(), entry));
      return WriteSparse(file.Get(), bytes, offsets[i], entry);
    };
  });
}

}  // namespace

Status MaterialiseTree(const Tree& tree, int dest_fd, ChunkSource& chunks, const MaterialiseOptions& options) {
  const std::size_t count = tree.entries.size();
  std::uint64_t small_bytes = 0;
  for (const TreeEntry& entry : tree.entries) small_bytes += IsLarge(entry) ? 0 : entry.size;
  const bool worth_threads = count >= kEntriesWorthAThread || small_bytes >= kBytesWorthAThread;
  const unsigned threads = worth_threads ? std::max(1U, options.threads) : 1;

  // The threads take ranges, not single entries, so that each thread mostly stays in one folder.
  const std::size_t range = threads == 1 ? std::max<std::size_t>(count, 1) : std::max<std::size_t>(count / 64, 1);
  Status ranges = RunParallel((count + range - 1) / range, threads, [&] {
    return [&, writer = std::make_unique<RangeWriter>(dest_fd, chunks, options)](std::size_t i) -> Status {
      for (std::size_t k = i * range; k < std::min(count, (i + 1) * range); ++k)
        FURROW_TRY(writer->Write(tree.entries[k]));
      return {};
    };
  });
  if (!ranges) return ranges;
  for (const TreeEntry& entry : tree.entries)
    if (IsLarge(entry)) FURROW_TRY(FillLargeFile(entry, dest_fd, chunks, std::max(1U, options.threads)));
  return {};
}

}  // namespace furrow
