// The logs of a run that is followed: which are read, in which order, each byte once, until they are whole.
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

// Whether the job, and the shard, is of those that `what` names.
bool Selects(const Selector& what, const JobView& job);

class FollowedLogs {
 public:
  struct Handlers {
    std::function<void(const JobView& job, std::string_view bytes)> on_log;  // of its newest attempt
    std::function<void(const JobView& job)> on_log_end;                      // nothing more of this attempt
  };

  // `jobs` are those of the run, the owner's; a job keeps its place among them.
  FollowedLogs(FarmClient& farm, FollowOptions options, Handlers handlers, const std::vector<JobView>& jobs);

  // All jobs of the run are there for the first time.
  void Begin(RunId run);
  // The job at `index` is new or has changed.
  void OnJob(std::size_t index);
  // Takes in what has arrived, opens what is next. Does not wait.
  void Turn();
  // Logs that are yet to be read, or being read.
  std::size_t unfinished() const { return unfinished_; }
  // How far the log of the job at `index` is; there since Begin.
  FollowedState state(std::size_t index) const { return logs_[index].state; }

 private:
  // A job with all its shards.
  struct Job {
    std::size_t number = 0;  // in the order in which they became known
    std::vector<const Job*> needs;
    std::size_t unread = 0;  // how many of its logs are among unfinished_
    bool waits = false;      // for the log of a job that it needs, directly or through others
  };

  // The log of the job, or shard, at the same place in jobs_.
  struct Log {
    Job* job = nullptr;
    FollowedState state = FollowedState::kNone;
    AttemptRef attempt{};
    std::uint64_t offset = 0;
    std::uint32_t tail_lines = 0;                   // as long as nothing of it has come, the last so many; 0: all
    std::uint64_t turn = 0;                         // the lowest in queue_ is next
    int tries = 0;                                  // to read on where it ended too early
    std::chrono::steady_clock::time_point again{};  // not opened before
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
  std::optional<RunId> run_;                    // since Begin
  std::vector<Log> logs_;                       // beside jobs_, since Begin
  std::map<std::uint64_t, std::size_t> queue_;  // turn → index, of the logs that are kQueued or kPausing
  std::uint64_t last_turn_ = 0;
  std::size_t held_ = 0;        // logs that are kHeld
  std::size_t unfinished_ = 0;  // logs that are neither kNone nor kWhole, unless kNewest
  std::unordered_map<std::string, Job> by_name_;
  std::vector<Job*> order_;            // what a job needs comes before it
  bool look_again_ = false;            // Job::waits may be wrong by now
  std::optional<std::size_t> newest_;  // kNewest: whose lines are shown
};

}  // namespace furrow::cli
