// The controller's loop brings frames and events to the reactors, plans, and hands each turn's outbox to the store. The
// messages of a turn leave only when this turn, and every one before, is durable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "common/base/clock.h"
#include "common/base/mailbox.h"
#include "common/base/worker_pool.h"
#include "common/daemon/config.h"
#include "common/daemon/reloader.h"
#include "common/daemon/service_manager.h"
#include "common/transport/transport.h"
#include "controller/access/enrol_server.h"
#include "controller/bulk/server.h"
#include "controller/control/intake.h"
#include "controller/control/outgoing.h"
#include "controller/history/history.h"
#include "controller/reactor/outbox.h"
#include "controller/reactor/turns.h"
#include "controller/repos/repos.h"
#include "controller/state/state.h"
#include "controller/store/disk_guard.h"
#include "controller/store/store.h"

namespace furrow {

using LoopMailbox = Mailbox<LoopEvent>;

class ControllerLoop {
 public:
  // All parts outlive the loop. The threads behind the parts post into `events`.
  struct Parts {
    const Clock& clock;
    Server& control;
    BulkServer& bulk;
    Store& store;
    History& history;
    Repositories& repositories;
    EnrolServer& enrol;
    DiskGuard& disk;
    LoopMailbox& events;
    WorkerPool& preparer;  // prepares the pipeline files of submissions
    ServiceManager& service;
    Reloader<ControllerConfig>& reloader;
    ControllerConfig& config;  // the configuration in force
    const std::string& config_file;
    int signals = -1;  // the descriptor from daemon::CatchSignals
  };

  ControllerLoop(Parts parts, State state, Outbox first);

  // Runs until a signal. Returns an error after a failed commit: no acknowledged work is lost, but nothing more may be
  // acknowledged, so the program must end.
  Status Run();

 private:
  void DrainFrames(Now now);
  Status DrainEvents(Now now);
  Status Handle(Now now, LoopEvent& event);
  Status OnCommitted(const Committed& committed);
  bool HandleSignals(Now now);  // false: the loop must stop
  void Reload(const Result<ControllerConfig>& fresh);
  void CheckDisk();
  void HandOver(Now now);
  void ForgetDropped();
  // Takes the outbox, because what cannot be sent changes `out_`.
  void Release(Outbox out);
  std::chrono::milliseconds Idle(Now now) const;

  Parts parts_;
  State state_;
  Outbox out_;
  Turns turns_;
  Intake intake_;
  Outgoing outgoing_;
  TimePoint ticked_;
  Poller poller_;
};

}  // namespace furrow
