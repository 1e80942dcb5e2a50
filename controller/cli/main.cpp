// furrow is the command line of the farm. README.md in this folder describes the JSON output of each command.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <sstream>

#include "common/base/log.h"
#include "common/base/program.h"
#include "common/base/version.h"
#include "common/pipeline/values.h"
#include "common/pipeline/words.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {
namespace {

constexpr std::uint32_t kMostAgents = 1000;

using Action = std::function<Result<int>()>;

int Complain(const Session& session, const Error& error) {
  if (session.json) WriteOut(JsonError(error));
  Say(error.message);
  return ExitOf(error);
}

// CLI11 takes 010 for 8 and 0x10 for 16, which nobody means who writes a number of lines.
CLI::Validator Decimal() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        if (const auto better = pipeline::WithoutZeros(text)) return text + " has a zero before it; write " + *better;
        return pipeline::ParseInteger(text) ? "" : text + " is no whole number";
      },
      "");
}

// A CommandLine declares everything that the command line accepts and sets `action` to the command given.
class CommandLine {
 public:
  CommandLine(Session& session, Action& action) : session_(session), action_(action) {
    app_.set_version_flag("--version", std::string("furrow ") + kVersion);
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--state", session.state, "state folder of the farm (see furrow up); also FURROW_STATE");
    app_.add_flag("--json", session.json, "print one JSON document");
    app_.footer(
        "A run is fashion#42 (fashion: the newest), a job fashion#42/test, a shard fashion#42/test/3.\n"
        "Exit status: 0 passed, 1 failed, 2 usage, 3 no controller, 4 refused, 130 cancelled.");
    AddRuns();
    AddQuestions();
    AddFarm();
    AddRepositories();
    AddAccess();
    AddReserved();
  }

  CLI::App& app() { return app_; }

 private:
  CLI::App* Add(const std::string& name, const std::string& words, Action action) {
    CLI::App* command = app_.add_subcommand(name, words);
    command->fallthrough();
    command->callback([this, action = std::move(action)] { action_ = action; });
    return command;
  }

  void AddRuns() {
    CLI::App* run =
        Add("run", "submit a folder as it is and follow its run", [this] { return RunCommand(session_, run_); });
    run->add_option("PATH", run_.path, "the folder")->capture_default_str();
    run->add_option("--file", run_.file, "the pipeline file; default: furrow.yaml in PATH");
    run->add_option("--ref", run_.revision, "a commit, branch or tag instead of what lies there");
    run->add_option("--set", run_.set, "NAME=VALUE: a variable of every job's environment")->allow_extra_args(false);
    run->add_flag("--detach", run_.detach, "do not follow; print the run's name");
    CLI::App* retry = Add("retry", "run the same sources again", [this] { return RetryCommand(session_, retry_); });
    retry->add_option("RUN", retry_.run)->required();
    retry->add_flag("--failed", retry_.failed, "keep what passed");
    retry->add_flag("--detach", retry_.detach, "do not follow; print the run's name");
    CLI::App* cancel = Add("cancel", "end a run or job", [this] { return CancelCommand(session_, what_); });
    cancel->add_option("RUN[/JOB[/SHARD]]", what_)->required();
    CLI::App* check = Add("check", "every error of a pipeline file", [this] { return CheckCommand(session_, file_); });
    check->add_option("FILE", file_, "or the folder it lies in")->capture_default_str();
    CLI::App* trigger = Add("trigger", "tell the farm of a push; what the git hook calls",
                            [this] { return TriggerCommand(session_, trigger_); });
    trigger->add_option("REPO", trigger_.repository)->required();
    trigger->add_option("REF", trigger_.ref)->required();
    trigger->add_option("OLD", trigger_.old_commit)->required();
    trigger->add_option("NEW", trigger_.new_commit)->required();
    CLI::App* hook = app_.add_subcommand("hook", "the git hook that starts a run for each push");
    hook->require_subcommand(1);
    hook->fallthrough();
    CLI::App* install = hook->add_subcommand("install", "write it into a repository");
    install->fallthrough();
    install->callback([this] { action_ = [this] { return HookInstallCommand(session_, what_, force_); }; });
    install->add_option("REPO", what_)->required();
    install->add_flag("--force", force_, "replace the hook of another farm");
  }

