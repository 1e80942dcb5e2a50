#include "agent/uploads/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include "common/base/log.h"

namespace furrow {
namespace {

using std::chrono::milliseconds;

constexpr auto kInlineTime = milliseconds(20);  // a log that is whole by then goes inline
constexpr auto kFirstDelay = milliseconds(8);   // from the first bytes after a pause to their frame
constexpr auto kNextDelay = milliseconds(100);  // between the small frames of a log that grows steadily
constexpr auto kLeastBackoff = milliseconds(50);
constexpr auto kMostBackoff = milliseconds(30'000);
constexpr auto kRefusedBackoff = milliseconds(2'000);
constexpr std::uint64_t kHashAtOnce = 8 << 20;
constexpr std::uint64_t kHashBeside = 64 << 10;  // from so many bytes on another thread's help is worth its wake-up

}  // namespace

LogUpload::LogUpload(Follow order, Time now)
    : metrics(order.metrics, order.metrics_done),
      metrics_at(now + kInlineTime),
      order_(std::move(order)),
      begin_(now + kInlineTime),
      flush_at_(begin_),
      streaming_(order_.resumed),
      opened_(!order_.resumed) {}

bool LogUpload::OpenSpool() {
  if (!spool_) spool_ = FileHandle(::open(order_.spool.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return static_cast<bool>(spool_);
}

std::uint64_t LogUpload::SpoolBytes() const {
  struct stat status;
  return ::fstat(spool_.Get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

bool LogUpload::CanGoInline() const {
  if (!final_length_ || *final_length_ > kSmallLogBytes) return false;
  return !streaming_ || (opened_ && durable_ == 0 && sent_ == 0);
}

std::optional<LogUpload::Time> LogUpload::wake_at(Time now) const {
  if (sealed_ || stuck_) return std::nullopt;
  if (quiet(now)) return begin_;
  if (!opened_ || final_length_) return std::max(retry_at_, now);
  return grown_ ? std::optional(std::max(flush_at_, retry_at_)) : std::nullopt;
}

std::optional<BulkRequest> LogUpload::Stuck() {
  stuck_ = true;
  return std::nullopt;
}

void LogUpload::OnGrown(Time now) {
  if (grown_) return;
  grown_ = true;
  flush_at_ = std::max(flush_at_, now + kFirstDelay);
}

void LogUpload::OnFinish(std::uint64_t length, Time now) {
  stuck_ = false;
  final_length_ = length;
  grown_ = true;
  flush_at_ = retry_at_ = now;
  // The runner cut the log to its quota, and wrote why, behind what we had sent already.
  if (length < sent_) StartOver();
}

void LogUpload::StartOver() {
  sha_.Reset();
  hashed_ = 0;
  opened_ = open_sent_ = seal_sent_ = false;
  under_way_.clear();
}

std::optional<BulkRequest> LogUpload::Next(Time now, bool may_append, Tools tools) {
  stuck_ = false;
  if (sealed_ || quiet(now) || now < retry_at_ || CanGoInline()) return std::nullopt;
  if (!OpenSpool()) {
    if (!final_length_) {
      retry_at_ = now + kNextDelay;  // the job's first process is about to make it
      return std::nullopt;
    }
    log::Error("the spool {} is gone; its log will be what the controller has", order_.spool);
    final_length_ = sent_;
  }
  if (!opened_) {
    if (open_sent_) return Stuck();
    return LogOpen{order_.attempt};
  }
  if (!grown_ && !final_length_) return std::nullopt;
  const std::uint64_t have = SpoolBytes();
  std::uint64_t end = have;
  if (final_length_) {
    if (have < *final_length_ && spool_) {
      log::Error("the spool {} has {} bytes and should have {}; its log will be what is there", order_.spool, have,
                 *final_length_);
      final_length_ = have;
    }
    end = *final_length_;
  }
  if (sent_ < end) return may_append ? NextFrame(now, end, tools) : Stuck();
  if (!final_length_) {
    grown_ = false;
    return std::nullopt;
  }
  if (durable_ < end || seal_sent_) return Stuck();
  if (!HashUpTo(end, now, tools.buffer)) return std::nullopt;
  return LogSeal{order_.attempt, end, sha_.Digest()};
}

std::optional<BulkRequest> LogUpload::NextFrame(Time now, std::uint64_t end, Tools tools) {
  const std::uint64_t length = std::min<std::uint64_t>(end - sent_, kMaxFrameRawBytes);
  if (length < kMaxFrameRawBytes && !final_length_ && now < flush_at_) return std::nullopt;
  // What an earlier process of the agent had sent is read again for the hash, before anything new.
  if (hashed_ < sent_ && !HashUpTo(sent_, now, tools.buffer)) return std::nullopt;
  tools.buffer.resize(kMaxFrameRawBytes);
  const std::span<std::byte> raw(reinterpret_cast<std::byte*>(tools.buffer.data()), length);
  if (const Status read = ReadAllAt(spool_.Get(), raw, sent_, order_.spool); !read) {
    log::Warning("a log cannot be read: {}", read.error().message);
    retry_at_ = now + kNextDelay;
    return std::nullopt;
  }
  LogAppend append{order_.attempt, sent_, static_cast<std::uint32_t>(length), {}};
  const bool hash = hashed_ == sent_;
  const bool beside = hash && length >= kHashBeside;
  if (beside) tools.beside.Begin(sha_, raw);
  tools.encoder.Append(order_.attempt, sent_, raw, append.compressed);
  if (beside) tools.beside.Wait();
  if (hash && !beside) sha_.Update(raw);
  if (hash) hashed_ += length;
  return append;
}

bool LogUpload::HashUpTo(std::uint64_t until, Time now, std::string& buffer) {
  std::uint64_t left = kHashAtOnce;
  buffer.resize(kMaxFrameRawBytes);
  while (hashed_ < until && left > 0) {
    const std::uint64_t length = std::min({until - hashed_, left, std::uint64_t{kMaxFrameRawBytes}});
    const std::span<std::byte> raw(reinterpret_cast<std::byte*>(buffer.data()), length);
    if (!ReadAllAt(spool_.Get(), raw, hashed_, order_.spool)) {
      retry_at_ = now + kNextDelay;
      return false;
    }
    sha_.Update(raw);
    hashed_ += length;
    left -= length;
  }
  return hashed_ >= until;
}

void LogUpload::Sent(const BulkRequest& request, Time now) {
  if (const auto* append = std::get_if<LogAppend>(&request)) {
    streaming_ = true;
    sent_ += append->raw_length;
    under_way_.push_back(sent_);
    flush_at_ = now + kNextDelay;
  } else if (std::holds_alternative<LogOpen>(request)) {
    open_sent_ = true;
  } else {
    seal_sent_ = true;
  }
}

void LogUpload::OnAck(const LogAck& ack, Time now) {
  stuck_ = false;
  if (open_sent_) {
    open_sent_ = false;
    opened_ = true;
    under_way_.clear();
    sent_ = durable_ = ack.durable;
    if (final_length_ && sent_ > *final_length_) sent_ = durable_ = *final_length_;  // sealing will tell
    grown_ = true;
    flush_at_ = now;
    return;
  }
  if (!opened_ || ack.durable <= durable_ || ack.durable > sent_) return;
  durable_ = ack.durable;
  backoff_ = milliseconds(0);
  while (!under_way_.empty() && under_way_.front() <= durable_) under_way_.pop_front();
}

void LogUpload::OnSealed(const LogSealed& answer, Time now) {
  stuck_ = false;
  if (!seal_sent_) return;
  if (answer.error.empty()) {
    sealed_ = true;
    return;
  }
  log::Warning("the log {} was not sealed and is sent again: {}", order_.spool, answer.error);
  StartOver();
  Reopen(now, kLeastBackoff);
}

void LogUpload::OnError(const BulkError& error, Time now) {
  if (!opened_ && !open_sent_) return;  // one of several about the same loss
  log::Debug("log {}: {}", order_.spool, error.message);
  Reopen(now, error.code == Errc::kRejected ? kRefusedBackoff : backoff_);
}

void LogUpload::Reopen(Time now, milliseconds least) {
  stuck_ = false;
  opened_ = open_sent_ = seal_sent_ = false;
  under_way_.clear();
  retry_at_ = now + std::max(least, backoff_);
  backoff_ = std::clamp(2 * backoff_, kLeastBackoff, kMostBackoff);
}

void LogUpload::OnDisconnected() {
  stuck_ = false;
  if (streaming_) opened_ = false;  // the first frame of all needs no question
  open_sent_ = seal_sent_ = false;
  under_way_.clear();
  retry_at_ = {};
}

void LogUpload::OnSilence(Time now) {
  Reopen(now, milliseconds(0));
}

}  // namespace furrow
