#include "agent/runner/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/runner/log.h"
#include "agent/runner/wire.h"
#include "common/base/file_io.h"

namespace furrow::runner {
namespace {

enum class Record : std::uint8_t { kStart = 1, kSpawned = 2, kExited = 3, kForgotten = 4 };

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kRecordHeaderBytes = 8;
constexpr std::uint64_t kReserveStep = 256u << 10;  // One fallocate of this size serves hundreds of jobs.
constexpr std::uint64_t kReserveLeast = 64u << 10;  // A start needs this space free, for the ends of all running jobs.
constexpr std::uint64_t kRewriteFrom = 4u << 20;    // A smaller file is not worth a rewrite.

std::string FileHeader() {
  std::string header = "FURROWRJ";
  Writer(header).U32(kVersion);
  return header;
}

// Frames the body that `write` makes and appends it to `out`.
template <class F>
void AppendRecord(std::string& out, Record type, F write) {
  std::string body;
  Writer w(body);
  w.U8(static_cast<std::uint8_t>(type));
  write(w);
  Writer o(out);
  o.U32(static_cast<std::uint32_t>(body.size()));
  o.U32(Crc32(body));
  out += body;
}

void AppendStart(std::string& out, const Entry& e) {
  AppendRecord(out, Record::kStart, [&](Writer& w) {
    WriteRef(w, e.ref);
    w.I64(static_cast<std::int64_t>(e.started));
    w.U64(e.boot);
    w.Text(e.token);
    w.Text(e.spool);
    w.Text(e.blob);
  });
}

void AppendSpawned(std::string& out, const AttemptRef& ref, const Leader& leader) {
  AppendRecord(out, Record::kSpawned, [&](Writer& w) {
    WriteRef(w, ref);
    w.I64(leader.pid);
    w.U64(leader.earliest);
    w.U64(leader.latest);
  });
}

void AppendExited(std::string& out, const Exited& exited) {
  AppendRecord(out, Record::kExited, [&](Writer& w) { WriteExited(w, exited); });
}

bool Apply(std::string_view body, Table& table) {
  Reader r(body);
  switch (static_cast<Record>(r.U8())) {
    case Record::kStart: {
      Entry e;
      e.ref = ReadRef(r);
      e.started = WallTime{r.I64()};
      e.boot = r.U64();
      e.token = r.Text();
      e.spool = r.Text();
      e.blob = r.Text();
      if (r.ok()) table[e.ref] = std::move(e);
      break;
    }
    case Record::kSpawned: {
      const AttemptRef ref = ReadRef(r);
      Leader leader;
      leader.pid = static_cast<pid_t>(r.I64());
      leader.earliest = r.U64();
      leader.latest = r.U64();
      const auto it = table.find(ref);
      if (r.ok() && it != table.end()) it->second.leaders.push_back(leader);
      break;
    }
    case Record::kExited: {
      Exited exited = ReadExited(r);
      if (!r.ok()) break;
      Entry& entry = table[exited.ref];  // Without its start, in a damaged file, the end still counts.
      entry.ref = exited.ref;
      entry.running = false;
      entry.exited = std::move(exited);
      entry.leaders.clear();
      break;
    }
    case Record::kForgotten: {
      const AttemptRef ref = ReadRef(r);
      if (r.ok()) table.erase(ref);
      break;
    }
    default: return false;
  }
  return r.ok();
}

Result<std::string> ReadAll(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return tl::unexpected(ErrnoError("cannot read " + path, errno));
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(ErrnoError("cannot read " + path, errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

// Applies the record at the beginning of `bytes`. Returns its size; 0: there is no whole record.
std::size_t ApplyFirst(std::string_view bytes, Table& table) {
  if (bytes.size() <= kRecordHeaderBytes) return 0;
  Reader head(bytes);
  const std::uint32_t size = head.U32();
  const std::uint32_t crc = head.U32();
  const auto type = static_cast<std::uint8_t>(bytes[kRecordHeaderBytes]);
  if (size == 0 || bytes.size() - kRecordHeaderBytes < size || type < static_cast<std::uint8_t>(Record::kStart) ||
      type > static_cast<std::uint8_t>(Record::kForgotten))
    return 0;
  const std::string_view body = bytes.substr(kRecordHeaderBytes, size);
  return Crc32(body) == crc && Apply(body, table) ? kRecordHeaderBytes + size : 0;
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::Open(const std::string& path, Table& table) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + path, errno));
  std::unique_ptr<Journal> journal(new Journal(path, fd));
  FURROW_TRY(journal->Replay(table));
  return journal;
}

Journal::~Journal() {
  ::close(fd_);
}

Status Journal::Replay(Table& table) {
  FURROW_ASSIGN(const std::string bytes, ReadAll(fd_, path_));
  const std::string header = FileHeader();
  if (bytes.size() < header.size() && header.starts_with(bytes)) {  // The file is new or its creation was interrupted.
    FURROW_TRY(WriteAt(header));
    rewritten_size_ = size_;
    incomplete_ = true;
    return {};
  }
  std::size_t at = bytes.starts_with(header) ? header.size() : 0;
  lost_bytes_ = header.size() - at;
  size_ = at;
  bool whole = at > 0;  // Everything up to size_ is records.
  while (at < bytes.size()) {
    const std::size_t size = ApplyFirst(std::string_view(bytes).substr(at), table);
    if (size == 0) {
      ++lost_bytes_;
      ++at;
      continue;
    }
    whole = whole && at == size_;
    at += size;
    size_ = at;
  }
  if (table.empty() && !whole && bytes.starts_with(header.substr(0, 8)) && size_ == 0) {
    const std::uint32_t version = Reader(std::string_view(bytes).substr(8)).U32();
    return Fail(Errc::kInvalid, path_ + " has format " + std::to_string(version) +
                                    ", this furrow-runner writes format " + std::to_string(kVersion) +
                                    "; start the version that wrote it");
  }
  rewritten_size_ = size_;
  incomplete_ = lost_bytes_ > 0;
  if (!whole) return SetAside(table);
  if (size_ < bytes.size() && ::ftruncate(fd_, static_cast<off_t>(size_)) != 0)
    return tl::unexpected(ErrnoError("cannot cut the torn end off " + path_, errno));
  return {};
}

// Keeps the damaged file for people, and goes on with a new one of the records that are whole.
Status Journal::SetAside(const Table& table) {
  const std::string aside = path_ + ".damaged";
  ::unlink(aside.c_str());
  if (::link(path_.c_str(), aside.c_str()) != 0)
    Log(ErrnoError("cannot keep the damaged " + path_ + " as " + aside, errno).message);
  return Rewrite(table);
}

void Journal::AddStart(const Entry& entry) {
  AppendStart(starts_, entry);
}
void Journal::AddSpawned(const AttemptRef& ref, const Leader& leader) {
  AppendSpawned(rest_, ref, leader);
}
void Journal::AddExited(const Exited& exited) {
  AppendExited(rest_, exited);
}
void Journal::AddForgotten(const AttemptRef& ref) {
  AppendRecord(rest_, Record::kForgotten, [&](Writer& w) { WriteRef(w, ref); });
}

Status Journal::Reserve(std::size_t bytes) {
  if (size_ + bytes + kReserveLeast <= reserved_) return {};
  const std::uint64_t wanted = size_ + bytes + kReserveStep;
  const std::uint64_t from = std::max(size_, reserved_);
  if (::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(wanted - from)) != 0) {
    if (errno != EOPNOTSUPP && errno != EINTR)
      return tl::unexpected(ErrnoError("cannot reserve space in " + path_, errno));
    return {};  // This file system reserves no space: the write itself may fail.
  }
  reserved_ = wanted;
  return {};
}

Status Journal::WriteAt(std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(size_ + done));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      const int number = put < 0 ? errno : ENOSPC;
      // A replay drops half a record anyway; the cut keeps the file readable until then.
      if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) Log("cannot cut a half-written record off " + path_);
      return tl::unexpected(ErrnoError("cannot write " + path_, number));
    }
    done += static_cast<std::size_t>(put);
  }
  size_ += bytes.size();
  return {};
}

