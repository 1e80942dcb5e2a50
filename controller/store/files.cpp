#include "controller/store/files.h"

#include <charconv>
#include <utility>

#include "common/base/log.h"

namespace furrow {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr std::size_t kZeroBytes = 256 << 10;  // zeros written ahead of the log's end at a time
// Larger appends pay for the journal anyway, and writing twice would cost more.
constexpr std::size_t kSmallAppend = 16 << 10;
constexpr auto kSayAgain = std::chrono::minutes(1);

const std::string& Zeros() {
  static const std::string zeros(kZeroBytes, '\0');
  return zeros;
}

// Every write names its offset, so that a write that failed half way can be repeated.
class WaitingFile final : public rocksdb::FSWritableFileWrapper {
 public:
  using OnSync = std::function<void(std::uint64_t length)>;

  WaitingFile(std::unique_ptr<rocksdb::FSWritableFile> file, bool is_log, SpaceWaiter& waiter, OnSync on_sync)
      : FSWritableFileWrapper(file.get()),
        file_(std::move(file)),
        is_log_(is_log),
        waiter_(waiter),
        on_sync_(std::move(on_sync)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    if (is_log_ && data.size() <= kSmallAppend && end_ + data.size() > laid_) LayZeros(options, debug);
    IOStatus status = waiter_.UntilThereIsRoom([&] { return file_->PositionedAppend(data, end_, options, debug); });
    if (status.ok()) {
      end_ += data.size();
      if (laid_ < end_) laid_ = end_;
    }
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = file_->Truncate(size, options, debug);
    if (status.ok()) end_ = laid_ = size;
    return status;
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    if (laid_ > end_) {
      IOStatus status = Truncate(end_, options, debug);
      if (!status.ok()) return status;
    }
    return file_->Close(options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(waiter_.UntilThereIsRoom([&] { return file_->Sync(options, debug); }));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Synced(waiter_.UntilThereIsRoom([&] { return file_->Fsync(options, debug); }));
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return end_; }
  // RocksDB's own way to reserve space (unwritten extents) saves no journal commit.
  void PrepareWrite(std::size_t offset, std::size_t length, const IOOptions& options, IODebugContext* debug) override {
    if (!is_log_) file_->PrepareWrite(offset, length, options, debug);
  }

 private:
  IOStatus Synced(IOStatus status) const {
    if (status.ok() && on_sync_) on_sync_(end_);
    return status;
  }
  // The zeros are an optimisation only: where there is no space for them, the append itself reports that.
  void LayZeros(const IOOptions& options, IODebugContext* debug) {
    if (file_->PositionedAppend(Zeros(), end_, options, debug).ok()) laid_ = end_ + kZeroBytes;
  }

  std::unique_ptr<rocksdb::FSWritableFile> file_;
  const bool is_log_;
  SpaceWaiter& waiter_;
  const OnSync on_sync_;
  std::uint64_t end_ = 0;   // the offset of the next append
  std::uint64_t laid_ = 0;  // the length of the file in the filesystem
};

}  // namespace

void SpaceWaiter::GiveUp() {
  std::lock_guard lock(mutex_);
  given_up_ = true;
  changed_.notify_all();
}

bool SpaceWaiter::MayTryAgain(const std::string& why) {
  if (guard_.OnNoSpace()) return true;
  std::unique_lock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - said_ > kSayAgain) {
    said_ = now;
    log::Error("{}: what is to be kept waits for space ({} on the disk of {})", why, InWords(guard_.Free()),
               guard_.Fullest().string());
  }
  if (changed_.wait_for(lock, std::chrono::milliseconds(50), [this] { return given_up_; })) return false;
  lock.unlock();
  guard_.Check();
  return true;
}

IOStatus StoreFiles::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                     std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  IOStatus status =
      waiter_.UntilThereIsRoom([&] { return FileSystemWrapper::NewWritableFile(name, options, &file, debug); });
  if (!status.ok()) return status;
  WaitingFile::OnSync on_sync;
  if (const std::uint64_t number = ManifestNumber(name); number != 0)
    on_sync = [this, number](std::uint64_t length) { on_manifest_(number, length); };
  *result = std::make_unique<WaitingFile>(std::move(file), name.ends_with(".log"), waiter_, std::move(on_sync));
  return status;
}

std::uint64_t ManifestNumber(std::string_view name) {
  constexpr std::string_view kPrefix = "MANIFEST-";
  name.remove_prefix(name.rfind('/') + 1);
  if (!name.starts_with(kPrefix)) return 0;
  name.remove_prefix(kPrefix.size());
  std::uint64_t number = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
  return read.ptr == name.data() + name.size() ? number : 0;
}

IOStatus StoreFiles::CreateDirIfMissing(const std::string& name, const IOOptions& options, IODebugContext* debug) {
  return waiter_.UntilThereIsRoom([&] { return FileSystemWrapper::CreateDirIfMissing(name, options, debug); });
}

IOStatus StoreFiles::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                                IODebugContext* debug) {
  return waiter_.UntilThereIsRoom([&] { return FileSystemWrapper::RenameFile(from, to, options, debug); });
}

}  // namespace furrow
