#include "agent/doctor/doctor.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "agent/devices/machine.h"
#include "agent/join/enrolment.h"
#include "agent/settings.h"
#include "common/base/version.h"
#include "common/doctor/files.h"
#include "common/doctor/machine.h"

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnit = "furrow-agent";
constexpr std::uint64_t kAgentFiles = 4096;

std::string FirstLine(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// Returns the rest of the first line of `text` that begins with `word`; empty: none.
std::string LineOf(const std::string& text, const std::string& word) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(word)) return line.substr(word.size());
  return "";
}

Result<ProgramResult> Ask(const std::string& program, const char* question) {
  ProgramOptions options;
  options.limit = std::chrono::seconds(60);  // LibTorch for CUDA loads slowly from a cold disk.
  return RunProgram({program, question}, options);
}

Findings CheckMachine(pid_t pid, bool gpus) {
  Findings findings;
  Append(findings,
         CheckLimits({kUnit, kAgentFiles, "jobs with many open files will fail", 4096, gpus}, LimitsOf(pid), pid != 0));
  devices::MachineFiles of_daemon;  // Without a running daemon the limits are this process's.
  of_daemon.pid = pid;
  CgroupFacts cgroups;
  cgroups.version = CgroupVersion();
  cgroups.machine_cpus = std::max(1u, static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)));
  cgroups.usable_cpu_milli = devices::UsableCpuMilli(of_daemon);
  cgroups.machine_bytes =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  cgroups.usable_bytes = devices::UsableMemory(of_daemon).value_or(cgroups.machine_bytes);
  findings.push_back(CheckCgroups(cgroups));
  findings.push_back(CheckClockIsKept(ClockIsKept()));
  return findings;
}

}  // namespace

Findings CheckTorch(const std::string& program, const Result<ProgramResult>& described, bool offers_gpus) {
  if (!described)
    return {Warning("furrow-torch", described.error().message + "; train and evaluate steps fail without it",
                    "apt install furrow-torch (furrow-torch-cuda for GPUs), or name the program in `torch`")};
  if (described->status != 0) {
    const bool library = described->err.find("shared librar") != std::string::npos;
    return {Wrong(
        "furrow-torch",
        program + (described->status == 137 ? " does not answer" : " does not start: ") + FirstLine(described->err),
        library ? "ldd " + program +
                      " | grep 'not found'; then install that library, or put its folder into "
                      "/etc/ld.so.conf.d and run ldconfig"
                : program + " --describe")};
  }
  const std::string torch = LineOf(described->out, "torch ");
  const std::string cuda = LineOf(described->out, "cuda ");
  const std::string message = program + ": LibTorch " + torch + ", CUDA " + (cuda.empty() ? "not known" : cuda);
  if (offers_gpus && cuda.starts_with("no"))
    return {Warning("furrow-torch", message + ": train and evaluate steps will compute on CPUs",
                    "apt install furrow-torch-cuda, or set `torch` to a furrow-torch that was built against a CUDA "
                    "LibTorch that fits the driver")};
  return {Ok("furrow-torch", message)};
}

Finding CheckRunner(const std::string& program, const Result<ProgramResult>& said, const std::string& version) {
  if (!said || said->status != 0)
    return Wrong("furrow-runner", program + ": " + (said ? FirstLine(said->err) : said.error().message),
                 "it lies in the folder of furrow-agent: install both from one package");
  const std::string message = FirstLine(said->out);
  if (message != "furrow-runner " + version)
    return Warning("furrow-runner", message + ", but the agent is " + version, "install both from one package");
  return Ok("furrow-runner", message);
}

Report ExamineAgent(const std::string& config_file, const Result<AgentConfig>& config, const std::string& programs) {
  Report report{"furrow-agent", {}};
  Findings& findings = report.findings;
  if (!config) {
    const bool missing = config.error().code == Errc::kNotFound;
    findings.push_back(Wrong("configuration", config.error().message,
                             missing ? "name it with --config FILE" : "correct " + config_file));
    return report;
  }
  report.title += " " + NameOf(*config) + ", " + kVersion;
  findings.push_back(Ok("configuration", config_file));
  const pid_t pid = HolderOf(fs::path(config->state) / "lock");
  const std::optional<Finding> unit = CheckUnit(kUnit, ShowUnit(kUnit));
  if (unit) findings.push_back(*unit);
  findings.push_back(CheckProcess(kUnit, pid, NameOfProcess(pid)));

  const FolderFacts folder = LookAtFolder(config->state);
  Append(findings, CheckFolder({"state folder", config->state, 0750, "", config->disk_low_bytes}, folder));
  Append(findings, CheckWorkspaces(LookAtWorkspaces(config->state)));
  const std::string key = KeyFileOf(*config);
  if (folder.exists && folder.access_error.empty()) findings.push_back(CheckKey(key, LookAtKey(key), folder.owner));

  Append(findings, CheckController(*config, key));

  const GpuFacts gpus = LookAtGpus(*config);
  Append(findings, CheckGpus(*config, gpus));
  const bool offers_gpus = gpus.detected && !gpus.detected->offer.gpus.empty();
  const std::string runner = programs + "/furrow-runner";
  findings.push_back(CheckRunner(runner, Ask(runner, "--version"), kVersion));
  const std::string torch = config->torch.empty() ? programs + "/furrow-torch" : config->torch;
  Append(findings, CheckTorch(torch, Ask(torch, "--describe"), offers_gpus));
  Append(findings, CheckMachine(pid, offers_gpus));
  return ForUp(std::move(report), config_file);
}

}  // namespace furrow::doctor