  void AddQuestions() {
    CLI::App* runs = Add("runs", "runs, newest first", [this] { return RunsCommand(session_, runs_); });
    runs->add_option("PIPELINE", runs_.pipeline, "only of this pipeline");
    runs->add_option("--limit", runs_.limit, "how many")
        ->check(Decimal())
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    CLI::App* show = Add("show", "one run and its jobs", [this] { return ShowCommand(session_, what_, follow_); });
    show->add_option("RUN[/JOB[/SHARD]]", what_)->required();
    show->add_flag("-f,--follow", follow_, "live, until the run ends; its end is the exit status");
    CLI::App* logs = Add("logs", "what jobs printed", [this] { return LogsCommand(session_, logs_); });
    logs->add_option("RUN[/JOB[/SHARD]]", logs_.what)->required();
    CLI::Option* follow = logs->add_flag("-f,--follow", logs_.follow, "until the run ends");
    logs->add_option("--tail", logs_.tail, "only the last lines")->check(Decimal())->check(CLI::Range(1u, 1'000'000u));
    logs->add_option("--attempt", logs_.attempt, "of jobs that were tried again, this try; default: the newest")
        ->check(Decimal())
        ->check(CLI::Range(1u, 1'000'000u))
        ->excludes(follow);
    CLI::App* artifacts =
        Add("artifacts", "files that jobs made", [this] { return ArtifactsCommand(session_, artifacts_); });
    artifacts->add_option("RUN[/JOB[/SHARD]]", artifacts_.what)->required();
    artifacts->add_option("--get", artifacts_.get, "a file, folder or pattern to fetch");
    artifacts->add_option("-o", artifacts_.out, "folder to fetch into")->capture_default_str();
    CLI::App* metrics = Add("metrics", "what jobs measured", [this] { return MetricsCommand(session_, metrics_); });
    metrics->add_option("RUN[/JOB[/SHARD]]", metrics_.what)->required();
    metrics->add_option("NAME", metrics_.name, "only this one");
    metrics->add_flag("--plot", metrics_.plot, "draw the curves");
    Add("agents", "machines, their devices and what runs there", [this] { return AgentsCommand(session_); });
    Add("doctor", "examine the farm and the daemons of this machine, each fault with its cure",
        [this] { return DoctorCommand(session_); });
    CLI::App* drain = Add("drain", "give an agent no new jobs; those that it has run on",
                          [this] { return DrainCommand(session_, drain_); });
    drain->add_option("AGENT", drain_.request.agent)->required();
    drain->add_option("--reason", drain_.request.reason, "for those who ask why its jobs wait");
    drain->add_option("--until", drain_.until, "30m, 2h, 3d from now, when it gets jobs again by itself");
    drain->add_flag("--wait", drain_.wait, "return when its jobs have ended");
    CLI::App* resume =
        Add("resume", "give a drained agent jobs again", [this] { return ResumeCommand(session_, what_); });
    resume->add_option("AGENT", what_)->required();
    CLI::App* why = Add("why", "why a job waits", [this] { return WhyCommand(session_, what_); });
    why->add_option("RUN[/JOB[/SHARD]]", what_)->required();
  }

  void AddFarm() {
    CLI::App* up =
        Add("up", "a controller and agents on this machine, until Ctrl-C", [this] { return UpCommand(session_, up_); });
    up->add_option("--agents", up_.agents, "how many")
        ->check(Decimal())
        ->check(CLI::Range(0u, kMostAgents))
        ->capture_default_str();
    up->add_option("--port", up_.port, "control is one above, bulk two, enrol three; 0: free ones")
        ->check(Decimal())
        ->check(CLI::Range(0u, 65532u))
        ->each([this](const std::string&) { up_.port_named = true; })
        ->capture_default_str();
  }

