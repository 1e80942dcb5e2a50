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

constexpr auto kInlineTime = milliseconds(20);  // A log that is complete by then goes inline.
constexpr auto kFirstDelay = milliseconds(8);   // from the first bytes after a pause to their frame
constexpr auto kNextDelay = milliseconds(100);  // between the small frames of a log that grows steadily
constexpr auto kLeastBackoff = milliseconds(50);
constexpr auto kMostBackoff = milliseconds(30'000);
constexpr auto kRefusedBackoff = milliseconds(2'000);
constexpr std::uint64_t kHashAtOnce = 8 << 20;
constexpr std::uint64_t kHashBeside = 64 << 10;  // From this length on the other thread is worth its wake-up.

}  // namespace

LogUpload::LogUpload(Follow order, Time now)
    : metrics(order.metrics, order.metrics_done),
      metrics_at(now + kInlineTime),
      order_(std::move(order)),
      begin_(now + kInlineTime),
      flush_at_(begin_),
      state_(order_.resumed ? LogState::kUnsure : LogState::kNew) {}

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
  const bool known = state_ != LogState::kUnsure && state_ != LogState::kAsked;
  return known && durable_ == 0 && sent_ == 0;
}

std::optional<LogUpload::Time> LogUpload::wake_at(Time now, bool may_append) const {
  if (quiet(now)) return begin_;
  switch (state_) {
    case LogState::kUnsure: return std::max(retry_at_, now);
    case LogState::kAsked:
    case LogState::kSealing:
    case LogState::kSealed: return std::nullopt;
    case LogState::kNew:
    case LogState::kSending: break;
  }
  const bool all_sent = final_length_ && sent_ >= *final_length_;
  if (all_sent ? durable_ < *final_length_ : !may_append) return std::nullopt;  // An acknowledgement must come first.
  if (final_length_) return std::max(retry_at_, now);
  return grown_ ? std::optional(std::max(flush_at_, retry_at_)) : std::nullopt;
}

void LogUpload::OnGrown(Time now) {
  if (grown_) return;
  grown_ = true;
  flush_at_ = std::max(flush_at_, now + kFirstDelay);
}

void LogUpload::OnFinish(std::uint64_t length, Time now) {
  final_length_ = length;
  flush_at_ = retry_at_ = now;
  if (length >= sent_) return;
  // The runner cut the log to its quota and added a line with the reason, after the agent had sent more.
  Move(LogEvent::kCut);
  ForgetHash();
}

void LogUpload::Move(LogEvent event) {
  state_ = After(state_, event);
  if (state_ != LogState::kSending) under_way_.clear();
}

// Delays the next try. The pause doubles until the controller acknowledges something.
void LogUpload::Pause(Time now, milliseconds least) {
  retry_at_ = now + std::max(least, backoff_);
  backoff_ = std::clamp(2 * backoff_, kLeastBackoff, kMostBackoff);
}

void LogUpload::ForgetHash() {
  sha_.Reset();
  hashed_ = 0;
}

std::optional<BulkRequest> LogUpload::Next(Time now, bool may_append, Tools tools) {
  if (quiet(now) || now < retry_at_ || CanGoInline()) return std::nullopt;
  if (state_ == LogState::kAsked || state_ == LogState::kSealing || state_ == LogState::kSealed) return std::nullopt;
  if (!OpenSpool()) {
    if (!final_length_) {
      retry_at_ = now + kNextDelay;  // The runner is about to make the spool.
      return std::nullopt;
    }
    log::Error("the spool {} is gone; its log will be what the controller has", order_.spool);
    final_length_ = sent_;
  }
  if (state_ == LogState::kUnsure) return LogOpen{order_.attempt};
  if (!grown_ && !final_length_) return std::nullopt;
  const std::uint64_t have = SpoolBytes();
  std::uint64_t end = have;
  if (final_length_) {
    if (have < *final_length_ && spool_) {
      if (*final_length_ != kAllThatIsThere)
        log::Error("the spool {} has {} bytes and should have {}; its log will be what is there", order_.spool, have,
                   *final_length_);
      final_length_ = have;
    }
    end = *final_length_;
  }
  if (sent_ < end) return may_append ? NextFrame(now, end, tools) : std::nullopt;
  if (!final_length_) {
    grown_ = false;
    return std::nullopt;
  }
  if (durable_ < end) return std::nullopt;
  if (!HashUpTo(end, now, tools.buffer)) return std::nullopt;
  return LogSeal{order_.attempt, end, sha_.Digest()};
}

std::optional<BulkRequest> LogUpload::NextFrame(Time now, std::uint64_t end, Tools tools) {
  const std::uint64_t length = std::min<std::uint64_t>(end - sent_, kMaxFrameRawBytes);
  if (length < kMaxFrameRawBytes && !final_length_ && now < flush_at_) return std::nullopt;
  // The hash needs the bytes that an earlier process of the agent sent: they are read again before new ones.
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
    Move(LogEvent::kFrameSent);
    sent_ += append->raw_length;
    under_way_.push_back(sent_);
    flush_at_ = now + kNextDelay;
  } else {
    Move(std::holds_alternative<LogOpen>(request) ? LogEvent::kOpenSent : LogEvent::kSealSent);
  }
}

void LogUpload::OnAck(const LogAck& ack, Time now) {
  const bool asked = state_ == LogState::kAsked;
  Move(LogEvent::kAck);
  if (asked) {
    sent_ = durable_ = ack.durable;
    if (final_length_ && sent_ > *final_length_) sent_ = durable_ = *final_length_;  // LogSeal settles it.
    grown_ = true;
    flush_at_ = now;
    return;
  }
  if (state_ != LogState::kSending || ack.durable <= durable_ || ack.durable > sent_) return;
  durable_ = ack.durable;
  backoff_ = milliseconds(0);
  while (!under_way_.empty() && under_way_.front() <= durable_) under_way_.pop_front();
}

void LogUpload::OnSealed(const LogSealed& answer, Time now) {
  const bool waited = state_ == LogState::kSealing;
  Move(answer.error.empty() ? LogEvent::kSealed : LogEvent::kRefused);
  if (!waited || state_ == LogState::kSealed) return;
  log::Warning("the log {} was not sealed and is sent again: {}", order_.spool, answer.error);
  ForgetHash();
  Pause(now, kLeastBackoff);
}

void LogUpload::OnError(const BulkError& error, Time now) {
  if (state_ == LogState::kUnsure) return;  // Several errors may come about the same loss.
  log::Debug("log {}: {}", order_.spool, error.message);
  Move(LogEvent::kLost);
  Pause(now, error.code == Errc::kRejected ? kRefusedBackoff : backoff_);
}

void LogUpload::OnDisconnected() {
  Move(LogEvent::kLost);
  retry_at_ = {};
}

void LogUpload::OnSilence(Time now) {
  Move(LogEvent::kLost);
  Pause(now, milliseconds(0));
}

}  // namespace furrow
