// A Follower follows a run: the changes of its jobs, and their logs, each byte once, until the run has ended and the
// logs are whole. After the controller was away the Follower continues where it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controller/cli/farm/client.h"
#include "controller/cli/follow/followed_logs.h"
#include "schemas/client.h"

namespace furrow::cli {

class Follower {
 public:
  // Turn calls the handlers, which must not call Turn. Every one may be null.
  struct Handlers {
    std::function<void(const JobView& job)> on_job;                          // The job has changed or is new.
    std::function<void(const JobView& job, std::string_view bytes)> on_log;  // bytes of the newest attempt
    std::function<void(const JobView& job)> on_log_end;                      // The attempt has no more bytes.
    std::function<void(bool away)> on_away;                                  // The controller went away or came back.
  };

  Follower(FarmClient& farm, FollowOptions options, Handlers handlers);

  // Handles all that has arrived. Returns false when the run, or the single job that is followed, is over.
  // kUnavailable: the controller has been away for too long; kNotFound: there is no such run.
  Result<bool> Turn();
  // Returns how long to wait for the next Turn if nothing arrives.
  std::chrono::milliseconds Idle() const;

  // Cancels the run or, where one is named, the job. Cancel does not wait for the answer, because the run shows it.
  void Cancel(const std::string& reason);

  const RunSummary& run() const { return run_; }
  // Returns the jobs in the pipeline's order; empty until the first update.
  const std::vector<JobView>& jobs() const { return jobs_; }
  bool known() const { return known_; }

 private:
  void Watch();
  void LookOnce();
  Status OnReply(std::uint64_t number, ClientReply& reply);
  void OnUpdate(RunUpdate& update);
  void Update(JobView& job);
  Result<bool> Away();
  bool Done() const;

  FarmClient& farm_;
  const FollowOptions options_;
  const Handlers handlers_;
  RunSummary run_;
  std::vector<JobView> jobs_;
  std::unordered_map<std::uint64_t, std::size_t> index_;  // JobId → index in jobs_
  FollowedLogs logs_;
  std::uint64_t watch_ = 0;  // the numbers of the requests under way
  std::uint64_t look_ = 0;
  std::string cancel_reason_;
  bool cancelling_ = false;
  bool known_ = false;
  bool ended_ = false;
  bool away_ = false;
  std::uint64_t generation_ = 0;
  std::chrono::steady_clock::time_point heard_;  // when the run was last heard of
};

}  // namespace furrow::cli
