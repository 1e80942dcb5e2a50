#include "controller/logs/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_set>

#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/chunks/remove_tree.h"
#include "controller/logs/file.h"
#include "controller/logs/packs.h"
#include "controller/logs/view.h"

namespace furrow {
namespace {

// Up to so many files and folders are synced one by one; beyond that one syncfs is cheaper
// (common/chunks/store_batch.cpp).
constexpr std::size_t kFewSyncs = 8;
constexpr std::size_t kMostKnownFolders = 10'000;
constexpr std::size_t kMostOpenFiles = 512;

std::string FileName(AttemptRef attempt) {
  return std::to_string(Raw(attempt.job)) + "-" + std::to_string(Raw(attempt.epoch)) + ".flog";
}

}  // namespace

LogStore::LogStore(std::string root) : root_(std::move(root)), packs_(std::make_unique<LogPacks>()) {}

LogStore::~LogStore() = default;

Result<std::unique_ptr<LogStore>> LogStore::Open(const std::string& root) {
  FURROW_TRY(MakeFolders(root));
  std::unique_ptr<LogStore> store(new LogStore(root));
  store->root_fd_ = FileHandle(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!store->root_fd_) return tl::unexpected(ErrnoError("cannot open the log folder " + root, errno));
  return store;
}

std::string LogStore::FolderOf(RunId run) const {
  return root_ + "/" + std::to_string(Raw(run));
}

Status LogStore::MakeFolder(RunId run) {
  if (known_folders_.contains(Raw(run))) return {};
  const std::string folder = FolderOf(run);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return tl::unexpected(ErrnoError("cannot make the folder " + folder, errno));
  if (known_folders_.size() >= kMostKnownFolders) known_folders_.clear();
  known_folders_.insert(Raw(run));
  // An existing folder counts, too: another store, or one that died, may not have synced the root.
  root_changed_ = true;
  return {};
}

Result<std::shared_ptr<LogFile>> LogStore::FileOf(RunId run, AttemptRef attempt, bool create) {
  const Key key{run, attempt};
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = files_.find(key); at != files_.end()) return at->second;
  }
  const std::string path = FolderOf(run) + "/" + FileName(attempt);
  if (create) FURROW_TRY(MakeFolder(run));
  FURROW_ASSIGN(std::shared_ptr<LogFile> file, LogFile::Open(path, run, attempt, create, false));
  changed_folders_.insert(Raw(run));         // An existing file counts, too, as above.
  if (file->Progress().sealed) return file;  // A sealed log is read from its file, which is not kept open.
  const std::lock_guard lock(mutex_);
  files_.emplace(key, file);
  return file;
}

void LogStore::MarkMoved(const std::shared_ptr<LogFile>& file) {
  if (!file->moved) moved_.push_back(file);
  file->moved = true;
}

Result<std::uint64_t> LogStore::Append(RunId run, std::span<const std::byte> frame) {
  FURROW_ASSIGN(const FrameHeader header, ReadFrameHeader(frame));
  if (frame.size() != header.FrameBytes()) return Fail(Errc::kCorrupt, "log frame: more or less than one frame");
  FURROW_ASSIGN(const std::span<const std::byte> raw, decoder_.Decode(header, frame));
  FURROW_ASSIGN(const std::shared_ptr<LogFile> file, FileOf(run, header.attempt, true));
  // A frame that changes nothing counts, too: an agent that sends a frame again waits for the acknowledgement.
  MarkMoved(file);
  return file->Append(header, frame, raw, encoder_);
}

Result<std::uint64_t> LogStore::Length(RunId run, AttemptRef attempt) {
  const Result<std::shared_ptr<LogFile>> file = FileOf(run, attempt, false);
  if (file) return (*file)->Length();
  if (file.error().code == Errc::kNotFound) return 0;
  return tl::unexpected(file.error());
}

Status LogStore::SyncDisk() {
  for (const std::shared_ptr<LogFile>& file : moved_) FURROW_TRY(file->failure());
  if (moved_.size() + changed_folders_.size() + packs_->Dirty() + (root_changed_ ? 1 : 0) > kFewSyncs) {
    FURROW_TRY(SyncToDisk(root_fd_.Get(), SyncKind::kFileSystem, "the logs in " + root_));
    packs_->Synced();
    for (const std::shared_ptr<LogFile>& file : moved_) file->Synced();
    return {};
  }
  for (const std::shared_ptr<LogFile>& file : moved_) FURROW_TRY(file->Sync());
  FURROW_TRY(packs_->Sync());
  for (const std::uint64_t run : changed_folders_) FURROW_TRY(SyncFolder(FolderOf(RunId{run})));
  if (root_changed_) FURROW_TRY(SyncFolder(root_));
  return {};
}

// Small logs are written again into new packs. A streamed log has no other copy here that could take its place.
void LogStore::GiveUp(const Error& error) {
  packs_->GiveUp();
  for (const std::shared_ptr<LogFile>& file : moved_) file->GiveUp(error);
  if (!moved_.empty()) failed_ = tl::unexpected(error);
}

Result<std::vector<LogProgress>> LogStore::Sync() {
  FURROW_TRY(failed_);
  if (const Status synced = SyncDisk(); !synced) {
    GiveUp(synced.error());
    return tl::unexpected(synced.error());
  }
  changed_folders_.clear();
  root_changed_ = false;
  std::vector<LogProgress> progress;
  const std::lock_guard lock(mutex_);
  // Lost attempts leave logs that are never sealed: when many files are open, those that did not move are closed.
  if (files_.size() > kMostOpenFiles) std::erase_if(files_, [](const auto& item) { return !item.second->moved; });
  for (const std::shared_ptr<LogFile>& file : moved_) {
    file->moved = false;
    progress.push_back(file->Progress());
    // Sealed logs are read from their files, which are not kept open.
    if (progress.back().sealed) files_.erase({file->Run(), file->Attempt()});
  }
  moved_.clear();
  return progress;
}

