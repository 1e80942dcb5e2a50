// furrow-agent offers a machine's devices to a controller and runs the jobs that the controller assigns.
//
// Exit status: 0 stopped by a signal, 1 cannot run (the last line says why), 2 usage or configuration.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/check_metrics.h"
#include "agent/devices/devices.h"
#include "agent/doctor/doctor.h"
#include "agent/join/enrol.h"
#include "agent/join/enrolment.h"
#include "agent/loop.h"
#include "agent/settings.h"
#include "common/base/log.h"
#include "common/base/program.h"
#include "common/base/replace_file.h"
#include "common/daemon/config.h"
#include "common/daemon/daemon_main.h"
#include "common/daemon/state_folder.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

constexpr char kProgram[] = "furrow-agent";

fs::path Absolute(const std::string& file) {
  std::error_code gone;  // the current folder
  const fs::path path = fs::absolute(file, gone);
  return gone ? fs::path(file) : path.lexically_normal();
}

fs::path FolderOfProgram() {
  return fs::read_symlink("/proc/self/exe").parent_path();
}

// Makes the folders, and takes the lock that keeps two agents from one state folder for as long as the process lives.
Status TakeFolders(const fs::path& folder) {
  for (const char* part : {"", "work", "spool", "cache"}) FURROW_TRY(daemon::TakeStateFolder(folder / part));
  const std::string path = (folder / "lock").string();
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected<Error>(ErrnoError(path, errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return Fail(Errc::kRejected,
                "another furrow-agent already uses " + folder.string() + "; give each its own `state`");
  return {};
}

// Returns the state folder's identity and makes a missing one: a new identity tells the controller that attempts are
// lost.
Result<Uuid> Incarnation(const fs::path& folder) {
  const fs::path path = folder / "incarnation";
  std::ifstream file(path);
  std::string text;
  if (file >> text) {
    const auto read = Uuid::FromHex(text);
    if (read) return *read;
    return Fail(Errc::kCorrupt, path.string() + " holds no identity of an agent (" + read.error().message +
                                    "); restore it from a copy, or delete it, which ends what the agent runs");
  }
  const Uuid fresh = Uuid::Random();
  FURROW_TRY(ReplaceFile(path.string(), fresh.ToHex() + "\n", 0600));
  return fresh;
}

Result<KeyPair> OwnKey(const AgentConfig& config) {
  return LoadOrMakeKeyPair(KeyFileOf(config));
}

// Reads the configuration and the machine's devices again, which may take seconds with a faulty GPU.
Result<AgentReload> ReadAgain(const std::string& config_file) {
  AgentReload read;
  FURROW_ASSIGN(read.config, LoadAgentConfig(config_file));
  auto enrolment = ReadEnrolment(read.config.state);
  FURROW_TRY(CompleteConfig(read.config, enrolment ? std::optional(std::move(*enrolment)) : std::nullopt));
  FURROW_ASSIGN(read.detected, devices::DetectDevices(read.config));
  return read;
}

// Completes the configuration with this machine's enrolment, and waits for an enrolment if there is none. false: a
// signal ended the wait.
Result<bool> Join(AgentConfig& config, const std::string& config_file, int signals, ServiceManager& service) {
  const SystemClock clock;
  auto known = ReadEnrolment(config.state);
  std::optional<Enrolment> enrolment;
  if (known) {
    enrolment = std::move(*known);
  } else if (!IsConfiguredByHand(config)) {
    if (known.error().code != Errc::kNotFound) return tl::unexpected(known.error());
    log::Info("{}; waiting for it", known.error().message);
    service.Ready();  // Only a person can enrol the machine: the unit counts as up, and goes on by itself then.
    service.Say("not enrolled: waits for `furrow-agent enrol`");
    bool reload = false;
    FURROW_ASSIGN(enrolment, AwaitEnrolment(config.state, signals, [&] {
                    const Now now = clock.Read();
                    service.Alive(now.mono);
                    for (int signal = daemon::NextSignal(signals); signal != 0; signal = daemon::NextSignal(signals)) {
                      if (signal != SIGHUP) return false;
                      reload = true;
                      service.Reloading(now.mono);
                      service.Ready();
                    }
                    return true;
                  }));
    if (!enrolment) return false;
    log::Info("enrolled as agent {}", enrolment->name);
    if (reload) {
      FURROW_ASSIGN(config, LoadAgentConfig(config_file));
    }
  }
  FURROW_TRY(CompleteConfig(config, enrolment));
  return true;
}

Result<StopMode> Serve(AgentConfig config, const std::string& config_file, int signals) {
  FURROW_TRY(TakeFolders(config.state));
  ServiceManager service;
  FURROW_ASSIGN(const bool joined, Join(config, config_file, signals, service));
  if (!joined) return StopMode::kLeaveJobs;
  FURROW_ASSIGN(const KeyPair keys, OwnKey(config));
  AgentState state;
  FURROW_ASSIGN(state.incarnation, Incarnation(config.state));
  state.identity = IdentifyMachine();
  FURROW_ASSIGN(devices::Detected detected, devices::DetectDevices(config));
  for (const std::string& warning : detected.warnings) log::Warning("{}", warning);
  state.offer = detected.offer;
  state.settings = SettingsOf(config, FolderOfProgram());

  Context context;
  const SystemClock clock;
  ChannelOptions control;
  control.address = config.controller_control;
  control.keys = keys;
  control.server_key = config.controller_key;
  control.max_frame_bytes = kMaxToAgentFrame;
  control.send_queue = 20000;
  ChannelOptions bulk = control;
  bulk.address = config.controller_bulk;
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
  log::Info("agent {} offers {} CPUs, {} MiB, {} GPUs; controller {}", config.name, state.offer.cpu_milli / 1000.0,
            state.offer.memory_bytes >> 20, state.offer.gpus.size(), config.controller_control);
  FURROW_ASSIGN(const std::unique_ptr<AgentLoop> loop, AgentLoop::Create(std::move(parts), std::move(state)));
  return loop->Run();
}

CLI::App* AddEnrol(CLI::App& app, EnrolOptions& options) {
  CLI::App* enrol = app.add_subcommand("enrol", "joins the farm that a line of `furrow enrol new` leads to");
  enrol->fallthrough();
  CLI::Option* line =
      enrol->add_option("LINE", options.line,
                        "the line, or - to read it from stdin. As an argument other users of this machine "
                        "may see it for a moment, until the program has blanked it");
  CLI::Option* file = enrol->add_option("--file", options.file, "the file that holds the line");
  line->excludes(file);
  enrol->add_option("--name", options.name, "the agent's name; default: the configuration's, else this host's");
  enrol->add_flag("--replace", options.replace,
                  "leave the farm that this machine belongs to; makes another key, as a copied machine needs");
  enrol->footer(
      "Exit status: 0 enrolled, 1 this machine's fault, 2 usage or no such line, 3 enrolled already; refused: 10 "
      "unknown "
      "line, 11 revoked, 12 wrong secret, 13 expired, 14 used up, 15 name taken, 16 key taken, 17 no name, 18 versions "
      "too "
      "far apart, 19 busy; not reached: 30 no such host, 31 no route, 32 timeout, 33 nothing listens, 34 something "
      "else "
      "answers, 35 wrong controller key, 36 closed port, 37 no answer.");
  return enrol;
}

int Main(int argc, char** argv) {
  MakeFilesPrivate();
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
  EnrolOptions enrol_options;
  CLI::App* enrol = AddEnrol(app, enrol_options);
  bool json = false;
  CLI::App* examine =
      app.add_subcommand("doctor", "examines this machine and its way to the controller; changes nothing");
  examine->fallthrough();
  examine->add_flag("--json", json, "print one JSON document");
  if (const auto status = daemon::Parse(app, argc, argv)) return *status;
  HideLine(argc, argv);
  Result<AgentConfig> config = LoadAgentConfig(config_file);
  if (examine->parsed())
    return doctor::Print({doctor::ExamineAgent(Absolute(config_file), config, FolderOfProgram())}, json);
  if (!config) {
    daemon::Complain(config.error());
    return daemon::kExitUsage;
  }
  if (enrol->parsed()) return EnrolMain(*config, enrol_options);
  if (identity->parsed()) {
    std::error_code ignored;
    fs::create_directories(config->state, ignored);
    const Result<KeyPair> keys = OwnKey(*config);
    if (!keys) return daemon::Complain(keys.error());
    std::printf("agent %s %s\n", NameOf(*config).c_str(), keys->public_key.c_str());
    return 0;
  }
  const int signals = daemon::CatchSignals();
  if (const Status status = log::SetUp({kProgram, config->log.level, config->log.file}); !status)
    return daemon::Complain(status.error());
  const Result<StopMode> stopped = Serve(*config, config_file, signals);
  log::TellKeptBack(/*all=*/true);
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
  return furrow::RunMain({furrow::kProgram, 128, 256u << 20, 8}, argc, argv, furrow::Main);
}
