// furrow-controller accepts and plans runs, records them, and keeps logs and artifacts.
//
// The exit status is 0 when stopped by a signal, 1 when the controller cannot run or continue (the last line says why),
// 2 for wrong usage or configuration.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/open_files.h"
#include "common/base/program.h"
#include "common/base/version.h"
#include "common/chunks/store.h"
#include "common/daemon/config.h"
#include "common/daemon/daemon_main.h"
#include "common/daemon/farm_file.h"
#include "common/daemon/state_folder.h"
#include "controller/access/advertise.h"
#include "controller/access/enrol_server.h"
#include "controller/doctor/doctor.h"
#include "controller/logs/store.h"
#include "controller/loop.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/reactor.h"
#include "controller/settings.h"
#include "controller/store/start_room.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

// Messages of a connection in ZeroMQ's queue each way, where nothing counts their bytes: see controller/control.
constexpr int kControlQueue = 16;

// A controller that ends for want of space is started again by its service manager, which gives up after ten times in
// five minutes.
constexpr std::chrono::seconds kRoomPatience{40};
constexpr std::uint64_t kSmallFiles = 64 << 10;  // what a start writes into the state folder itself

constexpr char kProgram[] = "furrow-controller";

fs::path Absolute(const std::string& file) {
  std::error_code gone;  // the current folder
  const fs::path path = fs::absolute(file, gone);
  return gone ? fs::path(file) : path.lexically_normal();
}

// Ten thousand agents need as many descriptors; the usual soft limit is 1024.
constexpr rlim_t kOpenFiles = 65536;

Result<KeyPair> OwnKey(const ControllerConfig& config) {
  const fs::path key = config.key.empty() ? fs::path(config.state) / "controller.key" : fs::path(config.key);
  std::error_code unknown;
  if (!fs::exists(key, unknown) && fs::exists(fs::path(config.state) / "db" / "db", unknown))
    log::Warning(
        "the key {} of this farm is gone: with a new one no agent or person knows the controller any more. Restore it "
        "from a backup, or enrol them again",
        key.string());
  return LoadOrMakeKeyPair(key);
}

// Returns the address at which a program on this machine reaches a listening port.
std::string Reachable(const std::string& listen, std::uint16_t port) {
  std::string host = listen;
  if (listen == "0.0.0.0") host = "127.0.0.1";
  if (listen == "[::]") host = "[::1]";
  return host + ":" + std::to_string(port);
}

// Returns the function that appends small logs to their packs in the store's writer thread.
Store::AppendSmallLogs PackWriter(LogStore& packs) {
  return [&packs](std::span<const SmallLog> logs) -> Result<std::vector<LogLocation>> {
    std::vector<SmallLogView> views;
    views.reserve(logs.size());
    for (const SmallLog& log : logs) views.push_back({log.run, log.attempt, log.bytes});
    FURROW_ASSIGN(const std::vector<LogRef> log_refs, packs.AppendSmall(views));
    FURROW_TRY(packs.Sync());
    std::vector<LogLocation> locations;
    locations.reserve(log_refs.size());
    for (const LogRef& log_ref : log_refs) locations.push_back({LogStorage::kPack, log_ref.pack, log_ref.file_offset});
    return locations;
  };
}

Status LetLocalClientIn(const ControllerConfig& config) {
  FURROW_ASSIGN(const KeyPair client, LoadOrMakeKeyPair(LocalClientKey(config.state),
                                                        RunsAsFarmGroup() ? KeyReaders::kGroup : KeyReaders::kOwner));
  return AddToAllowlist(AllowlistOf(config), {{Role::kClient, kLocalClient}, client.public_key});
}

// An allowlist that was emptied is no damage that can be told from a wish, but shuts every agent out.
Status SayWhoIsShutOut(const fs::path& allowlist, const std::vector<AgentRecord>& known) {
  FURROW_ASSIGN(const std::vector<AllowedKey> keys, ReadAllowlist(allowlist));
  if (known.empty() || std::ranges::any_of(keys, [](const auto& key) { return key.who.role == Role::kAgent; }))
    return {};
  log::Warning(
      "{} has a line for none of the farm's {} agents, so none can connect: restore it from a backup, or enrol them "
      "again",
      allowlist.string(), known.size());
  return {};
}

