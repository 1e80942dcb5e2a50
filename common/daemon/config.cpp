#include "common/daemon/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/base/user_folders.h"
#include "common/daemon/config_fields.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/values.h"

namespace furrow {
namespace {

using config::Section;
using config::Zero;
using pipeline::Quoted;
using pipeline::YamlNode;

// ---- values that only a configuration has ------------------------------------------------------------

// Accepts "10.0.0.1" and "[::1]".
bool IsAddress(const std::string& text) {
  in6_addr scratch{};
  if (text.starts_with('[') && text.ends_with(']')) {
    return inet_pton(AF_INET6, text.substr(1, text.size() - 2).c_str(), &scratch) == 1;
  }
  return inet_pton(AF_INET, text.c_str(), &scratch) == 1;
}

std::string WithoutScheme(const std::string& text) {
  const std::size_t scheme = text.find("://");
  return scheme == std::string::npos ? text : text.substr(scheme + 3);
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Returns what to write for a text that is no address to listen on.
std::string AddressCure(const std::string& text) {
  const std::string plain = WithoutScheme(text);
  if (IsNumber(plain)) return "; a port belongs under `ports`";
  if (IsAddress("[" + plain + "]")) return "; write \"[" + plain + "]\"";
  if (plain == "localhost") return "; write 127.0.0.1";
  if (plain == "*") return "; write 0.0.0.0";
  const std::string host = plain.substr(0, plain.rfind(':'));
  if (IsAddress(host))
    return "; write " + (host.starts_with('[') ? "\"" + host + "\"" : host) + ", and ports in `ports`";
  if (host == "localhost" || host == "*") return AddressCure(host) + ", and ports in `ports`";
  return "; a name is not looked up here: write the address of this machine that it stands for";
}

void ReadAddress(Section& section, std::string_view key, std::string& out) {
  section.Text(key, out);
  if (!IsAddress(out)) {
    section.Wrong(key,
                  "must be an address such as 127.0.0.1, 0.0.0.0 or \"[::]\", not " + Quoted(out) + AddressCure(out));
  }
}

// Returns what to write for a text that is not HOST:PORT; empty: that is not known.
std::string HostPortCure(const std::string& text, const std::string& usual_port) {
  const std::string plain = WithoutScheme(text);
  const std::size_t colon = plain.rfind(':');
  const std::string host = plain.substr(0, colon), port = colon == std::string::npos ? "" : plain.substr(colon + 1);
  const bool digits = port.size() < 6 && IsNumber(port);
  // fd00::1:7071 is an address itself, but a number of four digits and more behind an address is meant as a port.
  if (IsAddress("[" + host + "]") && digits && port.size() > 3) return "; write \"[" + host + "]:" + port + "\"";
  if (IsAddress("[" + plain + "]")) return "; write \"[" + plain + "]:" + usual_port + "\"";
  if (IsAddress(plain) && plain.starts_with('[')) return "; write \"" + plain + ":" + usual_port + "\"";
  const bool is_host = !host.empty() && host.find_first_of("[]:/@ \t") == std::string::npos;
  if (is_host && colon == std::string::npos && !IsNumber(plain)) return "; write " + host + ":" + usual_port;
  return plain != text && is_host && digits ? "; write " + plain : "";
}

// Reads "gpu-7.example:7071" or "[::1]:7071".
void ReadHostPort(Section& section, std::string_view key, std::string& out, const std::string& usual_port) {
  section.Text(key, out);
  if (out.empty()) return;
  const std::size_t colon = out.rfind(':');
  const std::string host = out.substr(0, colon);
  const auto port = pipeline::ParseInteger(colon == std::string::npos ? "" : std::string_view(out).substr(colon + 1));
  const bool host_is_right =
      host.starts_with('[') ? IsAddress(host) : !host.empty() && host.find_first_of(":/@ \t") == std::string::npos;
  if (!host_is_right || !port || *port < 1 || *port > 65535) {
    section.Wrong(key, "must be HOST:PORT, such as farm.example:7071 or \"[fd00::1]:7071\", not " + Quoted(out) +
                           HostPortCure(out, usual_port));
  }
}

LogConfig ReadLog(Section& root) {
  LogConfig log;
  Section section = root.Child("log");
  std::string level = log::LevelName(log.level);
  section.Text("level", level);
  if (const auto parsed = log::ParseLevel(level)) {
    log.level = *parsed;
  } else {
    section.Wrong("level", "must be debug, info, warning or error, not " + Quoted(level));
  }
  section.Path("file", log.file);
  section.Finish();
  return log;
}

void ReadNames(Section& section, std::string_view key, std::vector<std::string>& out,
               bool (*is_right)(std::string_view), const std::string& example) {
  section.TextList(key, out);
  for (const std::string& item : out) {
    if (!is_right(item)) section.Wrong(key, "holds " + Quoted(item) + ", which is no " + example);
  }
}

// ---- controller ---------------------------------------------------------------------------------------

bool IsRepositoryPrefix(std::string_view text) {
  return text.starts_with('/') || (text.find("://") != std::string_view::npos && !text.starts_with("://"));
}

ControllerConfig ReadController(Section& root) {
  ControllerConfig c;
  ReadAddress(root, "listen", c.listen);
  Section ports = root.Child("ports");
  ports.Port("control", c.control_port);
  ports.Port("bulk", c.bulk_port);
  ports.Port("enrol", c.enrol_port);
  if (c.control_port != 0 && c.control_port == c.bulk_port) ports.Wrong("bulk", "must differ from `ports.control`");
  if (c.enrol_port != 0 && (c.enrol_port == c.control_port || c.enrol_port == c.bulk_port))
    ports.Wrong("enrol", "must differ from the other ports");
  ports.Finish();
  root.Text("advertise", c.advertise);
  if (c.advertise.find_first_of("/@ \t[]") != std::string::npos ||
      (c.advertise.find(':') != std::string::npos && !IsAddress("[" + c.advertise + "]")))
    root.Wrong("advertise", "must be a host's name or address, such as farm.example, without a port");
  root.Path("state", c.state);
  if (c.state.empty()) root.Wrong("state", "must name a folder");
  root.Path("key", c.key);
  root.Path("allowlist", c.allowlist);

  Section agents = root.Child("agents");
  agents.Duration("heartbeat", c.heartbeat, Zero::kRefused);
  agents.Duration("lease", c.lease, Zero::kRefused);
  if (c.lease < 3 * c.heartbeat) {
    agents.Wrong("lease", "must be at least three times `agents.heartbeat`: a dead link is noticed within three");
  }
  agents.Integer("max", c.max_agents, 1, 1'000'000);
  agents.Duration("prefetch", c.prefetch, Zero::kAllowed);
  agents.Finish();

  Section jobs = root.Child("jobs");
  jobs.Size("log_quota", c.log_quota_bytes, Zero::kAllowed);
  jobs.Finish();
  Section runs = root.Child("runs");
  runs.Integer("keep_in_memory", c.keep_finished_runs, 0, 10'000'000);
  runs.Finish();
  Section events = root.Child("events");
  events.Integer("keep_days", c.event_days, 1, 100'000);
  events.Finish();
  Section disk = root.Child("disk");
  disk.Size("low", c.disk_low_bytes, Zero::kRefused);
  disk.Size("ballast", c.ballast_bytes, Zero::kAllowed);
  disk.Finish();

  Section repos = root.Child("repos");
  repos.Duration("poll", c.repos_poll, Zero::kAllowed);
  repos.Duration("timeout", c.repos_timeout, Zero::kRefused);
  ReadNames(repos, "allow", c.repos_allow, IsRepositoryPrefix,
            "prefix of a repository, such as /srv/git/ or https://git.example/");
  repos.Finish();

  // A limit below the largest answer ended the controller, and one above what the schemas allow did nothing.
  if (root.HasRetired("frames"))
    c.warnings.emplace_back("`frames` means nothing any more, for the schemas limit every message; delete it");
  c.log = ReadLog(root);
  root.Finish();
  return c;
}

// ---- agent --------------------------------------------------------------------------------------------

// A label is one word, because it stands in furrow.yaml and on the command line.
bool IsLabel(std::string_view text) {
  return pipeline::IsName(text, /*dots=*/true);
}

bool IsGpuUuid(std::string_view text) {
  return text.starts_with("GPU-") || text.starts_with("MIG-");
}

void ReadGpus(Section& offer, AgentConfig& c) {
  const YamlNode* node = offer.Find("gpus");
  if (node == nullptr) return;
  if (node->kind == YamlNode::Kind::kScalar && node->text == "auto") {
    c.gpus = GpuChoice::kAuto;
  } else if (node->kind == YamlNode::Kind::kScalar && node->text == "none") {
    c.gpus = GpuChoice::kNone;
  } else if (node->kind == YamlNode::Kind::kList) {
    ReadNames(offer, "gpus", c.gpu_uuids, IsGpuUuid, "UUID of a GPU as nvidia-smi -L prints it, GPU-… or MIG-…");
    c.gpus = c.gpu_uuids.empty() ? GpuChoice::kNone : GpuChoice::kListed;
  } else {
    offer.Wrong("gpus", "must be auto, none or a list of UUIDs such as [GPU-…]");
  }
}

void ReadControllerAddress(Section& root, AgentConfig& c) {
  Section controller = root.Child("controller");
  ReadHostPort(controller, "control", c.controller_control, "7071");
  ReadHostPort(controller, "bulk", c.controller_bulk, "7072");
  controller.Text("key", c.controller_key);
  controller.Path("key_file", c.controller_key_file);
  if (!c.controller_key.empty() && c.controller_key.size() != 40) {
    controller.Wrong(
        "key", "must be the 40 characters of the controller's public key (controller.key.pub in its state folder)");
  }
  if (!c.controller_key.empty() && !c.controller_key_file.empty()) {
    controller.Wrong("key_file", "and `controller.key` say the same thing; leave one of them out");
  }
  controller.Finish();
}

void ReadOffer(Section& root, AgentConfig& c) {
  Section offer = root.Child("offer");
  if (const YamlNode* cpus = offer.Find("cpus"); cpus != nullptr && cpus->text != "all") {
    const auto milli = pipeline::ParseCpus(cpus->text);
    if (milli) c.cpu_milli = *milli;
    if (!milli && offer.IsScalar("cpus", *cpus, "a number of CPUs, or all")) offer.Wrong("cpus", milli.error().message);
  }
  if (const YamlNode* memory = offer.Find("memory"); memory != nullptr && memory->text != "all") {
    offer.Size("memory", c.memory_bytes, Zero::kRefused);
  }
  ReadGpus(offer, c);
  offer.Integer("least_gpus", c.least_gpus, 0, 1024);
  if (c.least_gpus > 0 && c.gpus == GpuChoice::kNone) {
    offer.Wrong("least_gpus", "asks for GPUs, of which `offer.gpus` offers none; change one of the two");
  }
  if (c.gpus == GpuChoice::kListed && c.least_gpus > c.gpu_uuids.size()) {
    offer.Wrong("least_gpus", "is more than `offer.gpus` lists; leave it out, a list must be there whole anyway");
  }
  ReadNames(offer, "labels", c.labels, IsLabel, "label: letters, digits, _ - . and at most 64 of them");
  offer.Finish();
}

AgentConfig ReadAgent(Section& root) {
  AgentConfig c;
  root.Text("name", c.name);
  if (!c.name.empty() && !pipeline::IsName(c.name, /*dots=*/true)) {
    root.Wrong("name", "must be letters, digits, _ - . and at most 64 of them, not " + Quoted(c.name));
  }
  ReadControllerAddress(root, c);
  root.Path("state", c.state);
  if (c.state.empty()) root.Wrong("state", "must name a folder");
  root.Path("key", c.key);
  ReadOffer(root, c);
  root.Size("cache", c.cache_bytes, Zero::kRefused);
  Section disk = root.Child("disk");
  disk.Size("low", c.disk_low_bytes, Zero::kAllowed);
  disk.Finish();

  Section jobs = root.Child("jobs");
  jobs.Duration("kill_grace", c.kill_grace, Zero::kAllowed);
  jobs.Size("log_quota", c.log_quota_bytes, Zero::kAllowed);
  ReadNames(jobs, "env", c.env, pipeline::IsEnvName, "name of an environment variable");
  jobs.Finish();
  root.Path("torch", c.torch);
  root.Text("nvml", c.nvml);
  // The dynamic linker looks for a name without a slash.
  if (c.nvml.find('/') != std::string::npos) c.nvml = root.Absolute(c.nvml);
  c.log = ReadLog(root);
  root.Finish();
  return c;
}

// ---- files --------------------------------------------------------------------------------------------

template <class Config>
Result<Config> Parse(std::string_view text, const std::string& file, Config (*read)(Section&)) {
  pipeline::Report report;
  const pipeline::YamlDocument document = pipeline::ReadYaml(text, report);
  std::error_code gone;  // The current folder is; then no relative file was read from it either.
  Section root(document.root, std::filesystem::absolute(file, gone).parent_path(), report);
  Config config = read(root);
  const auto mistakes = report.Take();
  if (mistakes.empty()) return config;
  std::string words = FormatDiagnostics(file, mistakes);
  if (words.ends_with('\n')) words.pop_back();
  return Fail(Errc::kInvalid, std::move(words));
}

Result<std::string> ReadFile(const std::string& path) {
  const std::string what = "cannot read the configuration " + path;
  if (const Status there = CheckCurrentFolder(path); !there)
    return Fail(there.error().code, what + ": " + there.error().message);
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return Fail(Errc::kInvalid, what + ": it is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) return tl::unexpected(ErrnoError(what, errno));
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return Fail(Errc::kUnavailable, what + ": the disk fails to give it");
  return text.str();
}

}  // namespace

Result<ControllerConfig> ParseControllerConfig(std::string_view text, const std::string& file) {
  return Parse<ControllerConfig>(text, file, ReadController);
}

Result<AgentConfig> ParseAgentConfig(std::string_view text, const std::string& file) {
  return Parse<AgentConfig>(text, file, ReadAgent);
}

Result<ControllerConfig> LoadControllerConfig(const std::string& path) {
  FURROW_ASSIGN(const std::string text, ReadFile(path));
  return ParseControllerConfig(text, path);
}

Result<AgentConfig> LoadAgentConfig(const std::string& path) {
  FURROW_ASSIGN(const std::string text, ReadFile(path));
  return ParseAgentConfig(text, path);
}

}  // namespace furrow
