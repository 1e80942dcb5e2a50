// One attempt's log on its way to the controller: what was sent, what is durable there, what to do next. Belongs to
// the uploader's thread; does not wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "agent/state/effects.h"
#include "agent/uploads/hash_beside.h"
#include "agent/uploads/log_state.h"
#include "agent/uploads/metrics.h"
#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/logs/frames.h"
#include "schemas/bulk.h"

namespace furrow {

class LogUpload {
 public:
  using Time = std::chrono::steady_clock::time_point;

  LogUpload(Follow order, Time now);

  // What the uploader lends to Step.
  struct Tools {
    FrameEncoder& encoder;
    std::string& buffer;  // room for one frame's raw bytes
    HashBeside& beside;
  };
  // The next message to send, if there is one and it is time for it. `Sent` must follow if it was.
  // `may_append`: the window has room.
  std::optional<BulkRequest> Next(Time now, bool may_append, Tools tools);
  void Sent(const BulkRequest& request, Time now);

  void OnFinish(std::uint64_t length, Time now);
  void OnGrown(Time now);  // the spool may have grown
  void OnAck(const LogAck& ack, Time now);
  void OnSealed(const LogSealed& sealed, Time now);
  void OnError(const BulkError& error, Time now);
  void OnDisconnected();
  void OnSilence(Time now);  // nothing was heard for long: what is under way may be lost

  // The log is complete and nothing of it is at the controller: take it as it is.
  bool CanGoInline() const;
  LogState state() const { return state_; }
  const std::optional<std::uint64_t>& final_length() const { return final_length_; }
  std::uint32_t under_way() const { return static_cast<std::uint32_t>(under_way_.size()); }
  bool WaitsForAnswer() const {
    return !under_way_.empty() || state_ == LogState::kAsked || state_ == LogState::kSealing;
  }
  Hash hash() const { return sha_.Digest(); }
  // When Next should be asked again though nothing happens; nullopt: never. `may_append` as there.
  std::optional<Time> wake_at(Time now, bool may_append) const;
  const Follow& order() const { return order_; }
  bool quiet(Time now) const { return now < begin_ && !final_length_; }  // the first 20 ms

  MetricsReader metrics;
  Time metrics_at;  // next look at the metrics
  int watch = -1;   // inotify's number; -1: not watched

 private:
  bool OpenSpool();
  std::uint64_t SpoolBytes() const;
  std::optional<BulkRequest> NextFrame(Time now, std::uint64_t end, Tools tools);
  // Hashes [hashed_, until) from the spool, a few MiB at once; true if that is done.
  bool HashUpTo(std::uint64_t until, Time now, std::string& buffer);
  void Move(LogEvent event);
  void Pause(Time now, std::chrono::milliseconds least);
  void ForgetHash();

  const Follow order_;
  FileHandle spool_;
  Time begin_;         // before it nothing is sent
  Time flush_at_;      // when what has grown is sent
  bool grown_ = true;  // the spool may hold more than was sent; not asked any more once it is complete
  std::optional<std::uint64_t> final_length_;  // the spool is complete
  LogState state_;
  Time retry_at_{};
  std::chrono::milliseconds backoff_{0};
  std::uint64_t sent_ = 0;               // raw bytes
  std::uint64_t durable_ = 0;            // of those, acknowledged
  std::deque<std::uint64_t> under_way_;  // ends of frames that are not acknowledged; empty unless kSending
  Sha256 sha_;                           // of [0, hashed_)
  std::uint64_t hashed_ = 0;
};

}  // namespace furrow
