// Runs a real farm for a test: furrow-controller and furrow-agents as processes, on free ports of 127.0.0.1, in a
// temporary folder, and the command line to drive them. Whatever happens to the test, every process is gone at the end:
// daemons are killed, furrow-runners with their jobs too, and if the test itself dies the daemons get a signal.
//
//   Farm farm({.agents = 2});                              // ready: every agent is registered
//   farm.Write("work/furrow.yaml", "jobs: ...");           // files in the farm's folder
//   CliResult run = farm.Furrow({"run", farm / "work"});   // {status, out, err}
//   CHECK(run.status == 0);
//   auto follow = farm.Start({"logs", "-f", "work#1"});    // in the background
//   farm.KillController();                                 // -9
//   farm.StartController();                                // same ports, same folder; returns when it answers
//   CliResult logs = follow->Wait();
//
// A farm that does not come up throws std::runtime_error with the end of the daemon's log. Time limits are generous and
// only make a test that hangs fail: wait for the event itself with Until or AwaitJob.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controller/cli/up/setup.h"
#include "tests/support/temp_folder.h"

namespace furrow {

struct CliResult {
  int status = -1;  // 128 + N: ended by signal N
  std::string out;
  std::string err;
};

// A Background is a program that runs beside the test. The destructor kills the program if it still runs.
class Background {
 public:
  // The pid is the program's own: signals reach this program alone.
  Background(pid_t pid, int out_fd, int err_fd);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  // Both return what the program has printed so far.
  const std::string& out();
  const std::string& err();
  // Waits until the program's stdout contains `text`. False: the program ended or `limit` passed before.
  bool AwaitOut(std::string_view text, std::chrono::seconds limit = std::chrono::seconds(60));
  // Waits for the program's end; at the limit it is killed, with status 137.
  CliResult Wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  void Read(int timeout_ms);
  void Reap(int flags);

  pid_t pid_;
  int out_fd_, err_fd_;
  bool ended_ = false;
  CliResult result_;
};

struct FarmOptions {
  std::uint32_t agents = 1;
  // Both texts are added to the configuration files before the first start: sections that controller/cli/up/setup.cpp
  // does not write.
  std::string controller_yaml{};                     // e.g. "agents:\n  lease: 2s\n  heartbeat: 200ms\n"
  std::string agent_yaml{};                          // the same text for every agent
  std::map<std::string, std::string> environment{};  // variables of the daemons and of the command line
};

class Farm {
 public:
  explicit Farm(const FarmOptions& options = {});
  ~Farm();
  Farm(const Farm&) = delete;
  Farm& operator=(const Farm&) = delete;

  // ---- the command line; `--state` is put in front ----
  CliResult Furrow(const std::vector<std::string>& arguments);
  std::unique_ptr<Background> Start(const std::vector<std::string>& arguments);
  // Starts any program with its arguments, in the farm's folder.
  std::unique_ptr<Background> Program(const std::vector<std::string>& argv);
  // Runs the command line with further variables, in the farm's folder, without --state.
  CliResult Plain(const std::vector<std::string>& arguments,
                  const std::map<std::string, std::string>& environment = {});

  // ---- processes; agents count from 1 ----
  void KillController();  // SIGKILL
  void StopController();  // SIGTERM, and waits
  void StartController();
  void KillAgent(std::uint32_t agent);
  void StopAgent(std::uint32_t agent, int signal);  // SIGTERM leaves its jobs, SIGINT ends them; waits
  void StartAgent(std::uint32_t agent);             // returns when the agent is registered
  void KillRunner(std::uint32_t agent);
  pid_t ControllerPid() const;
  pid_t AgentPid(std::uint32_t agent) const;
  std::vector<pid_t> Runners() const;  // the runners of all agents
  bool ControllerRuns() const;         // true: the controller has not ended by itself
  bool AgentRuns(std::uint32_t agent) const;

  // ---- folders and logs ----
  const std::string& Folder() const { return folder_.Path(); }
  std::string operator/(std::string_view name) const { return folder_ / name; }
  void Write(std::string_view name, std::string_view content) const { folder_.Write(name, content); }
  std::string Read(std::string_view name) const { return folder_.Read(name); }
  std::string State() const { return folder_ / "state"; }  // the controller's state folder
  std::string AgentFolder(std::uint32_t agent) const;      // the agent's state folder
  std::string ControllerLog() const;                       // what the controller has logged so far
  std::string AgentLog(std::uint32_t agent) const;

  // ---- waiting ----
  // Waits until `fact` holds; false if it did not within `limit`.
  static bool Until(const std::function<bool()>& fact, std::chrono::seconds limit = std::chrono::seconds(60));
  // Waits until `furrow show WHAT --json` has a job in that state ("running", "passed", …).
  bool AwaitJob(const std::string& what, const std::string& state,
                std::chrono::seconds limit = std::chrono::seconds(60));

 private:
  struct Process {
    cli::DaemonPlan plan;
    pid_t pid = 0;
  };

  void Launch(Process& process, int death_signal);
  static void End(Process& process, int signal);
  void AwaitAnswer(std::uint32_t agents);
  std::unique_ptr<Background> Spawn(std::vector<std::string> argv,
                                    const std::map<std::string, std::string>& environment);

  TempFolder folder_;
  const FarmOptions options_;
  std::vector<Process> processes_;  // the controller is the first
};

// Returns the folder of the built programs.
std::string ProgramFolder();

}  // namespace furrow
