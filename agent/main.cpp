// furrow-agent: offers a machine's devices to a controller and runs the jobs that it is given.
//
// Exit status: 0 stopped by a signal, 1 cannot run (the last line says why), 2 usage or configuration.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/check_metrics.h"
#include "agent/devices/devices.h"
#include "agent/loop.h"
#include "agent/settings.h"
#include "common/codec.h"
#include "common/config.h"
#include "common/daemon_main.h"
#include "common/log.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

constexpr char kProgram[] = "furrow-agent";

fs::path FolderOfProgram() {
  return fs::read_symlink("/proc/self/exe").parent_path();
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

// What the configuration and the machine say now; may take seconds, where a GPU is sick.
Result<AgentReload> ReadAgain(const std::string& config_file) {
  AgentReload read;
  FURROW_ASSIGN(read.config, LoadAgentConfig(config_file));
  FURROW_ASSIGN(read.detected, devices::DetectDevices(read.config));
  return read;
}

Result<StopMode> Serve(const AgentConfig& config, const std::string& config_file, int signals) {
  FURROW_TRY(TakeStateFolder(config.state));
  FURROW_ASSIGN(const std::string controller_key, ControllerKey(config));
  FURROW_ASSIGN(const KeyPair keys, OwnKey(config));
  AgentState state;
  FURROW_ASSIGN(state.incarnation, Incarnation(config.state));
  FURROW_ASSIGN(devices::Detected detected, devices::DetectDevices(config));
  for (const std::string& warning : detected.warnings) log::Warning("{}", warning);
  state.offer = detected.offer;
  state.settings = SettingsOf(config, FolderOfProgram());

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
  ServiceManager service;
  Reloader<AgentReload> reloader([&config_file] { return ReadAgain(config_file); });
  AgentLoop::Parts parts{clock,
                         context,
                         control,
                         WorkspaceOptions{bulk, fs::path(config.state) / "cache", config.cache_bytes},
                         UploaderOptions{bulk, config.state},
                         (FolderOfProgram() / "furrow-runner").string(),
                         service,
                         reloader,
                         config,
                         config_file,
                         signals};
  log::Info("agent {} offers {} CPUs, {} MiB, {} GPUs; controller {}", NameOf(config), state.offer.cpu_milli / 1000.0,
            state.offer.memory_bytes >> 20, state.offer.gpus.size(), config.controller_control);
  FURROW_ASSIGN(const std::unique_ptr<AgentLoop> loop, AgentLoop::Create(std::move(parts), std::move(state)));
  return loop->Run();
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "check-metrics") {
    const std::vector<std::string> arguments(argv + 2, argv + argc);
    return CheckMetricsMain(arguments);
  }
  CLI::App app{"furrow-agent: runs the jobs of a Furrow controller on this machine"};
  std::string config_file = "/etc/furrow/agent.yaml";
  daemon::AddOptions(app, kProgram, config_file);
  CLI::App* identity =
      app.add_subcommand("identity", "prints the line that lets this agent in, for the controller's allowlist");
  identity->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : daemon::kExitUsage;
  }
  Result<AgentConfig> config = LoadAgentConfig(config_file);
  if (!config) return daemon::Complain(kProgram, config.error());
  if (identity->parsed()) {
    std::error_code ignored;
    fs::create_directories(config->state, ignored);
    const Result<KeyPair> keys = OwnKey(*config);
    if (!keys) return daemon::Complain(kProgram, keys.error());
    std::printf("agent %s %s\n", NameOf(*config).c_str(), keys->public_key.c_str());
    return 0;
  }
  const int signals = daemon::CatchSignals();
  if (const Status status = log::SetUp({kProgram, config->log.level, config->log.file}); !status)
    return daemon::Complain(kProgram, status.error());
  const Result<StopMode> stopped = Serve(*config, config_file, signals);
  if (!stopped) {
    log::Error("{}", stopped.error().message);
    return daemon::ExitOf(stopped.error());
  }
  log::Info("{}", *stopped == StopMode::kEndJobs ? "stopped; its jobs were ended" : "stopped; its jobs go on");
  return 0;
}

}  // namespace
}  // namespace furrow

int main(int argc, char** argv) {
  return furrow::Main(argc, argv);
}