// Refuses to begin a new farm beside what is left of another: its numbers would be given out again, and its logs would
// be taken for those of other jobs.
Status DatabaseIsThere(const fs::path& state) {
  std::error_code unknown;
  const fs::path database = state / "db" / "db";
  const fs::path logs = state / "logs";
  if (fs::exists(database, unknown) || unknown) return {};
  fs::directory_iterator log(logs, unknown);
  const auto is_new_disk = [](const fs::directory_entry& one) { return one.path().filename() == "lost+found"; };
  if (unknown || std::all_of(begin(log), end(log), is_new_disk)) return {};
  return Fail(Errc::kCorrupt, "the database " + database.string() + " is gone, while " + logs.string() +
                                  " holds logs of its runs: restore the state folder from a backup, or, to begin a new "
                                  "farm, delete " +
                                  logs.string());
}

Status Serve(ControllerConfig config, const std::string& config_file, int signals) {
  FURROW_TRY(daemon::TakeStateFolder(config.state));
  const fs::path state_folder = config.state;
  const SystemClock clock;
  LoopMailbox events;
  const auto post = [&events](auto event) { events.Post(std::move(event)); };

  // Each may be a filesystem of its own, and may have been made by a version that left it open.
  std::vector<fs::path> watched{state_folder};
  for (const char* part : {"db", "logs", "blobs", "mirrors"}) {
    watched.push_back(state_folder / part);
    FURROW_TRY(daemon::TakeStateFolder(watched.back()));
  }
  // What can refuse the start is read before the database is written to.
  FURROW_TRY(DatabaseIsThere(state_folder));
  FURROW_ASSIGN(const KeyPair keys, OwnKey(config));
  FURROW_TRY(LetLocalClientIn(config));
  FURROW_ASSIGN(const std::unique_ptr<DiskGuard> disk,
                DiskGuard::Open(watched, {config.ballast_bytes, config.disk_low_bytes, 16u << 20}));
  for (const auto& [folder, bytes] : std::vector<std::pair<fs::path, std::uint64_t>>{
           {state_folder, kSmallFiles}, {state_folder / "db", BytesToStart(state_folder / "db")}}) {
    FURROW_ASSIGN(const bool room, AwaitRoom(folder, bytes, *disk, signals, kRoomPatience));
    if (!room) return {};
  }
  std::unique_ptr<LogStore> packs;  // The store's thread writes into the packs until the store is gone.
  FURROW_ASSIGN(const std::unique_ptr<Store> store, Store::Open(state_folder / "db", disk.get()));
  // The bulk thread writes streamed logs and the store's thread writes packs, so each has its own view of the folder.
  FURROW_ASSIGN(const std::unique_ptr<LogStore> logs, LogStore::Open((state_folder / "logs").string()));
  FURROW_ASSIGN(packs, LogStore::Open((state_folder / "logs").string()));
  FURROW_ASSIGN(const std::unique_ptr<ChunkStore> blobs,
                ChunkStore::Open((state_folder / "blobs").string(), {.packs = true}));
  FURROW_ASSIGN(Restored restored, store->Load());
  FURROW_TRY(SayWhoIsShutOut(AllowlistOf(config), restored.agents));
  Outbox first;
  State state = RestoreState(SettingsOf(config), std::move(restored), clock.Read(), first);
  state.software = std::string("furrow-controller ") + kVersion;
  const std::size_t live = state.runs.size();

  Context context;
  FURROW_TRY(context.ServeAllowlist(AllowlistOf(config)));
  FURROW_TRY(ProveClaimIsIgnored(context));
  ServerOptions options;
  options.address = config.listen;
  options.keys = keys;
  options.send_queue = kControlQueue;
  options.receive_queue = kControlQueue;
  options.port = config.control_port;
  options.max_frame_bytes = std::max(kMaxAgentMessageFrame, kMaxClientRequestFrame);
  options.max_answer_bytes = std::max(kMaxToAgentFrame, kMaxClientReplyFrame);
  FURROW_ASSIGN(const std::unique_ptr<Server> control, Server::Bind(context, options));
  FURROW_TRY(ProveUnknownKeyIsRefused(context, config.listen, control->port(), keys.public_key));
  options.port = config.bulk_port;
  FURROW_ASSIGN(const std::unique_ptr<BulkServer> bulk,
                BulkServer::Start(
                    context, options, *logs, *blobs, FindLogIn(*store),
                    [post](BulkEvent event) { std::visit(post, std::move(event)); }, std::exchange(first.bulk, {}), {},
                    disk.get()));
  EnrolServerOptions enrol_options{config.listen, config.enrol_port,  keys, state.software, control->port(),
                                   bulk->port(),  AllowlistOf(config)};
  FURROW_ASSIGN(const std::unique_ptr<EnrolServer> enrol,
                EnrolServer::Start(context, clock, std::move(enrol_options),
                                   [post](AccessEvent event) { std::visit(post, std::move(event)); }));
  state.access.public_key = keys.public_key;
  state.access.host = AdvertisedHost(config.advertise, config.listen);
  state.access.advertised = !config.advertise.empty();
  state.access.enrol_port = enrol->port();
  RepositoryOptions repository_options;
  repository_options.mirrors = state_folder / "mirrors";
  repository_options.blobs = state_folder / "blobs";
  repository_options.program = fs::read_symlink("/proc/self/exe");
  repository_options.timeout = config.repos_timeout;
  repository_options.allowed = config.repos_allow;
  repository_options.store = blobs.get();
  FURROW_ASSIGN(const std::unique_ptr<Repositories> repositories,
                Repositories::Start(
                    repository_options,
                    [&events](std::uint64_t ticket, Result<ImportedCommit> commit, bool progressed) {
                      PreparedPipeline pipeline;
                      if (commit && commit->has_pipeline)
                        pipeline = PrepareFile(std::move(commit->pipeline_text), DefaultNameOf(commit->repository));
                      events.Post(CommitImported{ticket, std::move(commit), std::move(pipeline), progressed});
                    },
                    [&events](RefsListed refs) { events.Post(std::move(refs)); }));
  store->KeepEvents(config.event_days);
  store->Start(PackWriter(*packs), [&events](Committed committed) { events.Post(std::move(committed)); });
  History history(*store, [post](HistoryEvent event) { std::visit(post, std::move(event)); });

  WorkerPool preparer(1);
  ServiceManager service;
  Reloader<ControllerConfig> reloader([&config_file] { return LoadControllerConfig(config_file); });
  ControllerLoop loop({clock, *control, *bulk, *store, history, *repositories, *enrol, *disk, events, preparer, service,
                       reloader, config, config_file, signals},
                      std::move(state), std::move(first));
  const FarmFile farm{Reachable(config.listen, control->port()), Reachable(config.listen, bulk->port()),
                      keys.public_key, ::getpid(), Reachable(config.listen, enrol->port())};
  FURROW_TRY(WriteFarmFile(state_folder, farm));
  log::Info("ready on {}: control {}, bulk {}, enrol {}; {} live runs", config.listen, control->port(), bulk->port(),
            enrol->port(), live);
  return loop.Run();
}

