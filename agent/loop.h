// The agent's loop: brings events to the reactor and carries out what it asks for. The only place where the
// agent's sockets, its runner and its threads meet.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/devices/devices.h"
#include "agent/inputs/workspace.h"
#include "agent/runner/client.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "agent/uploads/uploader.h"
#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/daemon/config.h"
#include "common/daemon/reloader.h"
#include "common/daemon/service_manager.h"
#include "common/transport/transport.h"

namespace furrow {

enum class StopMode : std::uint8_t {
  kLeaveJobs,  // they go on in the runner; the next agent takes them over
  kEndJobs,    // the runner ends them and goes
};

// What a reload reads.
struct AgentReload {
  AgentConfig config;
  devices::Detected detected;
};

class AgentLoop {
 public:
  struct Parts {
    const Clock& clock;
    Context& context;
    ChannelOptions control;
    WorkspaceOptions workspace;
    UploaderOptions uploader;
    std::string runner_program;  // furrow-runner
    ServiceManager& service;
    Reloader<AgentReload>& reloader;
    AgentConfig config;  // as it is in force
    std::string config_file;
    int signals = -1;  // daemon::CatchSignals; SIGINT ends the jobs too, SIGTERM leaves them
  };

  // Connects everything. `state` has its settings, offer and incarnation.
  static Result<std::unique_ptr<AgentLoop>> Create(Parts parts, AgentState state);

  // Until a signal. An error only for what no retry can mend.
  Result<StopMode> Run();

 private:
  AgentLoop(Parts parts, AgentState state) : parts_(std::move(parts)), state_(std::move(state)) {}

  Status ConnectRunner();
  Status DrainRunner();
  void RemoveLeftovers();
  void DrainController();
  void ReportWelcome();
  void DrainThreads();
  void LookAtDisk(bool at_once);
  void CarryOut();
  void TellRunner(const std::vector<runner::Request>& requests);
  void ReportLink();
  void DoubtLink();
  std::optional<StopMode> HandleSignals();  // a value: to stop at once
  void Reload(const Result<AgentReload>& fresh);
  Duration TellServiceManager();  // how long it may wait for the next word
  void BeginEnd();
  bool HasEnded() const;
  void SaveLease(TimePoint until);

  Parts parts_;
  AgentState state_;
  AgentOutbox out_;
  Mailbox<WorkspaceEvent> workspace_events_;
  Mailbox<UploadEvent> upload_events_;
  std::unique_ptr<Channel> control_;
  std::unique_ptr<Workspace> workspace_;
  std::unique_ptr<Uploader> uploader_;
  std::unique_ptr<runner::RunnerClient> runner_;
  int runner_failures_ = 0;
  LinkState link_ = LinkState::kConnecting;  // as reported last
  std::optional<TimePoint> end_by_;          // set: the jobs are being ended, and reported until then
  bool ready_sent_ = false;                  // the service manager knows that we serve
  bool doubted_ = false;                     // the connection was made anew since the controller last answered
  TimePoint disk_look_;                      // when to look next
  bool cleaned_ = false;                     // leftovers of earlier processes are gone
  Poller poller_;
};

}  // namespace furrow
