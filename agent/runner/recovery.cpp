#include "agent/runner/recovery.h"

#include "agent/runner/log.h"
#include "agent/runner/process_tree.h"
#include "agent/runner/spool.h"

namespace furrow::runner {
namespace {

constexpr int kPatienceMs = 10'000;  // SIGKILL takes milliseconds, except on a process that hangs in the kernel.

}  // namespace

Status EndLost(Table& table, Journal& journal, Now now) {
  const std::uint64_t boot = BootIdentity();
  for (auto& [ref, entry] : table) {
    if (!entry.running) continue;
    std::string message = entry.leaders.empty()
                              ? "lost: the runner of this agent died; as far as it has noted, the job had not begun"
                              : "lost: the runner of this agent died; how far the job came is not known";
    if (entry.boot != boot) {
      message = "lost: the machine was restarted while the job ran";
    } else if (const std::size_t left = KillLeftBehind(entry.leaders, entry.token, kPatienceMs); left > 0) {
      message += "; " + std::to_string(left) + " of its processes did not die on SIGKILL";
    }
    Log(Describe(ref) + ": " + message);
    AppendFurrowLine(entry.spool, message);
    Exited& exited = entry.exited;
    exited.ref = ref;
    exited.step = entry.leaders.empty() ? 0 : static_cast<std::uint32_t>(entry.leaders.size() - 1);
    exited.outcome = {OutcomeKind::kLost, 0, message};
    exited.spool_bytes = SpoolBytes(entry.spool);
    exited.started = entry.started;
    exited.ended = now.wall;
    entry.running = false;
    entry.leaders.clear();
    journal.AddExited(exited);
  }
  return journal.Flush();
}

}  // namespace furrow::runner
