#include "controller/doctor/doctor.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/version.h"
#include "common/daemon/farm_file.h"
#include "common/doctor/files.h"
#include "common/doctor/machine.h"
#include "common/doctor/ports.h"
#include "common/doctor/reach.h"
#include "common/enrol/line.h"
#include "controller/settings.h"

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUnit = "furrow-controller";
constexpr std::size_t kNamesShown = 20;

std::string Counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// Returns the descriptors that the controller needs: a connection for each of an agent's two channels, and room for
// clients, logs and the store.
std::uint64_t FilesFor(std::uint32_t agents) {
  return std::min<std::uint64_t>(2ULL * agents + 1024, 65536);
}

// Checks that the daemon answers any machine, on the address that it wrote down when it was ready.
Findings CheckAnswers(const fs::path& state) {
  const Result<FarmFile> farm = ReadFarmFile(state);
  if (!farm) return {Wrong("farm.json", farm.error().message, "systemctl restart furrow-controller")};
  const Result<HostPort> where = ParseHostPort(farm->enrol);
  const Result<KeyPair> keys = LoadKeyPair(LocalClientKey(state), KeyReaders::kGroup);
  if (!where || !keys) return {};
  Expected expected;
  expected.where = farm->enrol;
  expected.role = KeyRole::kClient;
  return CheckAnswer(expected, AskController({where->host, where->port, farm->public_key}, *keys));
}

}  // namespace

Finding CheckAllowlist(const fs::path& path, const Result<std::vector<AllowedKey>>& keys) {
  if (!keys && keys.error().code == Errc::kNotFound)
    return Warning("allowlist", path.string() + " is not there yet", "the daemon makes it when it starts");
  if (!keys)
    return Wrong("allowlist", keys.error().message + "; the keys of its last good version count until it is mended",
                 "correct " + path.string() + "; it is read again by itself");
  const auto agents =
      std::count_if(keys->begin(), keys->end(), [](const AllowedKey& key) { return key.who.role == Role::kAgent; });
  const std::size_t clients = keys->size() - static_cast<std::size_t>(agents);
  return Ok("allowlist", path.string() + ": keys of " + Counted(static_cast<std::size_t>(agents), "agent") + " and " +
                             Counted(clients, "client"));
}

Finding CheckListen(const std::string& listen, const std::string& config_file) {
  if (listen == "127.0.0.1" || listen == "[::1]")
    return Ok("address", "listens on " + listen +
                             ": for programs on this machine only. For agents elsewhere set listen "
                             "in " +
                             config_file);
  return Ok("address", "listens on " + (listen == "0.0.0.0" || listen == "[::]" ? "every address" : listen));
}

Findings CheckSetAside(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) names.push_back(entry.path().filename().string());
  if (names.empty()) return {};
  std::sort(names.begin(), names.end());
  std::string shown;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) shown += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesShown) shown += " and " + std::to_string(names.size() - kNamesShown) + " more";
  return {Warning(
      "records",
      Counted(names.size(), "record") + " could not be read at a start and lie in " + folder.string() + ": " + shown,
      "journalctl -u furrow-controller says why; a newer version may read them, or a backup have them. "
      "Delete the files when nobody needs them")};
}

Report ExamineController(const std::string& config_file, const Result<ControllerConfig>& config) {
  Report report{std::string("furrow-controller, ") + kVersion, {}};
  Findings& findings = report.findings;
  if (!config) {
    const bool missing = config.error().code == Errc::kNotFound;
    findings.push_back(Wrong("configuration", config.error().message,
                             missing ? "name it with --config FILE" : "correct " + config_file));
    return report;
  }
  findings.push_back(Ok("configuration", config_file));
  const fs::path state = config->state;
  const pid_t pid = HolderOf(state / "db" / "controller.lock");
  if (const auto unit = CheckUnit(kUnit, ShowUnit(kUnit))) findings.push_back(*unit);
  findings.push_back(CheckProcess(kUnit, pid, NameOfProcess(pid)));

  const FolderFacts folder = LookAtFolder(state);
  Append(findings, CheckFolder({"state folder", state, 0750, "", config->disk_low_bytes}, folder));
  if (folder.exists && folder.access_error.empty()) {
    const fs::path key = config->key.empty() ? state / "controller.key" : fs::path(config->key);
    findings.push_back(CheckKey(key, LookAtKey(key), folder.owner));
    findings.push_back(CheckAllowlist(AllowlistOf(*config), ReadAllowlist(AllowlistOf(*config))));
  }

  Append(findings, CheckSetAside(state / "db" / "set-aside"));

  findings.push_back(CheckListen(config->listen, config_file));
  for (const auto& [name, port] : {std::pair<const char*, std::uint16_t>{"ports.control", config->control_port},
                                   {"ports.bulk", config->bulk_port},
                                   {"ports.enrol", config->enrol_port}})
    if (port != 0)  // 0: any free port, so there is nothing to check
      findings.push_back(CheckPort(name, port, pid, HolderOfPort(port, config->listen), config_file));

  if (pid != 0) Append(findings, CheckAnswers(state));

  LimitsDemand demand;
  demand.unit = kUnit;
  demand.files = FilesFor(config->max_agents);
  demand.why_files = "too few for " + Counted(config->max_agents, "agent") + " (agents.max)";
  Append(findings, CheckLimits(demand, LimitsOf(pid), pid != 0));
  findings.push_back(CheckClockIsKept(ClockIsKept()));
  return ForUp(std::move(report), config_file);
}

}  // namespace furrow::doctor
