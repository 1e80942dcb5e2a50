// One thread reads a file and finds the cuts (3.8 GB/s), any thread hashes the chunks between them (1.8 GB/s): a file
// is read once, in blocks, and each block goes through a queue with the chunks found in it. A thread takes a block to
// hash if one waits, else a file to read; a reader that has run too far ahead hashes first. So two threads are both
// busy with one large file as with many small ones, and memory stays bounded.
#include "common/chunks/file_hasher.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "common/base/hash.h"
#include "common/chunks/beneath.h"
#include "common/chunks/chunker.h"
#include "common/chunks/hash_cache.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

constexpr std::size_t kBlockBytes = 4 << 20;
constexpr std::size_t kMaxQueuedBlocks = 4;
constexpr int kAttempts = 3;
// A file of this size is worth the wait of a clock tick after which the cache can remember it.
constexpr std::int64_t kWorthWaitingBytes = 1 << 20;

using Buffer = std::unique_ptr<std::byte[]>;

// An OpenFile is a file that is being hashed. It is finished when it is read to the end and no block of it is left.
struct OpenFile {
  HashJob* job;
  FileHandle file;
  struct stat before {};
  std::int64_t started_ns = 0;
  int attempt = 1;
  std::deque<ChunkRef> chunks;  // a deque, since a chunk's address must not change while others are added
  std::size_t blocks_left = 1;  // counts the reader as one block
};

struct Block {
  std::shared_ptr<OpenFile> file;
  Buffer bytes;
  std::vector<ChunkRef*> chunks;  // lie one behind the other from the front of `bytes`
};

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

// The chunks of a hole are all the same. Hashing them would cost most of the time that a large sparse file takes.
const Hash& HashOfZeros() {
  static const Hash hash = HashOf(std::vector<std::byte>(kMaxChunkBytes));
  return hash;
}

class Hasher {
 public:
  Hasher(int root_fd, std::vector<HashJob*> jobs, HashCache* cache, bool keep_going)
      : root_fd_(root_fd), jobs_(std::move(jobs)), cache_(cache), keep_going_(keep_going) {}

  Result<std::uint64_t> Run(unsigned threads) {
    std::vector<std::thread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back([this] { Work(); });
    Work();
    for (std::thread& other : others) other.join();
    if (!failure_) return tl::unexpected(std::move(failure_).error());
    return hashed_bytes_;
  }

 private:
  void Work() {
    std::unique_lock lock(mutex_);
    while (failure_) {
      if (!blocks_.empty()) {
        HashOne(lock);
      } else if (next_job_ < jobs_.size()) {
        HashJob* job = jobs_[next_job_++];
        ++readers_;
        lock.unlock();
        Status read = ReadFileOf(job, 1);
        lock.lock();
        --readers_;
        if (!read) Failed(*job, std::move(read));
        wake_.notify_all();
      } else if (readers_ == 0 && hashing_ == 0) {
        break;
      } else {
        wake_.wait(lock);
      }
    }
    wake_.notify_all();
  }

  // Takes one block off the queue; `lock` is released meanwhile.
  void HashOne(std::unique_lock<std::mutex>& lock) {
    Block block = std::move(blocks_.front());
    blocks_.pop_front();
    ++hashing_;
    lock.unlock();
    HashBlock(block);
    Status done = FinishPart(block.file);
    lock.lock();
    --hashing_;
    spare_.push_back(std::move(block.bytes));
    if (!done) Failed(*block.file->job, std::move(done));
    wake_.notify_all();
  }

  // The lock is held.
  void Failed(HashJob& job, Status status) {
    if (keep_going_)
      job.failure = std::move(status).error().message;
    else if (failure_)
      failure_ = std::move(status);
  }

  static void HashBlock(const Block& block) {
    const std::byte* at = block.bytes.get();
    for (ChunkRef* chunk : block.chunks) {
      const std::span<const std::byte> bytes(at, chunk->size);
      chunk->hash = bytes.size() == kMaxChunkBytes && IsZero(bytes) ? HashOfZeros() : HashOf(bytes);
      at += chunk->size;
    }
  }

  Status ReadFileOf(HashJob* job, int attempt) {
    auto file = std::make_shared<OpenFile>();
    file->job = job;
    file->attempt = attempt;
    FURROW_ASSIGN(file->file, OpenBeneath(root_fd_, job->path, O_RDONLY | O_NONBLOCK));
    if (::fstat(file->file.Get(), &file->before) != 0)
      return tl::unexpected(ErrnoError("cannot read " + QuotePath(job->path), errno));
    if (!S_ISREG(file->before.st_mode))
      return Fail(Errc::kUnavailable, QuotePath(job->path) + " was replaced while it was scanned; scan again");
    WaitUntilSettled(file->before);
    file->started_ns = HashCache::FileClockNs();
    FURROW_TRY(ReadBlocks(file));
    return FinishPart(file);
  }

  void WaitUntilSettled(const struct stat& status) const {
    if (cache_ == nullptr || status.st_size < kWorthWaitingBytes) return;
    const std::int64_t left = HashCache::SettledAtNs(status) - HashCache::FileClockNs();
    if (left > 0 && left <= 30'000'000) std::this_thread::sleep_for(std::chrono::nanoseconds(left + 4'000'000));
  }