Result<LogRef> LogStore::Seal(RunId run, AttemptRef attempt, std::uint64_t raw_length, const Hash& sha256) {
  const Result<std::shared_ptr<LogFile>> file = FileOf(run, attempt, false);
  if (!file) {
    if (file.error().code != Errc::kNotFound) return tl::unexpected(file.error());
    if (raw_length > 0)
      return Fail(Errc::kUnavailable, "nothing of the log of job " + std::to_string(Raw(attempt.job)) +
                                          " has come yet; send it, then seal it");
    if (sha256 != HashOf("")) return Fail(Errc::kCorrupt, "an empty log with the SHA-256 of another");
    return LogRef{run, attempt, 0, 0};
  }
  MarkMoved(*file);  // also where the file fails: the next Sync must know
  FURROW_TRY((*file)->Seal(raw_length, sha256));
  return LogRef{run, attempt, 0, 0};
}

Status LogStore::Discard(RunId run, AttemptRef attempt) {
  const Result<std::shared_ptr<LogFile>> file = FileOf(run, attempt, false);
  if (!file) return file.error().code == Errc::kNotFound ? Status() : Status(tl::unexpected(file.error()));
  if ((*file)->Progress().sealed) return Fail(Errc::kRejected, "the log " + (*file)->Path() + " is sealed");
  if (::unlink((*file)->Path().c_str()) != 0 && errno != ENOENT)
    return tl::unexpected(ErrnoError("cannot remove " + (*file)->Path(), errno));
  changed_folders_.insert(Raw(run));
  std::erase(moved_, *file);
  const std::lock_guard lock(mutex_);
  files_.erase({run, attempt});
  return {};
}

Result<std::vector<LogRef>> LogStore::AppendSmall(std::span<const SmallLogView> logs) {
  std::map<RunId, std::vector<std::size_t>> by_run;
  for (std::size_t i = 0; i < logs.size(); ++i) by_run[logs[i].run].push_back(i);
  std::vector<LogRef> locations(logs.size());
  for (const auto& [run, indices] : by_run) {
    FURROW_TRY(MakeFolder(run));
    std::vector<const SmallLogView*> of_run;
    for (const std::size_t i : indices) of_run.push_back(&logs[i]);
    FURROW_ASSIGN(const std::vector<LogRef> placed, packs_->Append(run, FolderOf(run), of_run));
    for (std::size_t k = 0; k < indices.size(); ++k) locations[indices[k]] = placed[k];
    // The first frame of a pack means that the file name is new.
    if (placed.front().file_offset == 0) changed_folders_.insert(Raw(run));
  }
  return locations;
}

Result<LogStore::Reading> LogStore::ReadingOf(const LogRef& where) {
  Reading reading;
  if (where.pack != 0) {
    const std::string path = LogPacks::Path(FolderOf(where.run), where.pack);
    reading.pack = FileHandle(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!reading.pack) return tl::unexpected(ErrnoError("cannot open the log pack " + path, errno));
    FURROW_ASSIGN(const FrameHeader header, ReadHeaderAt(reading.pack.Get(), where.file_offset, where.attempt));
    reading.view = {reading.pack.Get(), where.attempt, {{0, where.file_offset, 0}},
                    header.raw_length,  header.lines,  true};
    return reading;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = files_.find({where.run, where.attempt}); at != files_.end()) reading.file = at->second;
  }
  if (reading.file == nullptr) {
    FURROW_ASSIGN(reading.file, LogFile::Open(FolderOf(where.run) + "/" + FileName(where.attempt), where.run,
                                              where.attempt, false, true));
  }
  reading.view = reading.file->View();
  return reading;
}

Result<LogWindow> LogStore::ReadRange(const LogRef& where, std::uint64_t offset, std::size_t max_bytes) {
  FURROW_ASSIGN(const Reading reading, ReadingOf(where));
  return ReadWindow(reading.view, offset, max_bytes);
}

Result<LogWindow> LogStore::ReadFromLine(const LogRef& where, std::uint64_t line, std::size_t max_bytes) {
  FURROW_ASSIGN(const Reading reading, ReadingOf(where));
  return ReadWindowFromLine(reading.view, line, max_bytes);
}

Result<LogWindow> LogStore::ReadTail(const LogRef& where, std::uint64_t lines, std::size_t max_bytes) {
  FURROW_ASSIGN(const Reading reading, ReadingOf(where));
  return ReadWindowAtEnd(reading.view, lines, max_bytes);
}

Status LogStore::RemoveRun(RunId run) {
  packs_->Forget(run);
  std::erase_if(moved_, [&](const auto& file) { return file->Run() == run; });
  changed_folders_.erase(Raw(run));
  known_folders_.erase(Raw(run));
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(files_, [&](const auto& item) { return item.first.run == run; });
  }
  const FileHandle folder(::open(FolderOf(run).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!folder)
    return errno == ENOENT ? Status() : Status(tl::unexpected(ErrnoError("cannot open " + FolderOf(run), errno)));
  FURROW_TRY(RemoveBeneath(folder.Get()));
  if (::rmdir(FolderOf(run).c_str()) != 0) return tl::unexpected(ErrnoError("cannot remove " + FolderOf(run), errno));
  return {};
}

}  // namespace furrow