  void AddRepositories() {
    CLI::App* repos =
        app_.add_subcommand("repos", "repositories that are watched for pushes, and what is wrong with them");
    repos->fallthrough();
    repos->require_subcommand(0, 1);
    repos->callback([this] {
      if (!action_) action_ = [this] { return ReposCommand(session_); };
    });
    CLI::App* list = repos->add_subcommand("list", "all of them; what `furrow repos` alone shows, too");
    list->fallthrough();
    CLI::App* forget = repos->add_subcommand("rm", "ends the watch of one; its runs stay");
    forget->fallthrough();
    forget->callback([this] { action_ = [this] { return ReposForgetCommand(session_, what_); }; });
    forget->add_option("PATH", what_, "as `furrow repos` shows it")->required();
  }

  void AddAccess() {
    CLI::App* enrol = app_.add_subcommand("enrol", "lines that let machines join the farm as agents");
    enrol->require_subcommand(1);
    enrol->fallthrough();
    CLI::App* fresh = enrol->add_subcommand("new", "prints one such line; the machine gives it to furrow-agent enrol");
    fresh->fallthrough();
    fresh->callback([this] { action_ = [this] { return EnrolNewCommand(session_, enrol_); }; });
    fresh->add_option("--labels", enrol_.labels, "A,B: labels that the machines get beside their own")
        ->allow_extra_args(false);
    fresh->add_option("--uses", enrol_.uses, "how many machines it lets in")
        ->check(Decimal())
        ->check(CLI::Range(std::size_t{1}, kMaxEnrolmentUses))
        ->capture_default_str();
    fresh->add_option("--expires", enrol_.expires, "how long it may be used: 10m, 6h, 3d")->capture_default_str();
    fresh->add_option(
        "--address", enrol_.address,
        "HOST[:PORT] under which the machines reach the controller's enrol port; default: `advertise` in its "
        "configuration, else an address that it has");
    CLI::App* list = enrol->add_subcommand("list", "the lines that were made, and whom they let in");
    list->fallthrough();
    list->callback([this] { action_ = [this] { return EnrolListCommand(session_); }; });
    CLI::App* revoke = enrol->add_subcommand("revoke", "a line lets nobody in any more; whom it let in stays");
    revoke->fallthrough();
    revoke->callback([this] { action_ = [this] { return EnrolRevokeCommand(session_, what_); }; });
    revoke->add_option("ID", what_, "its 8 hex digits")->required();

    CLI::App* keys = app_.add_subcommand("keys", "agents and clients that are let in");
    keys->fallthrough();
    keys->require_subcommand(0, 1);
    keys->callback([this] {
      if (!action_) action_ = [this] { return KeysCommand(session_); };
    });
    CLI::App* key_list = keys->add_subcommand("list", "all of them; what `furrow keys` alone shows, too");
    key_list->fallthrough();
    CLI::App* revoke_key = keys->add_subcommand("revoke", "revokes one, at once and for good");
    revoke_key->fallthrough();
    revoke_key->callback([this] { action_ = [this] { return KeysRevokeCommand(session_, what_); }; });
    revoke_key->add_option("NAME|FINGERPRINT", what_, "of which there is one")->required();
  }

  void AddReserved() {
    for (const char* name : {"backup", "restore", "split", "metric", "compare", "export"}) {
      CLI::App* command = Add(
          name, "not yet", [name]() -> Result<int> { return Fail(Errc::kRejected, std::string(name) + ": not yet"); });
      command->fallthrough(false);
      command->prefix_command();  // The command takes any arguments.
      command->group("");
    }
  }