  // Reads a file to the end. The rest of a block behind its last cut goes to the front of the next block.
  Status ReadBlocks(const std::shared_ptr<OpenFile>& file) {
    const std::size_t size = std::min<std::uint64_t>(static_cast<std::uint64_t>(file->before.st_size), kBlockBytes);
    const bool small = static_cast<std::uint64_t>(file->before.st_size) < kBlockBytes;
    Buffer buffer = TakeBuffer(small ? size + 1 : kBlockBytes);
    const std::size_t capacity = small ? size + 1 : kBlockBytes;
    std::size_t held = 0;
    std::uint64_t offset = 0;
    for (bool end = false; !end;) {
      const ssize_t got = ::pread(file->file.Get(), buffer.get() + held, capacity - held, static_cast<off_t>(offset));
      if (got < 0) {
        if (errno == EINTR) continue;
        return tl::unexpected(ErrnoError("cannot read " + QuotePath(file->job->path), errno));
      }
      held += static_cast<std::size_t>(got);
      offset += static_cast<std::uint64_t>(got);
      end = got == 0 || (small && offset >= size);
      if (held < capacity && !end) continue;
      Block block{file, std::move(buffer), {}};
      std::span<const std::byte> left(block.bytes.get(), held);
      while (!left.empty() && (end || left.size() >= kMaxChunkBytes)) {
        const std::size_t length = FirstChunk(left);
        block.chunks.push_back(&file->chunks.emplace_back(ChunkRef{{}, static_cast<std::uint32_t>(length)}));
        left = left.subspan(length);
      }
      if (end && small) {
        HashBlock(block);
        break;
      }
      if (!end) {
        buffer = TakeBuffer(kBlockBytes);
        std::memcpy(buffer.get(), left.data(), left.size());
      }
      held = left.size();
      Queue(std::move(block));
    }
    const std::lock_guard lock(mutex_);
    hashed_bytes_ += offset;
    return {};
  }

  Buffer TakeBuffer(std::size_t bytes) {
    if (bytes == kBlockBytes) {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        Buffer buffer = std::move(spare_.back());
        spare_.pop_back();
        return buffer;
      }
    }
    return Buffer(new std::byte[bytes]);
  }

  void Queue(Block block) {
    std::unique_lock lock(mutex_);
    ++block.file->blocks_left;
    blocks_.push_back(std::move(block));
    wake_.notify_one();
    while (blocks_.size() > kMaxQueuedBlocks) HashOne(lock);
  }

  // Records that one block, or the reading, of a file is done. With the last part the file's chunks are known; they are
  // kept if the file has not changed.
  Status FinishPart(const std::shared_ptr<OpenFile>& file) {
    {
      const std::lock_guard lock(mutex_);
      if (--file->blocks_left > 0) return {};
    }
    struct stat after {};
    if (::fstat(file->file.Get(), &after) != 0)
      return tl::unexpected(ErrnoError("cannot read " + QuotePath(file->job->path), errno));
    if (!SameFile(file->before, after)) {
      if (file->attempt < kAttempts) return ReadFileOf(file->job, file->attempt + 1);
      return Fail(Errc::kUnavailable,
                  QuotePath(file->job->path) + " is being written to; try again when it is complete");
    }
    file->job->chunks.assign(file->chunks.begin(), file->chunks.end());
    file->job->status = after;
    if (cache_ != nullptr) cache_->Remember(after, file->started_ns, file->job->chunks);
    return {};
  }

  const int root_fd_;
  const std::vector<HashJob*> jobs_;
  HashCache* const cache_;
  const bool keep_going_;

  std::mutex mutex_;  // guards all fields below, and blocks_left
  std::condition_variable wake_;
  std::size_t next_job_ = 0;
  int readers_ = 0;
  int hashing_ = 0;
  std::deque<Block> blocks_;
  std::vector<Buffer> spare_;
  std::uint64_t hashed_bytes_ = 0;
  Status failure_;
};

}  // namespace

Result<std::uint64_t> HashFiles(int root_fd, const std::vector<HashJob*>& jobs, HashCache* cache, unsigned threads,
                                bool keep_going) {
  std::vector<HashJob*> left;
  std::uint64_t bytes = 0;
  for (HashJob* job : jobs) {
    if (cache != nullptr) {
      if (auto known = cache->Find(job->status)) {
        job->chunks = std::move(*known);
        continue;
      }
    }
    left.push_back(job);
    bytes += static_cast<std::uint64_t>(job->status.st_size);
  }
  if (left.empty()) return 0;
  // A thread costs some 30 µs to start.
  const bool worth_threads = left.size() >= 64 || bytes >= (1 << 20);
  // The files written last are hashed last: by then the cache may be able to remember them.
  std::sort(left.begin(), left.end(), [](const HashJob* a, const HashJob* b) {
    return HashCache::SettledAtNs(a->status) < HashCache::SettledAtNs(b->status);
  });
  return Hasher(root_fd, std::move(left), cache, keep_going).Run(worth_threads ? std::max(1U, threads) : 1);
}

}  // namespace furrow
