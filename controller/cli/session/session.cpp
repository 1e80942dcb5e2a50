#include "controller/cli/session/session.h"

#include <chrono>
#include <iterator>

namespace furrow::cli {
namespace {

constexpr std::uint32_t kJobsAtOnce = 10'000;

}  // namespace

ViewStyle Session::Style() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {terminal.colour, terminal.out ? SizeOfTerminal().columns : 0,
          WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(now).count()}};
}

Result<std::unique_ptr<FarmClient>> Session::OpenFarm() const {
  return FarmClient::Open([state = state] { return FindFarm(state); });
}

std::string Session::Program() const {
  return state.empty() ? "furrow" : "furrow --state " + state;
}

Result<RunDetail> FetchRun(FarmClient& farm, const Selector& what) {
  FURROW_ASSIGN(RunDetail detail, farm.Ask<RunDetail>(ShowRun{what, 0, kJobsAtOnce}));
  Selector same = what;  // A selector for the newest run keeps the run that it first named.
  same.number = detail.run.number;
  while (detail.jobs.size() < detail.matching) {
    const auto first = static_cast<std::uint32_t>(detail.jobs.size());
    FURROW_ASSIGN(RunDetail more, farm.Ask<RunDetail>(ShowRun{same, first, kJobsAtOnce}));
    if (more.jobs.empty()) break;
    std::move(more.jobs.begin(), more.jobs.end(), std::back_inserter(detail.jobs));
  }
  return detail;
}

}  // namespace furrow::cli
