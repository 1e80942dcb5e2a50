#include "tests/support/farm.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "controller/cli/up/daemon.h"

extern char** environ;

namespace furrow {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void Throw(const std::string& what) {
  throw std::runtime_error(what);
}

std::string TextOf(const fs::path& path) {
  // A file of /proc may vanish while it is read; an iterator over the buffer would throw then.
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string ProgramFolder() {
  return FURROW_PROGRAM_FOLDER;
}

// ---- Background --------------------------------------------------------------------------------------------

Background::Background(pid_t pid, int out_fd, int err_fd) : pid_(pid), out_fd_(out_fd), err_fd_(err_fd) {}

Background::~Background() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    Reap(0);
  }
  for (const int fd : {out_fd_, err_fd_})
    if (fd >= 0) ::close(fd);
}

void Background::Signal(int number) const {
  if (!ended_) ::kill(pid_, number);
}

void Background::Reap(int flags) {
  int status = 0;
  if (ended_ || ::waitpid(pid_, &status, flags) != pid_) return;
  ended_ = true;
  result_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Background::Read(int timeout_ms) {
  pollfd ready[2] = {{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}};
  ::poll(ready, 2, timeout_ms);
  std::array<char, 65536> buffer;
  for (int i = 0; i < 2; ++i) {
    int& fd = i == 0 ? out_fd_ : err_fd_;
    if (fd < 0 || ready[i].revents == 0) continue;
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) {
      (i == 0 ? result_.out : result_.err).append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
      ::close(fd);
      fd = -1;
    }
  }
}

const std::string& Background::out() {
  Read(0);
  return result_.out;
}
const std::string& Background::err() {
  Read(0);
  return result_.err;
}

bool Background::AwaitOut(std::string_view text, std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (result_.out.find(text) == std::string::npos) {
    if (out_fd_ < 0 || Clock::now() > until) return false;
    Read(100);
  }
  return true;
}

CliResult Background::Wait(std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (out_fd_ >= 0 || err_fd_ >= 0) {
    if (Clock::now() > until) Signal(SIGKILL);
    Read(100);
  }
  Reap(0);
  return result_;
}

// ---- Farm --------------------------------------------------------------------------------------------------

Farm::Farm(const FarmOptions& options) : options_(options) {
  const auto ports = cli::FreePorts();
  if (!ports) Throw(ports.error().message);
  cli::FarmPlan plan{State(), ProgramFolder(), options.agents, ports->control, ports->bulk, ports->enrol};
  auto daemons = cli::PrepareFarm(plan);
  if (!daemons) Throw(daemons.error().message);
  for (cli::DaemonPlan& daemon : *daemons) {
    std::ofstream(daemon.argv.back(), std::ios::app)
        << (processes_.empty() ? options.controller_yaml : options.agent_yaml);
    processes_.push_back({std::move(daemon), 0});
  }
  try {
    for (Process& process : processes_) Launch(process, SIGTERM);
    AwaitAnswer(options.agents);
  } catch (...) {
    for (Process& process : processes_) End(process, SIGKILL);
    throw;
  }
}

Farm::~Farm() {
  for (std::size_t i = processes_.size(); i-- > 0;) End(processes_[i], SIGKILL);
  // A runner's SIGTERM ends its jobs. A runner that does not end is killed, and its jobs' processes stay in its
  // session.
  for (const pid_t runner : Runners()) ::kill(runner, SIGTERM);
  if (Until([this] { return Runners().empty(); }, std::chrono::seconds(15))) return;
  for (const pid_t runner : Runners()) ::kill(runner, SIGKILL);
}

void Farm::Launch(Process& process, int death_signal) {
  const auto pid = [&] {
    for (const auto& [name, value] : options_.environment) ::setenv(name.c_str(), value.c_str(), 1);
    auto started = cli::StartDaemon(process.plan, death_signal);
    for (const auto& [name, value] : options_.environment) ::unsetenv(name.c_str());
    return started;
  }();
  if (!pid) Throw(pid.error().message);
  process.pid = *pid;
}

void Farm::End(Process& process, int signal) {
  if (process.pid == 0) return;
  ::kill(process.pid, signal);
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  process.pid = 0;
}

void Farm::AwaitAnswer(std::uint32_t agents) {
  const auto until = Clock::now() + std::chrono::seconds(60);
  for (;;) {
    const CliResult answer = Furrow({"--json", "agents"});
    if (answer.status == 0) {
      std::uint32_t connected = 0;
      const auto list = nlohmann::json::parse(answer.out)["agents"];
      for (const auto& agent : list) connected += agent["connected"] ? 1 : 0;
      if (connected >= agents) return;
    }
    for (std::uint32_t i = 0; i < processes_.size(); ++i) {
      Process& process = processes_[i];
      if (process.pid == 0 || ::waitpid(process.pid, nullptr, WNOHANG) != process.pid) continue;
      process.pid = 0;
      Throw(process.plan.name + " ended: " + TextOf(process.plan.log));
    }
    if (Clock::now() > until) Throw("the farm does not come up: " + answer.err + ControllerLog());
  }
}

