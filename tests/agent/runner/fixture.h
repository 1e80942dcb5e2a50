// A real furrow-runner in a temporary folder, and a client that talks to it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/client.h"

namespace furrow::runner::testing {

// Waits at most this long for anything: a limit for a broken test, never a pause.
inline constexpr int kPatienceMs = 30'000;

// A named pipe by which a job tells the test that it has come somewhere.
class Fifo {
 public:
  explicit Fifo(std::string path);
  ~Fifo();
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

  // The next line that somebody wrote. Fails the test when none comes.
  std::string Line();
  pid_t Pid() { return static_cast<pid_t>(std::stol(Line())); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int fd_;
  std::string rest_;
};

class Fixture {
 public:
  Fixture();
  ~Fixture();  // ends the runner with its jobs and removes the folder
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  const std::string& dir() const { return dir_; }
  std::string state() const { return dir_ + "/state"; }
  std::string spool(std::uint64_t job) const { return dir_ + "/" + std::to_string(job) + ".log"; }

  // A start of job `job` whose steps are the given argument vectors.
  Start Job(std::uint64_t job, std::vector<std::vector<std::string>> steps) const;
  // One step: sh -c `script`.
  Start Shell(std::uint64_t job, const std::string& script) const { return Job(job, {{"sh", "-c", script}}); }

  void StartRunner(const std::string& program = FURROW_RUNNER);  // and Connect
  void Connect();
  void Disconnect() { client_.reset(); }
  void Send(const std::vector<Request>& requests);
  pid_t RunnerPid();  // of the one that answers now
  void KillRunner();  // SIGKILL; returns when it is dead

  Event Next();                         // the next event
  Exited RunToEnd(const Start& start);  // sends it, waits for its Exited
  Exited AwaitExited(std::uint64_t job);
  Started AwaitStarted(std::uint64_t job);
  Listing List();
  void AwaitGone();                             // until the runner closes the connection
  std::string Output(std::uint64_t job) const;  // the spool

 private:
  template <class T>
  T Await(const std::function<bool(const T&)>& wanted);

  std::string dir_;
  std::optional<RunnerClient> client_;
  std::vector<Event> events_;  // arrived, not asked for yet
};

AttemptRef Ref(std::uint64_t job);
std::string ReadFile(const std::string& path);
bool IsDead(pid_t pid);  // gone, or a zombie

}  // namespace furrow::runner::testing
