#include "common/doctor/machine.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "common/base/clock_skew.h"
#include "common/base/run_program.h"
#include "common/doctor/files.h"

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMuchLocked = 1ULL << 30;  // the pinned buffers of one data loader

std::string Journal(const std::string& unit) {
  return "journalctl -u " + unit + " -n 50";
}

std::optional<std::uint64_t> HardLimit(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::istringstream words{std::string(text.substr(at + name.size(), text.find('\n', at) - at - name.size()))};
  std::string soft, hard;
  if (!(words >> soft >> hard)) return std::nullopt;
  if (hard == "unlimited") return UINT64_MAX;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(hard.data(), hard.data() + hard.size(), number);
  if (error != std::errc() || end != hard.data() + hard.size()) return std::nullopt;
  return number;
}

std::string LimitWords(std::optional<std::uint64_t> limit) {
  if (!limit) return "not known";
  return *limit == UINT64_MAX ? "unlimited" : std::to_string(*limit);
}

bool HasOpen(pid_t pid, const fs::path& file, const std::string& proc) {
  std::error_code error;
  const fs::path wanted = fs::canonical(file, error);
  if (error) return false;
  fs::directory_iterator entry(proc + "/" + std::to_string(pid) + "/fd", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {  // the process may end meanwhile
    std::error_code gone;
    if (fs::read_symlink(entry->path(), gone) == wanted) return true;
  }
  return false;
}

}  // namespace

pid_t HolderOf(const fs::path& file, const std::string& proc) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return 0;
  char device_inode[64];
  std::snprintf(device_inode, sizeof(device_inode), "%02x:%02x:%lu", major(info.st_dev), minor(info.st_dev),
                static_cast<unsigned long>(info.st_ino));
  const std::string inode = ":" + std::to_string(info.st_ino);
  std::ifstream locks(proc + "/locks");
  for (std::string line; std::getline(locks, line);) {
    // A line looks like "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF".
    std::istringstream words(line);
    std::string number, kind, how, access, where;
    pid_t pid = 0;
    if (!(words >> number >> kind >> how >> access >> pid >> where) || !where.ends_with(inode)) continue;
    // On btrfs and overlays the kernel names another device here than stat does.
    if (where == device_inode || HasOpen(pid, file, proc)) return pid;
  }
  return 0;
}

std::string NameOfProcess(pid_t pid, const std::string& proc) {
  std::string name;
  if (pid <= 0) return name;
  const std::string folder = proc + "/" + std::to_string(pid);
  std::getline(std::ifstream(folder + "/comm"), name);  // comm has at most 15 letters
  std::string program;
  std::getline(std::ifstream(folder + "/cmdline"), program, '\0');
  program = fs::path(program).filename();
  return program.starts_with(name) ? program : name;
}

Finding CheckProcess(const std::string& unit, pid_t pid, const std::string& name) {
  if (pid == 0) return Warning("process", "no " + unit + " runs with this configuration", "systemctl start " + unit);
  return Ok("process", (name.empty() ? unit : name) + " runs as process " + std::to_string(pid));
}

// ---- limits --------------------------------------------------------------------------------------------------

Limits ParseLimits(std::string_view text) {
  return {HardLimit(text, "Max open files"), HardLimit(text, "Max processes"), HardLimit(text, "Max locked memory")};
}

Limits LimitsOf(pid_t pid, const std::string& proc) {
  std::ostringstream text;
  text << std::ifstream(proc + "/" + (pid > 0 ? std::to_string(pid) : "self") + "/limits").rdbuf();
  return ParseLimits(text.str());
}

Findings CheckLimits(const LimitsDemand& demand, const Limits& limits, bool of_daemon) {
  const auto cure = [&](const std::string& key) {
    return "systemctl edit " + demand.unit + ": [Service] " + key + "; then systemctl restart " + demand.unit;
  };
  const std::string whose = of_daemon ? "" : " (of this shell, since the daemon does not run)";
  Findings findings;
  if (limits.files && *limits.files < demand.files)
    findings.push_back(
        Warning("limits", "at most " + std::to_string(*limits.files) + " open files" + whose + ": " + demand.why_files,
                cure("LimitNOFILE=" + std::to_string(demand.files))));
  if (limits.processes && *limits.processes < demand.processes)
    findings.push_back(Warning("limits",
                               "at most " + std::to_string(*limits.processes) + " processes" + whose +
                                   ": jobs with many workers will fail to start them",
                               cure("LimitNPROC=infinity")));
  if (demand.pins_memory && limits.locked_bytes && *limits.locked_bytes < kMuchLocked)
    findings.push_back(Warning("limits",
                               "jobs may lock " + Size(*limits.locked_bytes) + " of memory" + whose +
                                   ": transfers to GPUs over RDMA need more",
                               cure("LimitMEMLOCK=infinity")));
  if (findings.empty())
    findings.push_back(
        Ok("limits", "open files " + LimitWords(limits.files) + ", processes " + LimitWords(limits.processes) + whose));
  return findings;
}

