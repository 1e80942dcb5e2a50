// How bad the weather is over a simulated farm; each a probability of an event, all 0: calm.
#pragma once

namespace furrow::sim {

struct Weather {
  double loss = 0;              // of a frame
  double doubled = 0;           // a frame comes twice, the second up to 20 s after the first
  double slow = 0;              // a frame takes up to 3 s instead of up to 5 ms
  double commit_crash = 0;      // each commit: the controller dies before it, after it, or between two releases
  double commit_fail = 0;       // each commit: the store reports an error, and has kept all of it or nothing
  double disk_slow = 0;         // each second: the controller's disk makes nothing durable for up to two leases
  double disk_full = 0;         // each second: so it does for longer, and new work is refused
  double unreadable = 0;        // each record of a job, attempt or agent at a start of the controller: it is damaged
  double controller_crash = 0;  // each second
  double agent_crash = 0;       // each second and agent
  double agent_turn_crash = 0;  // each turn of an agent that has effects: it dies before one of them
  double agent_end = 0;         // each second and agent: SIGINT, and started again later
  double channel_full = 0;      // each frame of an agent: no further one leaves in its turn
  double agent_stop = 0;        // each second and agent: SIGSTOP for up to two leases
  double runner_crash = 0;      // each second and agent
  double partition = 0;         // each second and agent: its link is dead for up to two leases
  double machine_lost = 0;      // each second and agent: comes back without its state folder
  double git_trouble = 0;       // an import or a look at refs fails, or takes long; a hook does not reach us
};

}  // namespace furrow::sim
