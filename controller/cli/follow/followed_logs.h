// FollowedLogs reads the logs of a followed run: it decides which logs are read and in which order, and passes on each
// byte once, until the logs are whole.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controller/cli/farm/client.h"
#include "controller/cli/follow/followed_state.h"
#include "controller/cli/follow/log_streams.h"
#include "schemas/client.h"

namespace furrow::cli {

enum class FollowLogs : std::uint8_t {
  kNone,
  kWhole,   // all logs of the jobs that the selector names, in order of start: a job's log comes after the logs of all
            // jobs that it needs, and logs of other jobs come side by side
  kNewest,  // the last lines of the job that started last, while it runs
};

struct FollowOptions {
  Selector what;  // A job or shard restricts the logs.
  FollowLogs logs = FollowLogs::kNone;
  std::uint32_t tail_lines = 0;  // kWhole: the last lines of the bytes at the beginning; 0: all. kNewest: at least 1
  bool reused = false;           // include logs of jobs reused from an earlier run
};

// Returns whether `what` names the job, and its shard.
bool Selects(const Selector& what, const JobView& job);

class FollowedLogs {
 public:
  // OnJob and Turn call the handlers, which must call no function of FollowedLogs that is not const, and leave `jobs`
  // as they are.
  struct Handlers {
    std::function<void(const JobView& job, std::string_view bytes)> on_log;  // bytes of the newest attempt
    std::function<void(const JobView& job)> on_log_end;                      // The attempt has no more bytes.
  };

  // `jobs` are the jobs of the run and belong to the caller; a job keeps its index.
  FollowedLogs(FarmClient& farm, FollowOptions options, Handlers handlers, const std::vector<JobView>& jobs);

  // Starts the reading. All jobs of the run are there for the first time.
  void Begin(RunId run);
  // Takes in a job that is new or has changed.
  void OnJob(std::size_t index);
  // Takes in the bytes that have arrived and opens the next logs. Never waits.
  void Turn();
  // Returns the number of logs that are being read or wait to be read.
  std::size_t unfinished() const { return unfinished_; }
  // Returns the reading state of the log of the job at `index`; valid after Begin.
  FollowedState state(std::size_t index) const { return logs_[index].state; }

 private:
  // A Job stands for all its shards.
  struct Job {
    std::size_t number = 0;  // in the order of discovery
    std::vector<const Job*> needs;
    std::size_t unread = 0;  // how many of the job's logs count in unfinished_
    bool waits = false;      // The job waits for the log of a job that it needs, directly or through others.
  };

  // A Log is the log of the job, or shard, at the same index in jobs_.
  struct Log {
    Job* job = nullptr;
    FollowedState state = FollowedState::kNone;
    AttemptRef attempt{};
    std::uint64_t offset = 0;
    std::uint32_t tail_lines = 0;                   // until the first bytes: read only the last so many lines; 0: all
    std::uint64_t turn = 0;                         // the lowest turn in queue_ is next
    int tries = 0;                                  // attempts to continue a log that ended too early
    std::chrono::steady_clock::time_point again{};  // The log is not opened before this time.
  };

  void LearnJobs();
  void Move(std::size_t index, FollowedEvent event) { logs_[index].state = After(logs_[index].state, event); }
  void Find(std::size_t index);
  void Queue(std::size_t index);
  void Unread(Job& job, int change);
  void LookWhoWaits();
  void OpenQueued();
  void Open(std::size_t index);
  void FollowNewest();
  void OnBytes(std::size_t index, std::string_view bytes);
  void OnEnd(std::size_t index, std::uint64_t end, const Status& status);
  bool AtEnd(std::size_t index) const;
  void End(std::size_t index);

  const FollowOptions options_;
  const Handlers handlers_;
  const std::vector<JobView>& jobs_;
  LogStreams streams_;
  std::optional<RunId> run_;                    // set by Begin
  std::vector<Log> logs_;                       // parallel to jobs_, since Begin
  std::map<std::uint64_t, std::size_t> queue_;  // turn → index, of the logs that are kQueued or kPausing
  std::uint64_t last_turn_ = 0;
  std::size_t held_ = 0;        // logs that are kHeld
  std::size_t unfinished_ = 0;  // logs that are neither kNone nor kWhole, unless kNewest
  std::unordered_map<std::string, Job> by_name_;
  std::vector<Job*> order_;            // The jobs that a job needs come before it.
  bool look_again_ = false;            // Job::waits may be out of date.
  std::optional<std::size_t> newest_;  // kNewest: the job whose lines are shown
};

}  // namespace furrow::cli
