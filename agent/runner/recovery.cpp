#include "agent/runner/recovery.h"

#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "agent/runner/log.h"
#include "agent/runner/process_tree.h"
#include "agent/runner/spool.h"

namespace furrow::runner {
namespace {

constexpr int kPatienceMs = 10'000;  // SIGKILL takes milliseconds, except on a process that hangs in the kernel.

// Returns the attempt that a token names: "JOB-EPOCH-…".
std::optional<AttemptRef> AttemptOf(const std::string& token) {
  std::uint64_t job = 0;
  std::uint64_t epoch = 0;
  const char* const end = token.data() + token.size();
  const auto first = std::from_chars(token.data(), end, job);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, epoch);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != '-') return std::nullopt;
  return AttemptRef{JobId{job}, Epoch{epoch}};
}

// Kills what still runs of jobs that the table does not know, and adds these jobs to the table.
void EndUnknown(Table& table, Journal& journal, std::uint64_t boot) {
  for (const Stray& stray : KillStrays(kPatienceMs)) {
    const auto ref = AttemptOf(stray.token);
    Log("process " + std::to_string(stray.process.pid) + " of " + (ref ? Describe(*ref) : "a job") +
        " had outlived its runner and was killed");
    if (!ref || table.contains(*ref)) continue;
    Entry& entry = table[*ref];
    entry.ref = *ref;
    entry.boot = boot;
    entry.token = stray.token;
    entry.unrecorded = true;
    journal.SetIncomplete();
  }
}

}  // namespace

Status EndLost(Table& table, Journal& journal, Now now) {
  const std::uint64_t boot = BootIdentity();
  EndUnknown(table, journal, boot);
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
    if (entry.unrecorded) message = "lost: the runner of this agent died, and its journal was damaged";
    Log(Describe(ref) + ": " + message);
    if (!entry.spool.empty()) AppendFurrowLine(entry.spool, message);
    Exited& exited = entry.exited;
    exited.ref = ref;
    exited.step = entry.leaders.empty() ? 0 : static_cast<std::uint32_t>(entry.leaders.size() - 1);
    exited.outcome = {OutcomeKind::kLost, 0, message};
    exited.spool_bytes = entry.spool.empty() ? kAllThatIsThere : SpoolBytes(entry.spool);
    exited.started = entry.started;
    exited.ended = now.wall;
    entry.running = false;
    entry.leaders.clear();
    if (std::exchange(entry.unrecorded, false)) journal.AddStart(entry);
    journal.AddExited(exited);
  }
  return journal.Flush();
}

}  // namespace furrow::runner
