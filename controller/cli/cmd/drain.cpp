#include <algorithm>
#include <chrono>
#include <csignal>
#include <string>

#include "common/base/program.h"
#include "common/pipeline/values.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/farm/agents.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/session/signals.h"
#include "controller/cli/show/json.h"
#include "controller/cli/show/text.h"

namespace furrow::cli {
namespace {

using std::chrono::steady_clock;

constexpr auto kAskAgain = std::chrono::seconds(1);
constexpr AskPatience kWhileWaiting{std::chrono::seconds(1), std::chrono::seconds(60)};
constexpr std::size_t kJobsNamed = 3;

std::string JobsOf(const AgentView& agent) {
  std::string text;
  for (std::size_t i = 0; i < std::min(agent.jobs.size(), kJobsNamed); ++i)
    text += (i == 0 ? "" : ", ") + agent.jobs[i].job;
  if (agent.jobs.size() > kJobsNamed) text += " and " + std::to_string(agent.jobs.size() - kJobsNamed) + " more";
  return text;
}

// Returns the agent as it is now. A controller that is away, perhaps for an upgrade, is no reason to give up.
Result<AgentView> Look(FarmClient& farm, const std::string& name) {
  FURROW_ASSIGN(AgentList list, FetchAgents(farm, kWhileWaiting));
  const auto found =
      std::find_if(list.agents.begin(), list.agents.end(), [&](const AgentView& agent) { return agent.name == name; });
  if (found == list.agents.end()) return Fail(Errc::kNotFound, "agent " + name + " is not known any more");
  return std::move(*found);
}

// Waits and returns kExitPassed when the agent's last job has ended. Before that a person or the end of the drain may
// have resumed the agent.
Result<int> WaitUntilIdle(FarmClient& farm, const std::string& name, Signals& signals) {
  std::string said;
  const auto say_once = [&](std::string text) {
    if (text != said) Say(text);
    said = std::move(text);
  };
  for (;;) {
    const Result<AgentView> agent = Look(farm, name);
    if (!agent && agent.error().code != Errc::kUnavailable) return tl::unexpected(agent.error());
    if (!agent) {
      say_once(agent.error().message + "; waiting for it");
    } else if (!agent->drained) {
      return Fail(Errc::kRejected, name + " gets jobs again, and was not seen without any since it was drained");
    } else if (agent->jobs.empty()) {
      return kExitPassed;
    } else {
      say_once("waiting for " + JobsOf(*agent));
    }
    const auto next = steady_clock::now() + kAskAgain;
    while (steady_clock::now() < next) {
      farm.Wait(std::chrono::ceil<std::chrono::milliseconds>(next - steady_clock::now()), {signals.fd()});
      if (signals.Take()) {
        Say(name + " stays drained; `furrow resume " + name + "` gives it jobs again");
        return kExitCancelled;
      }
    }
  }
}

}  // namespace

Result<int> DrainCommand(const Session& session, const DrainOptions& options) {
  Signals signals(options.wait ? std::initializer_list<int>{SIGINT, SIGTERM} : std::initializer_list<int>{});
  DrainAgent request = options.request;
  if (!options.until.empty()) {
    const auto duration = pipeline::ParseDuration(options.until);
    if (!duration) return Fail(Errc::kInvalid, "--until " + duration.error().message);
    request.duration = *duration;
  }
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Done done, farm->Ask<Done>(request));
  if (!session.json) WriteOut(Plain(done.text) + "\n");
  int status = kExitPassed;
  if (options.wait) {
    FURROW_ASSIGN(status, WaitUntilIdle(*farm, request.agent, signals));
  }
  if (session.json) WriteOut(JsonText("text", done.text));
  if (options.wait && status == kExitPassed && !session.json) WriteOut(Plain(request.agent) + " has no jobs left\n");
  return status;
}

Result<int> ResumeCommand(const Session& session, const std::string& agent) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Done done, farm->Ask<Done>(DrainAgent{.agent = agent, .drained = false}));
  WriteOut(session.json ? JsonText("text", done.text) : Plain(done.text) + "\n");
  return kExitPassed;
}

}  // namespace furrow::cli
