#include "agent/runner/output.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <span>

#include "agent/runner/spool.h"
#include "common/base/check.h"
#include "common/base/file_io.h"

namespace furrow::runner {
namespace {

constexpr std::uint64_t kStop = 0;  // no output has this id
constexpr std::size_t kBufferBytes = 256 << 10;
constexpr std::uint64_t kTurnBytes = 1 << 20;  // read from one pipe before the next has its turn
constexpr int kLargePipe = 1 << 20;
constexpr std::size_t kSmallPipe = 64 << 10;  // the kernel's default
// A process that escaped its job may print for ever.
constexpr std::uint64_t kRestBytes = 64 << 20;

bool Watch(int epoll, int operation, int fd, std::uint64_t id) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = id;
  return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

// Looks for bytes that were written to a spool and are not there any more: a job knows the way to it.
Status CheckWhole(int spool, std::uint64_t written) {
  const std::uint64_t left = SpoolBytes(spool);
  if (left >= written) return {};
  return Fail(Errc::kCorrupt, "of " + std::to_string(written) + " bytes in its file " + std::to_string(left) +
                                  " are left: something has cut it");
}

void Notify(int eventfd) {
  const std::uint64_t one = 1;
  (void)!::write(eventfd, &one, sizeof(one));
}

}  // namespace

Output::~Output() {
  if (read_fd_ >= 0) ::close(read_fd_);
  if (write_fd_ >= 0) ::close(write_fd_);
}

Outputs::Outputs()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      failed_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FURROW_CHECK(epoll_ >= 0 && failed_ >= 0 && stop_ >= 0 && Watch(epoll_, EPOLL_CTL_ADD, stop_, kStop),
               "out of descriptors or memory at start");
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // Signals belong to the loop's thread.
  thread_ = std::thread([this] { Run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Outputs::~Outputs() {
  Notify(stop_);
  thread_.join();
  ::close(stop_);
  ::close(failed_);
  ::close(epoll_);
}

Result<std::shared_ptr<Output>> Outputs::Open(int spool) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Output> output(new Output(++last_id_, spool));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return tl::unexpected(ErrnoError("cannot make a pipe for the output", errno));
  output->read_fd_ = ends[0];
  output->write_fd_ = ends[1];
  // Only the runner's end may not block. Other users, whom a job may become, may open the pipe to write; nobody may
  // open it to read, since what is read there is lost to the log.
  ::fcntl(output->read_fd_, F_SETFL, O_NONBLOCK);
  ::fchmod(output->write_fd_, 0222);
  struct stat info {};
  ::fstat(output->write_fd_, &info);
  output->name_ = "pipe:[" + std::to_string(info.st_ino) + "]";
  output->offset_ = SpoolBytes(spool);
  if (!Watch(epoll_, EPOLL_CTL_ADD, output->read_fd_, output->id_))
    return tl::unexpected(ErrnoError("cannot watch the output", errno));
  outputs_.emplace(output->id_, output);
  return output;
}

Status Outputs::Close(Output& output) {
  const std::lock_guard lock(output.mutex_);
  std::vector<std::byte> buffer;
  Empty(output, kRestBytes, buffer);
  if (output.failure_) output.failure_ = CheckWhole(output.spool_, output.offset_);
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, output.read_fd_, nullptr);
  const std::lock_guard all(mutex_);
  outputs_.erase(output.id_);
  return output.failure_;
}

bool Outputs::TakeFailed() const {
  std::uint64_t count = 0;
  return ::read(failed_, &count, sizeof(count)) == sizeof(count);
}

Status Outputs::Failure(Output& output) {
  const std::lock_guard lock(output.mutex_);
  return output.failure_;
}

void Outputs::Empty(Output& output, std::uint64_t most, std::vector<std::byte>& buffer) const {
  for (std::uint64_t done = 0; done < most;) {
    buffer.resize(kBufferBytes);
    const ssize_t got = ::read(output.read_fd_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    const std::size_t size = static_cast<std::size_t>(got);
    done += size;
    if (size >= kSmallPipe && !output.large_) {  // The fewer turns a fast job needs, the better.
      output.large_ = true;
      (void)::fcntl(output.read_fd_, F_SETPIPE_SZ, kLargePipe);
    }
    if (!output.failure_) continue;  // The job is about to be ended; it must be able to go on until then.
    output.failure_ = CheckWhole(output.spool_, output.offset_);
    if (output.failure_)
      output.failure_ = WriteAllAt(output.spool_, std::span(buffer).first(size), output.offset_, "the job's output");
    output.offset_ += size;
    if (!output.failure_) Notify(failed_);
    if (size < kSmallPipe) return;  // There was no more.
  }
}

void Outputs::Run() {
  std::vector<std::byte> buffer;
  for (;;) {
    epoll_event ready[64];
    const int count = ::epoll_wait(epoll_, ready, static_cast<int>(std::size(ready)), -1);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == kStop) return;
      std::shared_ptr<Output> output;
      {
        const std::lock_guard lock(mutex_);
        const auto found = outputs_.find(ready[i].data.u64);
        if (found == outputs_.end()) continue;
        output = found->second;
      }
      const std::lock_guard lock(output->mutex_);
      Empty(*output, kTurnBytes, buffer);
    }
  }
}

}  // namespace furrow::runner