Status Journal::Flush() {
  Status status;
  if (!starts_.empty()) status = Reserve(rest_.size() + starts_.size());
  if (!status.has_value()) {
    if (!rest_.empty() && WriteAt(rest_).has_value()) rest_.clear();  // The reserved space is for these records.
  } else if (!starts_.empty() || !rest_.empty()) {
    status = WriteAt(starts_ + rest_);  // Starts come first: an attempt may end in the turn of its start.
    if (status.has_value()) rest_.clear();
  }
  starts_.clear();
  return status;
}

bool Journal::WantsRewrite() const {
  return size_ > kRewriteFrom && size_ > 2 * rewritten_size_ && rest_.empty();
}

Status Journal::Rewrite(const Table& table) {
  std::string bytes = FileHeader();
  for (const auto& [ref, entry] : table) {
    AppendStart(bytes, entry);
    for (const Leader& leader : entry.leaders) AppendSpawned(bytes, ref, leader);
    if (!entry.running) AppendExited(bytes, entry.exited);
  }
  const std::string next_path = path_ + ".next";
  const int fd = ::open(next_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + next_path, errno));
  Journal next(next_path, fd);
  rewritten_size_ = size_;  // After a failure the next try waits until the file has doubled once more.
  Status status = next.WriteAt(bytes);
  if (status) status = SyncToDisk(fd, SyncKind::kData, next_path);
  if (status && ::rename(next_path.c_str(), path_.c_str()) != 0)
    status = tl::unexpected(ErrnoError("cannot rename " + next_path, errno));
  if (!status) {
    ::unlink(next_path.c_str());
    return status;
  }
  std::swap(fd_, next.fd_);  // `next` closes the old file
  size_ = rewritten_size_ = next.size_;
  reserved_ = 0;
  return {};
}

}  // namespace furrow::runner
