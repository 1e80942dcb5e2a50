// Sends one attempt's log to the controller: knows which bytes are sent, which are durable there, and the next step.
// A LogUpload belongs to the uploader's thread and never waits.
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

  // Holds the tools that the uploader lends to Next.
  struct Tools {
    FrameEncoder& encoder;
    std::string& buffer;  // buffer for one frame's raw bytes
    HashBeside& beside;
  };
  // Returns the next message if one is due. The caller calls `Sent` when the message has been sent. `may_append`: the
  // window has room.
  std::optional<BulkRequest> Next(Time now, bool may_append, Tools tools);
  void Sent(const BulkRequest& request, Time now);

  void OnFinish(std::uint64_t length, Time now);
  void OnGrown(Time now);  // The spool may have grown.
  void OnAck(const LogAck& ack, Time now);
  void OnSealed(const LogSealed& sealed, Time now);
  void OnError(const BulkError& error, Time now);
  void OnDisconnected();
  void OnSilence(Time now);  // The controller was not heard for long: messages under way may be lost.

  // Returns whether the log is complete and small, and no part is at the controller: such a log can go inline.
  bool CanGoInline() const;
  LogState state() const { return state_; }
  const std::optional<std::uint64_t>& final_length() const { return final_length_; }
  std::uint32_t under_way() const { return static_cast<std::uint32_t>(under_way_.size()); }
  bool WaitsForAnswer() const {
    return !under_way_.empty() || state_ == LogState::kAsked || state_ == LogState::kSealing;
  }
  Hash hash() const { return sha_.Digest(); }
  // Returns when to call Next again if no event comes first; nullopt: never. `may_append`: the window has room.
  std::optional<Time> wake_at(Time now, bool may_append) const;
  const Follow& order() const { return order_; }
  bool quiet(Time now) const { return now < begin_ && !final_length_; }  // true in the first 20 ms

  MetricsReader metrics;
  Time metrics_at;  // time of the next look at the metrics
  int watch = -1;   // inotify's number of the watch; -1: none

 private:
  bool OpenSpool();
  std::uint64_t SpoolBytes() const;
  std::optional<BulkRequest> NextFrame(Time now, std::uint64_t end, Tools tools);
  // Hashes [hashed_, until) from the spool, a few MiB in one call. Returns true when `until` is reached.
  bool HashUpTo(std::uint64_t until, Time now, std::string& buffer);
  void Move(LogEvent event);
  void Pause(Time now, std::chrono::milliseconds least);
  void ForgetHash();

  const Follow order_;
  FileHandle spool_;
  Time begin_;         // earliest time of the first message
  Time flush_at_;      // time when new bytes are sent, even if they fill no frame
  bool grown_ = true;  // The spool may hold more than was sent; not used once the spool is complete.
  std::optional<std::uint64_t> final_length_;  // absent: the spool is not complete
  LogState state_;
  Time retry_at_{};
  std::chrono::milliseconds backoff_{0};
  std::uint64_t sent_ = 0;               // raw bytes sent
  std::uint64_t durable_ = 0;            // raw bytes acknowledged
  std::deque<std::uint64_t> under_way_;  // ends of frames without an acknowledgement; empty unless kSending
  Sha256 sha_;                           // hash of [0, hashed_)
  std::uint64_t hashed_ = 0;
};

}  // namespace furrow
