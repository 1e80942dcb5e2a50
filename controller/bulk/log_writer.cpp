#include "controller/bulk/log_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/logs/frames.h"
#include "controller/logs/store.h"

namespace furrow {
namespace {

// A sync follows after this time when a log arrives as fast as possible, in full frames. The time is long enough to be
// worth a sync (5 ms on a disk that writes the job's output at the same time), and short enough that the sender's
// window, 80 ms of frames, is not used up.
constexpr auto kBatchTime = std::chrono::milliseconds(20);
// The runner adds a last line with the reason when it ends a job for its quota.
constexpr std::uint64_t kQuotaSlackBytes = 64 << 10;

AttemptRef AttemptOf(const LogWork& work) {
  return std::visit([](const auto& request) { return request.attempt; }, work.request);
}

}  // namespace

LogWriter::LogWriter(LogStore& logs, std::function<void(LogReport)> report)
    : logs_(logs), report_(std::move(report)), thread_([this] { Run(); }) {}

LogWriter::~LogWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LogWriter::Post(LogWork work) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void LogWriter::Run() {
  for (;;) {
    LogBatch batch;
    std::map<std::pair<PeerId, AttemptRef>, RunId> to_acknowledge;
    std::chrono::steady_clock::time_point until;
    // True while all frames are full, which means that others are on their way. A sender of a smaller frame may be
    // waiting for its answer.
    bool full = false;
    for (bool first = true; first || full; first = false) {
      std::vector<LogWork> work;
      {
        std::unique_lock lock(mutex_);
        const auto something = [this] { return stopping_ || !queue_.empty(); };
        if (first) {
          wake_.wait(lock, something);
          until = std::chrono::steady_clock::now() + kBatchTime;
        } else if (std::chrono::steady_clock::now() >= until || !wake_.wait_until(lock, until, something)) {
          break;
        }
        if (stopping_) return;  // Senders send again what was not acknowledged.
        work.swap(queue_);
      }
      for (LogWork& one : work) Handle(one, batch, to_acknowledge);
      full = std::all_of(work.begin(), work.end(), [](const LogWork& one) {
        const auto* append = std::get_if<LogAppend>(&one.request);
        return append != nullptr && append->raw_length == kMaxFrameRawBytes;
      });
    }
    if (failed_) continue;
    if (const auto synced = logs_.Sync(); !synced) {
      failed_ = true;
      report_(LogDiskFailed{"the logs cannot be written: " + synced.error().message});
      continue;
    }
    for (const auto& [who, run] : to_acknowledge) {
      const auto length = logs_.Length(run, who.second);
      if (length) {
        batch.replies.emplace_back(who.first, LogAck{who.second, *length});
      } else {
        batch.replies.emplace_back(who.first,
                                   BulkError{0, who.second, {}, length.error().code, length.error().message});
      }
    }
    report_(std::move(batch));
  }
}

BulkReply LogWriter::Refusal(const LogWork& work, const Error& error) const {
  return BulkError{0, AttemptOf(work), {}, error.code, error.message};
}

Status LogWriter::Append(const LogWork& work, const LogAppend& append) {
  const auto bytes = AsBytes(append.compressed);
  FURROW_ASSIGN(const FrameHeader header, ReadFrameHeader(bytes));
  if (header.attempt != append.attempt || header.raw_offset != append.offset ||
      header.raw_length != append.raw_length || header.FrameBytes() != bytes.size())
    return Fail(Errc::kCorrupt, "a log frame is not what its message says");
  if (work.quota_bytes != 0 && header.raw_offset + header.raw_length > work.quota_bytes + kQuotaSlackBytes)
    return Fail(Errc::kRejected, "the log is longer than its quota of " + std::to_string(work.quota_bytes) + " bytes");
  const auto length = logs_.Append(work.run, bytes);
  if (length) return {};
  // A gap is no fault: frames were lost with a connection, and the agent asks where to continue.
  if (length.error().code == Errc::kRejected) {
    FURROW_ASSIGN(const std::uint64_t have, logs_.Length(work.run, append.attempt));
    if (append.offset > have) return Fail(Errc::kUnavailable, length.error().message);
  }
  return tl::unexpected(length.error());
}

void LogWriter::Handle(LogWork& work, LogBatch& batch, std::map<std::pair<PeerId, AttemptRef>, RunId>& to_acknowledge) {
  if (failed_) return;
  ++batch.handled[work.peer];
  const AttemptRef attempt = AttemptOf(work);
  if (const auto* append = std::get_if<LogAppend>(&work.request)) {
    if (const Status appended = Append(work, *append); !appended) {
      log::Debug("log frame of attempt {}/{} refused: {}", Raw(attempt.job), Raw(attempt.epoch),
                 appended.error().message);
      batch.replies.emplace_back(work.peer, Refusal(work, appended.error()));
      return;
    }
    to_acknowledge[{work.peer, attempt}] = work.run;
    report_(LogMoved{attempt});
  } else if (std::holds_alternative<LogOpen>(work.request)) {
    to_acknowledge[{work.peer, attempt}] = work.run;
  } else {
    const auto& seal = std::get<LogSeal>(work.request);
    const auto log_ref = logs_.Seal(work.run, attempt, seal.length, seal.hash);
    if (log_ref) {
      const LogLocation location{LogStorage::kOwnFile, 0, 0};
      batch.sealed.push_back({work.peer, attempt, LogRecord{seal.length, seal.hash, location}});
      report_(LogMoved{attempt});
      return;
    }
    if (log_ref.error().code == Errc::kRejected) {
      batch.replies.emplace_back(work.peer, Refusal(work, log_ref.error()));
      return;
    }
    if (log_ref.error().code == Errc::kCorrupt) {
      log::Error("the log of attempt {}/{} is not what its agent has and will be sent again: {}", Raw(attempt.job),
                 Raw(attempt.epoch), log_ref.error().message);
      if (const Status gone = logs_.Discard(work.run, attempt); !gone) {
        batch.replies.emplace_back(work.peer, Refusal(work, gone.error()));
        return;
      }
    }
    batch.replies.emplace_back(work.peer, LogSealed{attempt, log_ref.error().message});
  }
}

}  // namespace furrow