int Main(int argc, char** argv) {
  MakeFilesPrivate();
  if (argc > 1 && std::string_view(argv[1]) == "--repository-worker") return RepositoryWorkerMain();
  CLI::App app{"furrow-controller: the farm's memory and its planner"};
  std::string config_file = "/etc/furrow/controller.yaml";
  daemon::AddOptions(app, kProgram, config_file);
  CLI::App* identity =
      app.add_subcommand("identity", "prints the controller's public key, which agents and clients are told");
  identity->fallthrough();
  bool json = false;
  CLI::App* examine = app.add_subcommand("doctor", "examines this controller and its machine; changes nothing");
  examine->fallthrough();
  examine->add_flag("--json", json, "print one JSON document");
  if (const auto status = daemon::Parse(app, argc, argv)) return *status;
  const Result<ControllerConfig> config = LoadControllerConfig(config_file);
  if (examine->parsed()) return doctor::Print({doctor::ExamineController(Absolute(config_file), config)}, json);
  if (!config) {
    daemon::Complain(config.error());
    return daemon::kExitUsage;
  }
  if (identity->parsed()) {
    std::error_code ignored;
    fs::create_directories(config->state, ignored);
    const Result<KeyPair> keys = OwnKey(*config);
    if (!keys) return daemon::Complain(keys.error());
    std::printf("%s\n", keys->public_key.c_str());
    return 0;
  }
  const int signals = daemon::CatchSignals();
  RaiseOpenFiles(kOpenFiles);
  if (const Status status = log::SetUp({kProgram, config->log.level, config->log.file}); !status)
    return daemon::Complain(status.error());
  for (const std::string& warning : config->warnings) log::Warning("{}: {}", config_file, warning);
  const Status served = Serve(*config, config_file, signals);
  log::TellKeptBack(/*all=*/true);
  if (!served) {
    log::Error("{}", served.error().message);
    return daemon::ExitOf(served.error());
  }
  log::Info("stopped");
  return 0;
}

}  // namespace
}  // namespace furrow

int main(int argc, char** argv) {
  return furrow::RunMain({furrow::kProgram, 128, 960u << 20, 16}, argc, argv, furrow::Main);
}