  Session& session_;
  Action& action_;
  CLI::App app_{"furrow: trains and tests models on your own machines", "furrow"};
  RunOptions run_;
  RetryOptions retry_;
  TriggerOptions trigger_;
  RunsOptions runs_;
  LogsOptions logs_;
  ArtifactsOptions artifacts_;
  MetricsOptions metrics_;
  UpOptions up_;
  DrainOptions drain_;
  EnrolNewOptions enrol_;
  std::string what_;
  bool follow_ = false;
  bool force_ = false;
  std::string file_ = "furrow.yaml";
};

// Returns "; is runs meant? `furrow --help` lists them all".
std::string Hint(const std::string& given, const std::vector<std::string>& known, const std::string& help) {
  const auto nearest = pipeline::NearestWord(given, {known.begin(), known.end()});
  return (nearest ? "; is " + std::string(*nearest) + " meant?" : ";") + " `" + help + "` lists them all";
}

// Says which word of the command line means nothing, or that a command is missing: CLI11 asks for the command first,
// and does not tell which there are. None: the mistake is another one.
std::optional<int> SayUnexpected(const Session& session, const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string name;  // of the command that was given, with a blank in front
  for (auto parsed = app.get_subcommands(); !parsed.empty(); parsed = command->get_subcommands()) {
    command = parsed.front();
    name += " " + command->get_name();
  }
  std::vector<std::string> commands, options;
  for (const CLI::App* known : command->get_subcommands([](const CLI::App*) { return true; }))
    commands.push_back(known->get_name());
  for (const CLI::App* level = command; level != nullptr; level = level->get_parent())
    for (const CLI::Option* option : level->get_options())
      for (const std::string& known : option->get_lnames()) options.push_back("--" + known);

  const std::string help = "furrow" + name + " --help";
  const auto refused = [&](const std::string& words) { return Complain(session, {Errc::kInvalid, words}); };
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) {
    if (error.get_name() != "RequiredError" || commands.empty()) return std::nullopt;
    return refused("a command is missing behind furrow" + name + "; `" + help + "` lists them all");
  }
  const std::string word =
      left.front().substr(0, left.front().starts_with('-') ? left.front().find('=') : std::string::npos);
  if (word.starts_with('-'))
    return refused("there is no option " + word + (name.empty() ? "" : " of" + name) + Hint(word, options, help));
  if (!commands.empty()) return refused("there is no command" + name + " " + word + Hint(word, commands, help));
  return refused("furrow" + name + " takes no further word, such as " + word + "; `" + help + "` shows what it takes");
}

// Refuses arguments without a character: a variable of the shell that is not set must not choose what is meant without
// the argument.
std::optional<int> RefuseEmpty(const Session& session, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (*argv[i] != '\0') continue;
    return Complain(
        session, {Errc::kInvalid, "argument " + std::to_string(i) + " is empty; leave it out, or say what is meant"});
  }
  return std::nullopt;
}

int Main(int argc, char** argv) {
  Session session;
  // CLI11 sets nothing where it finds a mistake, and who asked for JSON gets the mistake as JSON.
  session.json =
      std::any_of(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
  if (const auto status = RefuseEmpty(session, argc, argv)) return *status;
  session.terminal = DetectTerminal();
  Action action;
  CommandLine line(session, action);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0)
      if (const auto status = SayUnexpected(session, line.app(), error)) return *status;
    std::ostringstream out, err;
    const bool fine = line.app().exit(error, out, err) == 0;
    WriteOut(out.str());
    if (!fine) return Complain(session, {Errc::kInvalid, err.str()});
    return kExitPassed;
  }
  log::SetLevel(log::Level::kError);
  const Result<int> status = action();
  return status ? *status : Complain(session, status.error());
}

}  // namespace
}  // namespace furrow::cli

int main(int argc, char** argv) {
  return furrow::RunMain({"furrow", 28, 128u << 20, 4}, argc, argv, furrow::cli::Main);
}
