// Runs the agent's loop, which brings events to the reactor and carries out the reactor's effects as AgentTurns orders
// them. Only here do the agent's sockets, its runner and its threads meet.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/devices/devices.h"
#include "agent/inputs/workspace.h"
#include "agent/reactor/turns.h"
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
  kLeaveJobs,  // The jobs go on in the runner; the next agent takes them over.
  kEndJobs,    // The runner ends the jobs and itself.
};

// Holds the configuration and the devices that a reload reads.
struct AgentReload {
  AgentConfig config;
  devices::Detected detected;
};

class AgentLoop final : private AgentPorts {
 public:
  struct Parts {
    const Clock& clock;
    Context& context;
    ChannelOptions control;
    WorkspaceOptions workspace;
    UploaderOptions uploader;
    std::string runner_program;  // path of furrow-runner
    ServiceManager& service;
    Reloader<AgentReload>& reloader;
    AgentConfig config;  // the configuration in force
    std::string config_file;
    int signals = -1;  // from daemon::CatchSignals; SIGINT ends the jobs, SIGTERM leaves them running.
  };

  // Connects the controller, the threads and the runner. The caller has set the settings, offer and incarnation of
  // `state`.
  static Result<std::unique_ptr<AgentLoop>> Create(Parts parts, AgentState state);

  // Runs until a signal ends the agent. Returns an error only for a failure that no retry can mend.
  Result<StopMode> Run();

 private:
  AgentLoop(Parts parts, AgentState state) : parts_(std::move(parts)), state_(std::move(state)) {}

  Status ConnectRunner();
  Status DrainRunner();
  void DrainController();
  void ReportWelcome();
  void DrainThreads();
  void LookAtDisk(bool at_once);
  void WakeRunner();
  void ReportLink();
  void DoubtLink();
  void NoteConnection();
  std::optional<StopMode> HandleSignals();  // A value means: stop at once.
  void Reload(const Result<AgentReload>& fresh);
  Duration TellServiceManager();  // Returns the time until the next call is due.

  void KeepLease(TimePoint until) override;
  Status TellRunner(const runner::Request& request) override;
  void FlushRunner() override;
  void TellWorkspace(WorkspaceCommand command) override;
  void TellUploader(UploadCommand command) override;
  bool TellController(const std::string& frame) override;
  void RemoveLeftovers(const std::set<std::string>& held) override;
  void Complain(const std::string& what) override;

  Parts parts_;
  AgentState state_;
  AgentOutbox out_;
  AgentTurns turns_;
  Mailbox<WorkspaceEvent> workspace_events_;
  Mailbox<UploadEvent> upload_events_;
  std::unique_ptr<Channel> control_;
  std::unique_ptr<Workspace> workspace_;
  std::unique_ptr<Uploader> uploader_;
  std::unique_ptr<runner::RunnerClient> runner_;
  LinkState link_ = LinkState::kConnecting;  // state that was logged last
  const pid_t parent_ = ::getppid();         // what started the agent; its death signal is obeyed: see MayBeAJobs
  pid_t stopped_by_ = 0;           // sender of the last signal, if it is not the service manager that there is; 0: none
  bool ready_sent_ = false;        // The service manager knows that the agent serves.
  std::uint64_t connections_ = 0;  // of control_, as far as the reactor knows
  bool doubted_ = false;           // The connection was made anew since the controller last answered.
  TimePoint disk_look_;            // time of the next look at the disk
  Poller poller_;
};

}  // namespace furrow