std::unique_ptr<Background> Farm::Spawn(std::vector<std::string> argv,
                                        const std::map<std::string, std::string>& environment) {
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) Throw("cannot make a pipe");
  std::map<std::string, std::string> variables = environment;
  variables.insert(options_.environment.begin(), options_.environment.end());
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (!text.starts_with("FURROW_"))
      variables.emplace(text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  }
  std::vector<std::string> lines;
  for (const auto& [name, value] : variables) lines.push_back(name + "=" + value);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(&actions, Folder().c_str());
  pid_t pid = 0;
  const int failed =
      ::posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, Pointers(argv).data(), Pointers(lines).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  ::close(err[1]);
  if (failed != 0) Throw("cannot start " + argv[0]);
  return std::make_unique<Background>(pid, out[0], err[0]);
}

std::unique_ptr<Background> Farm::Start(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv{ProgramFolder() + "/furrow", "--state", State()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return Spawn(std::move(argv), {});
}

std::unique_ptr<Background> Farm::Program(const std::vector<std::string>& argv) {
  return Spawn(argv, {});
}

CliResult Farm::Furrow(const std::vector<std::string>& arguments) {
  return Start(arguments)->Wait();
}

CliResult Farm::Plain(const std::vector<std::string>& arguments,
                      const std::map<std::string, std::string>& environment) {
  std::vector<std::string> argv{ProgramFolder() + "/furrow"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return Spawn(std::move(argv), environment)->Wait();
}

void Farm::KillController() {
  End(processes_[0], SIGKILL);
}
void Farm::StopController() {
  End(processes_[0], SIGTERM);
}
void Farm::StartController() {
  Launch(processes_[0], SIGTERM);
  AwaitAnswer(0);
}
void Farm::KillAgent(std::uint32_t agent) {
  End(processes_.at(agent), SIGKILL);
}
void Farm::StopAgent(std::uint32_t agent, int signal) {
  End(processes_.at(agent), signal);
}
void Farm::StartAgent(std::uint32_t agent) {
  // The controller may still count the process before as connected, so that the new one's own word is waited for.
  const auto registrations = [&] {
    const std::string log = AgentLog(agent);
    std::size_t count = 0;
    for (std::size_t at = 0; (at = log.find("registered; ", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const std::size_t before = registrations();
  Launch(processes_.at(agent), SIGTERM);
  Until([&] { return !AgentRuns(agent) || registrations() > before; });
  std::uint32_t running = 0;
  for (std::size_t i = 1; i < processes_.size(); ++i) running += processes_[i].pid != 0 ? 1 : 0;
  AwaitAnswer(running);
}
void Farm::KillRunner(std::uint32_t agent) {
  const std::string own = AgentFolder(agent);
  for (const pid_t runner : cli::RunnersBeneath(fs::path(own).parent_path().string())) {
    const std::string line = TextOf("/proc/" + std::to_string(runner) + "/cmdline");
    if (line.find(own + '\0') != std::string::npos) ::kill(runner, SIGKILL);
  }
}

pid_t Farm::ControllerPid() const {
  return processes_[0].pid;
}
pid_t Farm::AgentPid(std::uint32_t agent) const {
  return processes_.at(agent).pid;
}
std::vector<pid_t> Farm::Runners() const {
  return cli::RunnersBeneath(State() + "/agents");
}

namespace {
bool Runs(pid_t pid) {
  siginfo_t info{};
  return pid != 0 && ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}
}  // namespace

bool Farm::ControllerRuns() const {
  return Runs(processes_[0].pid);
}
bool Farm::AgentRuns(std::uint32_t agent) const {
  return Runs(processes_.at(agent).pid);
}

std::string Farm::AgentFolder(std::uint32_t agent) const {
  return State() + "/agents/agent-" + std::to_string(agent);
}
std::string Farm::ControllerLog() const {
  return TextOf(processes_[0].plan.log);
}
std::string Farm::AgentLog(std::uint32_t agent) const {
  return TextOf(processes_.at(agent).plan.log);
}

bool Farm::Until(const std::function<bool()>& fact, std::chrono::seconds limit) {
  const auto until = Clock::now() + limit;
  while (!fact()) {
    if (Clock::now() > until) return false;
    ::poll(nullptr, 0, 10);
  }
  return true;
}

bool Farm::AwaitJob(const std::string& what, const std::string& state, std::chrono::seconds limit) {
  return Until(
      [&] {
        const CliResult shown = Furrow({"--json", "show", what});
        if (shown.status != 0) return false;
        const auto jobs = nlohmann::json::parse(shown.out)["jobs"];
        return std::any_of(jobs.begin(), jobs.end(), [&](const auto& job) { return job["state"] == state; });
      },
      limit);
}

}  // namespace furrow
