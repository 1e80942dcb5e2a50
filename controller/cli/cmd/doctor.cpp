// furrow doctor examines the farm of the command line, and the daemons of this machine, each with its own program.
#include <algorithm>
#include <filesystem>

#include "common/base/run_program.h"
#include "common/doctor/doctor.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/farm/agents.h"
#include "controller/cli/session/exit_status.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;
using doctor::Report;

constexpr std::chrono::minutes kPatience{3};
constexpr AskPatience kShort{std::chrono::seconds(3), std::chrono::seconds(10)};

struct Daemon {
  std::string program;  // "furrow-agent"
  fs::path config;
};

// Returns the daemons of `furrow up` if the farm is one of its farms; else the installed ones.
std::vector<Daemon> DaemonsHere(const std::string& state) {
  std::error_code none;
  std::vector<Daemon> daemons;
  const auto found = FarmFolder(state);
  const fs::path folder = found ? *found : fs::path();
  if (found && fs::exists(folder / "controller.yaml", none)) {
    daemons.push_back({"furrow-controller", folder / "controller.yaml"});
    std::vector<fs::path> agents;
    for (const auto& agent : fs::directory_iterator(folder / "agents", none))
      if (fs::exists(agent.path() / "agent.yaml", none)) agents.push_back(agent.path() / "agent.yaml");
    std::sort(agents.begin(), agents.end());
    for (const fs::path& agent : agents) daemons.push_back({"furrow-agent", agent});
    return daemons;
  }
  for (const char* name : {"controller", "agent"}) {
    const fs::path config = std::string("/etc/furrow/") + name + ".yaml";
    if (fs::exists(config, none)) daemons.push_back({std::string("furrow-") + name, config});
  }
  return daemons;
}

std::vector<Report> Examine(const Daemon& daemon) {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / daemon.program;
  ProgramOptions options;
  options.limit = kPatience;
  const auto said = RunProgram({beside, "--config", daemon.config, "doctor", "--json"}, options);
  const std::string cure = "run " + daemon.program + " --config " + daemon.config.string() + " doctor by itself";
  if (!said) return {{daemon.program, {doctor::Wrong("program", said.error().message, cure)}}};
  auto reports = doctor::FromJson(said->out);
  if (!reports) return {{daemon.program, {doctor::Wrong("program", "doctor says nothing: " + said->err, cure)}}};
  return std::move(*reports);
}

// Examines the farm as this client sees it.
Report ExamineFarm(const Session& session) {
  Report report{"the farm, from here", {}};
  const auto address = FindFarm(session.state);
  if (!address) {
    report.findings.push_back(doctor::Wrong("farm", address.error().message, ""));
    return report;
  }
  const auto farm = session.OpenFarm();
  const auto pong = farm ? (*farm)->Ask<Pong>(Ping{}, kShort) : Result<Pong>(tl::unexpected(farm.error()));
  if (!pong) {
    report.findings.push_back(doctor::Wrong("farm", pong.error().message, "furrow-controller doctor, where it runs"));
    return report;
  }
  report.findings.push_back(
      doctor::Ok("farm", address->control + " (by " + address->origin + ") answers: " + pong->software));
  const auto agents = FetchAgents(**farm, kShort);
  if (!agents) {
    report.findings.push_back(doctor::Wrong("agents", agents.error().message, "furrow agents"));
    return report;
  }
  const WallTime now = session.Style().now;
  for (const AgentView& agent : agents->agents)
    if (!agent.connected)
      report.findings.push_back(doctor::Warning(
          "agents", agent.name + " (" + agent.host + ") is away, for " + FormatSpan(agent.last_seen, WallTime{}, now),
          "on that machine: furrow-agent doctor"));
  if (const auto repositories = (*farm)->Ask<RepositoryList>(ListRepositories{}, kShort)) {
    for (const RepositoryView& repository : repositories->repositories)
      if (!repository.problem.empty())
        report.findings.push_back(
            doctor::Warning("repositories", repository.repository + ": " + repository.problem, "furrow repos"));
  }
  report.findings.push_back(doctor::Ok("agents", std::to_string(pong->agents_connected) + " connected, " +
                                                     std::to_string(pong->runs_live) + " live runs"));
  return report;
}

}  // namespace

Result<int> DoctorCommand(const Session& session) {
  std::vector<Report> reports{ExamineFarm(session)};
  for (const Daemon& daemon : DaemonsHere(session.state))
    for (Report& report : Examine(daemon)) reports.push_back(std::move(report));
  return doctor::Print(reports, session.json);
}

}  // namespace furrow::cli
