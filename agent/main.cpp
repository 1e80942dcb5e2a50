// furrow-agent: offers a machine's devices to a controller and runs the jobs that it is given.
//
// Exit status: 0 stopped by a signal, 1 cannot run (the last line says why), 2 usage or configuration.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/check_metrics.h"
#include "agent/devices/devices.h"
#include "agent/loop.h"
#include "common/codec.h"
#include "common/config.h"
#include "common/log.h"
#include "common/version.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

fs::path FolderOfProgram() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

std::string HostName() {
  char name[256] = "unknown";
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

// Makes the folders and takes the lock that keeps two agents from one state folder. The lock lives as long as the
// process.
Status TakeStateFolder(const fs::path& folder) {
  std::error_code error;
  for (const char* part : {"", "work", "spool", "cache"}) {
    fs::create_directories(folder / part, error);
    if (error)
      return Fail(Errc::kInvalid, "cannot make the state folder " + (folder / part).string() + ": " + error.message());
  }
  fs::permissions(folder, fs::perms::owner_all, error);
  const std::string path = (folder / "lock").string();
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected<Error>(ErrnoError(path, errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return Fail(Errc::kRejected,
                "another furrow-agent already uses " + folder.string() + "; give each its own `state`");
  return {};
}

// The state folder's identity: a new one where there was none tells the controller that attempts are lost.
Result<Uuid> Incarnation(const fs::path& folder) {
  const fs::path path = folder / "incarnation";
  std::ifstream file(path);
  std::string text;
  if (file >> text) return Uuid::FromHex(text);
  const Uuid fresh = Uuid::Random();
  std::ofstream out(path);
  out << fresh.ToHex() << '\n';
  out.close();
  if (!out) return tl::unexpected<Error>(ErrnoError(path.string(), errno));
  return fresh;
}

Result<std::string> ControllerKey(const AgentConfig& config) {
  if (!config.controller_key.empty()) return config.controller_key;
  if (config.controller_key_file.empty())
    return Fail(
        Errc::kInvalid,
        "the configuration names no controller key: set controller.key to what `furrow-controller identity` prints");
  return ReadPublicKey(config.controller_key_file);
}

Result<KeyPair> OwnKey(const AgentConfig& config) {
  return LoadOrMakeKeyPair(config.key.empty() ? fs::path(config.state) / "agent.key" : fs::path(config.key));
}

std::string NameOf(const AgentConfig& config) {
  return config.name.empty() ? HostName() : config.name;
}

int StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  sigdelset(&set, SIGHUP);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

AgentSettings SettingsOf(const AgentConfig& config) {
  AgentSettings settings;
  settings.software = std::string("furrow-agent ") + kVersion;
  settings.host = HostName();
  settings.state_folder = config.state;
  for (const std::string& name : config.env)
    if (const char* value = std::getenv(name.c_str())) settings.env.push_back(name + "=" + value);
  settings.shell_is_bash = ::access("/bin/bash", X_OK) == 0;
  settings.shell = settings.shell_is_bash ? "/bin/bash" : "/bin/sh";
  settings.torch_program = config.torch.empty() ? (FolderOfProgram() / "furrow-torch").string() : config.torch;
  settings.agent_program = (FolderOfProgram() / "furrow-agent").string();
  settings.kill_grace = config.kill_grace;
  settings.log_quota_bytes = config.log_quota_bytes;
  settings.seed = std::hash<std::string>{}(NameOf(config));
  return settings;
}

Result<StopMode> Serve(const AgentConfig& config, int stop_fd) {
  FURROW_TRY(TakeStateFolder(config.state));
  FURROW_ASSIGN(const std::string controller_key, ControllerKey(config));
  FURROW_ASSIGN(const KeyPair keys, OwnKey(config));
  AgentState state;
  FURROW_ASSIGN(state.incarnation, Incarnation(config.state));
  FURROW_ASSIGN(devices::Detected detected, devices::DetectDevices(config));
  for (const std::string& warning : detected.warnings) log::Warning("{}", warning);
  state.offer = detected.offer;
  state.settings = SettingsOf(config);

  Context context;
  const SystemClock clock;
  ChannelOptions control;
  control.address = config.controller_control;
  control.keys = keys;
  control.server_key = controller_key;
  control.max_frame_bytes = kMaxAgentFrame;
  control.send_queue = 20000;
  ChannelOptions bulk = control;
  bulk.address = config.controller_bulk;
  AgentLoop::Parts parts{clock,
                         context,
                         control,
                         WorkspaceOptions{bulk, fs::path(config.state) / "cache", config.cache_bytes},
                         UploaderOptions{bulk, config.state},
                         (FolderOfProgram() / "furrow-runner").string(),
                         stop_fd};
  log::Info("agent {} offers {} CPUs, {} MiB, {} GPUs; controller {}", NameOf(config), state.offer.cpu_milli / 1000.0,
            state.offer.memory_bytes >> 20, state.offer.gpus.size(), config.controller_control);
  FURROW_ASSIGN(const std::unique_ptr<AgentLoop> loop, AgentLoop::Create(std::move(parts), std::move(state)));
  return loop->Run();
}

int Complain(const Error& error) {
  std::fprintf(stderr, "furrow-agent: %s\n", error.message.c_str());
  return error.code == Errc::kInvalid ? 2 : 1;
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "check-metrics") {
    const std::vector<std::string> arguments(argv + 2, argv + argc);
    return CheckMetricsMain(arguments);
  }
  CLI::App app{"furrow-agent: runs the jobs of a Furrow controller on this machine"};
  std::string config_file = "/etc/furrow/agent.yaml";
  app.set_version_flag("--version", std::string("furrow-agent ") + kVersion);
  app.add_option("--config", config_file, "configuration file (every key: config/agent.yaml)");
  CLI::App* identity =
      app.add_subcommand("identity", "prints the line that lets this agent in, for the controller's allowlist");
  identity->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  Result<AgentConfig> config = LoadAgentConfig(config_file);
  if (!config) return Complain(config.error());
  if (identity->parsed()) {
    std::error_code ignored;
    fs::create_directories(config->state, ignored);
    const Result<KeyPair> keys = OwnKey(*config);
    if (!keys) return Complain(keys.error());
    std::printf("agent %s %s\n", NameOf(*config).c_str(), keys->public_key.c_str());
    return 0;
  }
  const int stop_fd = StopSignals();
  if (const Status status = log::SetUp({"furrow-agent", config->log.level, config->log.file}); !status)
    return Complain(status.error());
  const Result<StopMode> stopped = Serve(*config, stop_fd);
  if (!stopped) {
    log::Error("{}", stopped.error().message);
    return stopped.error().code == Errc::kInvalid ? 2 : 1;
  }
  log::Info("{}", *stopped == StopMode::kEndJobs ? "stopped; its jobs were ended" : "stopped; its jobs go on");
  return 0;
}

}  // namespace
}  // namespace furrow

int main(int argc, char** argv) {
  return furrow::Main(argc, argv);
}
