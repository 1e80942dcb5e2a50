// Follows a run: what its jobs do, and their logs, each byte once, until the run has ended and the logs are whole.
// Goes on where it was when the controller was away.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/messages_client.h"
#include "controller/cli/farm_client.h"
#include "controller/cli/log_streams.h"

namespace furrow::cli {

enum class FollowLogs : std::uint8_t {
  kNone,
  kWhole,   // of every job of the selector, in order of start: a job's log comes after the logs of all it needs, those
            // of jobs beside it come side by side
  kNewest,  // the last lines of the job that started last, while it runs
};

struct FollowOptions {
  Selector what;  // a job and shard narrow the logs
  FollowLogs logs = FollowLogs::kNone;
  std::uint32_t tail_lines = 0;  // kWhole: of what is there at the beginning; 0: everything. kNewest: at least 1
  bool reused = false;           // also logs of jobs that were taken over from an earlier run
};

class Follower {
 public:
  struct Handlers {
    std::function<void(const JobView& job)> on_job;                          // it changed, or is new
    std::function<void(const JobView& job, std::string_view bytes)> on_log;  // of its newest attempt
    std::function<void(const JobView& job)> on_log_end;                      // nothing more of this attempt
    std::function<void(bool away)> on_away;                                  // the controller went or came
  };

  Follower(FarmClient& farm, FollowOptions options, Handlers handlers);

  // Takes in what has arrived and does what follows from it. False: all is over, or the single job that is followed
  // is. kUnavailable: the controller has been away for too long; kNotFound: no such run.
  Result<bool> Turn();
  // How long to wait for the next Turn if nothing arrives.
  std::chrono::milliseconds Idle() const;

  // Cancels the run or, where one is named, the job. The answer is not waited for: the run shows it.
  void Cancel(const std::string& reason);

  const RunSummary& run() const { return run_; }
  // In the pipeline's order; empty until the first update.
  const std::vector<JobView>& jobs() const { return jobs_; }
  bool known() const { return known_; }

 private:
  struct Log {
    enum class Step : std::uint8_t {
      kNone,    // nothing to read yet
      kQueued,  // waits for its turn
      kReading,
      kEnded,  // the stream ended, the job has not been seen to: is it whole?
      kWhole,
    };
    Step step = Step::kNone;
    AttemptRef attempt;
    std::uint64_t offset = 0;
    bool begun = false;  // bytes have come
    bool tail = false;   // of its beginning only the last lines are wanted
    int tries = 0;       // to read on where it ended too early
    std::chrono::steady_clock::time_point again{};
  };

  void Watch();
  void LookOnce();
  Status OnReply(std::uint64_t number, ClientReply& reply);
  void OnUpdate(RunUpdate& update);
  void Update(JobView& job);
  bool Wanted(const JobView& job) const;
  void Queue(std::size_t place);
  void Unread(std::size_t place, int change);
  bool MustWait(std::size_t place) const;
  void OpenQueued();
  void Open(std::size_t place);
  void FollowNewest();
  void OnBytes(std::size_t place, std::string_view bytes);
  void OnEnd(std::size_t place, std::uint64_t end, const Status& status);
  void Check(std::size_t place);
  Result<bool> Away();
  bool Done() const;

  FarmClient& farm_;
  const FollowOptions options_;
  const Handlers handlers_;
  LogStreams streams_;
  RunSummary run_;
  std::vector<JobView> jobs_;
  std::unordered_map<std::uint64_t, std::size_t> index_;             // JobId → place in jobs_
  std::vector<Log> logs_;                                            // beside jobs_
  std::deque<std::size_t> queue_;                                    // places of logs that wait, in order of start
  std::size_t unfinished_ = 0;                                       // logs that are queued, being read or ended
  std::unordered_map<std::string, std::size_t> unread_;              // job → how many of those are its shards'
  std::unordered_map<std::string, std::vector<std::string>> needs_;  // of each job
  std::vector<std::size_t> held_;      // places of logs that wait for those of jobs they need
  std::optional<std::size_t> newest_;  // kNewest: whose lines are shown
  std::uint64_t watch_ = 0;            // numbers of requests under way
  std::uint64_t look_ = 0;
  std::uint64_t cancel_ = 0;
  std::string cancel_reason_;
  bool cancelling_ = false;
  bool known_ = false;
  bool ended_ = false;
  bool away_ = false;
  std::uint64_t generation_ = 0;
  std::chrono::steady_clock::time_point heard_;  // of the run
  std::chrono::steady_clock::time_point start_;
};

}  // namespace furrow::cli