// ---- the unit ------------------------------------------------------------------------------------------------

std::string ShowUnit(const std::string& unit) {
  std::error_code ignored;
  if (!fs::exists("/run/systemd/system", ignored)) return "";
  ProgramOptions options;
  options.limit = std::chrono::seconds(5);
  const auto shown = RunProgram(
      {"systemctl", "show", unit, "-p", "LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts"}, options);
  return shown && shown->status == 0 ? shown->out : "";
}

std::optional<Finding> CheckUnit(const std::string& unit, std::string_view shown) {
  std::map<std::string, std::string> facts;
  std::istringstream lines{std::string(shown)};
  for (std::string line; std::getline(lines, line);)
    if (const std::size_t equals = line.find('='); equals != std::string::npos)
      facts[line.substr(0, equals)] = line.substr(equals + 1);
  if (facts["LoadState"].empty() || facts["LoadState"] == "not-found") return std::nullopt;
  const std::string name = unit + ".service";
  if (facts["LoadState"] == "masked") return Warning("unit", name + " is masked", "systemctl unmask " + unit);
  if (facts["LoadState"] != "loaded")
    return Wrong("unit", name + " cannot be loaded (" + facts["LoadState"] + ")", "systemctl status " + unit);
  const std::string& active = facts["ActiveState"];
  if (active == "failed")
    return Wrong("unit", name + " has failed (" + facts["Result"] + ")",
                 Journal(unit) + " says why; then systemctl reset-failed " + unit + " && systemctl start " + unit);
  if (active == "activating" && facts["SubState"] == "auto-restart")
    return Wrong("unit", name + " ends again and again (" + facts["Result"] + ", " + facts["NRestarts"] + " restarts)",
                 Journal(unit));
  if (active == "inactive") return Warning("unit", name + " is not started", "systemctl enable --now " + unit);
  if (facts["UnitFileState"] == "disabled")
    return Warning("unit", name + " is " + active + ", but will not start with the machine",
                   "systemctl enable " + unit);
  const std::string restarts = facts["NRestarts"];
  return Ok("unit", name + " is " + active +
                        (restarts.empty() || restarts == "0" ? "" : "; restarted " + restarts + " times by itself"));
}

// ---- time ------------------------------------------------------------------------------------------------------

std::optional<bool> ClockIsKept() {
  timex state{};
  const int answer = ::adjtimex(&state);
  if (answer < 0) return std::nullopt;
  return answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

Finding CheckClockIsKept(std::optional<bool> kept) {
  if (kept && !*kept)
    return Warning("time", "nothing keeps this machine's clock right", "apt install systemd-timesyncd, or chrony");
  return Ok("time", kept ? "the clock is kept right by a time service" : "the kernel does not say who keeps the clock");
}

Finding CheckSkew(std::int64_t ahead_ms, std::int64_t within_ms) {
  const std::int64_t sure = std::max<std::int64_t>(std::abs(ahead_ms) - within_ms, 0);
  const std::string words = "this machine's clock is " + SkewWords(ahead_ms) + " the controller's";
  const std::string cure = "timedatectl set-ntp true, on both machines; timedatectl timesync-status shows how it goes";
  if (sure > kSkewErrorMs) return Wrong("clock", words, cure);
  if (sure > kSkewWarningMs) return Warning("clock", words, cure);
  if (std::abs(ahead_ms) <= within_ms || std::abs(ahead_ms) < 100) return Ok("clock", "the same as the controller's");
  return Ok("clock", words);
}

// ---- control groups --------------------------------------------------------------------------------------------

int CgroupVersion(const std::string& cgroup) {
  std::error_code ignored;
  if (fs::exists(cgroup + "/cgroup.controllers", ignored)) return 2;
  return fs::exists(cgroup + "/memory", ignored) || fs::exists(cgroup + "/cpu", ignored) ? 1 : 0;
}

Finding CheckCgroups(const CgroupFacts& facts) {
  const std::string version = facts.version == 0 ? "none" : "version " + std::to_string(facts.version);
  char cpus[32];
  std::snprintf(cpus, sizeof(cpus), "%.4g", facts.usable_cpu_milli / 1000.0);
  std::string words = version + "; " + cpus + " of " + std::to_string(facts.machine_cpus) + " CPUs, " +
                      Size(facts.usable_bytes) + " of " + Size(facts.machine_bytes) + " memory are the agent's to use";
  const bool few = facts.usable_cpu_milli < 1000;
  const bool little = facts.usable_bytes < 256ULL << 20;
  if (few || little)
    return Warning("cgroups", words + ": hardly a job fits",
                   "systemctl show furrow-agent -p CPUQuotaPerSecUSec,MemoryMax shows where from; systemctl edit "
                   "furrow-agent raises it");
  return Ok("cgroups", words);
}

}  // namespace furrow::doctor
