// What jobs do to their parents, and jobs whose runner dies, stops or forgets, by the real program.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "agent/runner/process_tree.h"
#include "common/base/clock.h"
#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

namespace {

// A job that runs until the test lets it go, beside those that misbehave.
class Neighbour {
 public:
  explicit Neighbour(Fixture& f) : f_(f), up_(f.dir() + "/neighbour"), go_(f.dir() + "/neighbour.go") {
    f_.Send({f_.Shell(kJob, "echo $$ > " + up_.path() + "; read x < " + go_.path() + "; echo $x")});
    pid_ = up_.Pid();
  }
  void CheckUntouched() {
    CHECK_FALSE(IsDead(pid_));
    std::ofstream(go_.path()) << "untouched\n";
    CHECK(f_.AwaitExited(kJob).outcome.Passed());
    CHECK(f_.Output(kJob) == "untouched\n");
  }

 private:
  static constexpr std::uint64_t kJob = 1000;
  Fixture& f_;
  Fifo up_;
  Fifo go_;
  pid_t pid_ = 0;
};

void AwaitDeath(pid_t pid) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;  // It is gone already.
  pollfd wait{fd, POLLIN, 0};
  CHECK_MESSAGE(::poll(&wait, 1, kPatienceMs) == 1, "process " << pid << " lives on");
  ::close(fd);
}

std::uint64_t In(std::chrono::nanoseconds span) {
  return static_cast<std::uint64_t>((SystemClock().Read().mono.since_start + span).count());
}

// The keeper is the parent of a job's first process.
pid_t KeeperOf(pid_t leader) {
  return ReadProcess(leader)->parent;
}

}  // namespace

TEST_CASE("keeper: signals that a job sends to its parent end nothing, neither that job nor its neighbours") {
  Fixture f;
  f.StartRunner();
  const pid_t runner = f.RunnerPid();
  Neighbour neighbour(f);
  std::uint64_t job = 1;
  for (const std::string signal : {"TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "ALRM", "PIPE", "ABRT", "SEGV", "BUS",
                                   "CHLD", "TSTP", "STOP", "CONT", "RTMIN", "XCPU", "SYS"}) {
    const Exited exited =
        f.RunToEnd(f.Job(job, {{"bash", "-c", "kill -" + signal + " $PPID; echo went on"}, {"true"}}));
    CHECK_MESSAGE(exited.outcome.Passed(), signal << ": " << exited.outcome.text);
    CHECK(f.Output(job) == "went on\n");
    ++job;
  }
  CHECK(f.RunnerPid() == runner);
  neighbour.CheckUntouched();
}

TEST_CASE("keeper: a job that kills its parent ends itself, with all that it has started, and nobody else") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  Neighbour neighbour(f);
  f.Send({f.Shell(1, "setsid sh -c 'echo $$ > " + up.path() + "; exec sleep 1000' & read x < " + up.path() +
                         ".go; kill -9 $PPID; sleep 1000")});
  Fifo go(up.path() + ".go");
  const pid_t below = up.Pid();
  const pid_t leader = static_cast<pid_t>(f.AwaitStarted(1).pid);
  std::ofstream(go.path()) << "\n";
  const Exited exited = f.AwaitExited(1);
  CHECK(exited.outcome.kind == OutcomeKind::kSignaled);
  CHECK(exited.outcome.code == SIGKILL);
  CHECK_MESSAGE(exited.outcome.text.find("kill -9 $PPID") != std::string::npos, exited.outcome.text);
  CHECK(IsDead(leader));
  CHECK(IsDead(below));
  CHECK(f.RunToEnd(f.Shell(2, "echo next")).outcome.Passed());
  neighbour.CheckUntouched();
}

TEST_CASE("keeper: an idle parent that was killed costs the next job nothing") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo go(f.dir() + "/go");
  f.StartRunner();
  f.Send({f.Shell(1, "echo $PPID > " + up.path() + "; read x < " + go.path())});
  const pid_t keeper = up.Pid();
  std::ofstream(go.path()) << "\n";
  CHECK(f.AwaitExited(1).outcome.Passed());
  ::kill(keeper, SIGKILL);
  AwaitDeath(keeper);
  CHECK(f.RunToEnd(f.Shell(2, "true")).outcome.Passed());
}

TEST_CASE("keeper: signals that a job sends to the runner are not obeyed, however they are sent") {
  Fixture f;
  f.StartRunner();
  const std::string runner = std::to_string(f.RunnerPid());
  Neighbour neighbour(f);
  std::uint64_t job = 1;
  for (const std::string how : {"kill -TERM ", "kill -INT ", "kill -HUP ", "kill -QUIT ", "kill -USR1 ", "kill -ALRM ",
                                "kill -PIPE ", "kill -RTMIN ", "env kill -TERM ", "setsid kill -TERM ",
                                "sleep 0 | xargs -I{} kill -TERM {} ; (setsid env -i /bin/kill -TERM "}) {
    const std::string end = how.find('(') == std::string::npos ? "" : "; cd /) > /dev/null";
    const Exited exited = f.RunToEnd(f.Job(job, {{"bash", "-c", how + runner + end}}));
    CHECK_MESSAGE(exited.outcome.Passed(), how << exited.outcome.text);
    ++job;
  }
  CHECK(std::to_string(f.RunnerPid()) == runner);
  neighbour.CheckUntouched();
}

TEST_CASE("keeper: `kill 0` in a job reaches its own group alone") {
  Fixture f;
  f.StartRunner();
  Neighbour neighbour(f);
  const Exited exited = f.RunToEnd(f.Job(1, {{"bash", "-c", "trap '' TERM; kill -TERM 0; echo here"}}));
  CHECK(exited.outcome.Passed());
  CHECK(f.RunToEnd(f.Job(2, {{"bash", "-c", "kill -KILL 0"}})).outcome.code == SIGKILL);
  neighbour.CheckUntouched();
}

TEST_CASE("keeper: with the runner every process of its jobs dies, though nobody starts another runner") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  f.Send({f.Shell(1, "setsid sh -c 'echo $$ > " + up.path() + "; exec sleep 1000' & trap '' TERM HUP; sleep 1000"),
          f.Job(2, {{"env", "-i", HOSTILE, daemons.path(), "stay"}})});
  const pid_t other_session = up.Pid();
  const pid_t daemon = daemons.Pid();  // without session, environment, folder and output of its job
  const pid_t leaders[] = {static_cast<pid_t>(f.AwaitStarted(1).pid), static_cast<pid_t>(f.AwaitStarted(2).pid)};
  f.KillRunner();
  for (const pid_t pid : {other_session, daemon, leaders[0], leaders[1]}) AwaitDeath(pid);
}

TEST_CASE("keeper: a stopped runner's jobs end with the lease all the same, and count as lost") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  const pid_t runner = f.RunnerPid();
  f.Send({Lease{In(std::chrono::hours(1)), In(std::chrono::hours(1))},
          f.Shell(1, "trap '' TERM; setsid sleep 1000 & echo $! > " + up.path() + "; sleep 1000")});
  const pid_t below = up.Pid();
  const pid_t leader = static_cast<pid_t>(f.AwaitStarted(1).pid);
  f.Send({Lease{In(std::chrono::milliseconds(100)), In(std::chrono::milliseconds(300))}});
  f.List();  // The runner has the lease now.
  REQUIRE(::kill(runner, SIGSTOP) == 0);
  AwaitDeath(leader);
  AwaitDeath(below);
  REQUIRE(::kill(runner, SIGCONT) == 0);
  CHECK(f.AwaitExited(1).outcome == Outcome{OutcomeKind::kLost, 0, "the lease ran out: the controller was not heard"});
}

TEST_CASE("keeper: the end of a lease leaves a job the time for SIGTERM that there is, not its whole grace") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "trap 'echo saving' TERM; echo up > " + up.path() + "; while :; do sleep 1000 & wait; done")});
  up.Line();
  const auto begin = std::chrono::steady_clock::now();
  f.Send({Lease{In(std::chrono::milliseconds(10)), In(std::chrono::seconds(3))}});  // the job's grace is 60 s
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kLost);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  CHECK(f.Output(1).starts_with("saving\n"));
}

TEST_CASE("keeper: SIGTERM goes once to those who are there; what their handlers start ends in peace") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  // The handler's children run long enough for several looks at the processes.
  const std::string save = "sleep 0.3 && cp state saved && sleep 0.3 && echo saved";
  const std::vector<std::string> ways = {
      "trap '" + save + "; exit 0' TERM",                     // the shell's children
      "trap 'bash -c \"" + save + "\"; exit 0' TERM",         // theirs, too
      "trap 'setsid bash -c \"" + save + "\"; exit 0' TERM",  // in a session of its own
      "trap 'exec bash -c \"" + save + "\"' TERM",            // another program in the same process
      "trap '(" + save + ") & exit 0' TERM",                  // left behind
  };
  std::uint64_t job = 1;
  for (const std::string& way : ways) {
    f.Send({f.Job(
        job, {{"bash", "-c",
               "echo 1 > state; " + way + "; sleep 1000 & echo up > " + up.path() + "; while :; do wait; done"}})});
    up.Line();
    f.Send({Kill{Ref(job), "enough", 60'000}});
    CHECK(f.AwaitExited(job).outcome.kind == OutcomeKind::kKilled);
    // bash may say of its own child, `sleep`, that it was terminated.
    CAPTURE(way);
    CAPTURE(f.Output(job));
    CHECK(f.Output(job).ends_with("saved\nfurrow: killed: enough\n"));
    CHECK(ReadFile(f.dir() + "/work/" + std::to_string(job) + "/saved") == "1\n");
    ++job;
  }
}

TEST_CASE("keeper: an order to end a job that comes before the word of its start sends one SIGTERM, not two") {
  constexpr std::uint64_t kJobs = 60;
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  // A second SIGTERM ends the program that the handler has become.
  std::vector<Request> starts;
  for (std::uint64_t job = 1; job <= kJobs; ++job)
    starts.push_back(f.Job(job, {{"bash", "-c",
                                  "trap 'exec bash -c \"sleep 0.3 && echo saved\"' TERM; echo " + std::to_string(job) +
                                      " > " + up.path() + "; while :; do sleep 0.01; done"}}));
  f.Send(starts);
  for (std::uint64_t job = 1; job <= kJobs; ++job)  // Most words of a start wait while so many processes begin.
    f.Send({Kill{Ref(static_cast<std::uint64_t>(up.Pid())), "enough", 60'000}});
  for (std::uint64_t job = 1; job <= kJobs; ++job) {
    CHECK(f.AwaitExited(job).outcome.kind == OutcomeKind::kKilled);
    CHECK(f.Output(job).ends_with("saved\nfurrow: killed: enough\n"));
  }
}

TEST_CASE("keeper: what a damaged, cut or missing journal does not tell is found by its processes, ended and lost") {
  // Each damages the journal of a runner that is dead.
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> ways = {
      {"gone", [](const std::string& path) { std::filesystem::remove(path); }},
      {"empty", [](const std::string& path) { std::filesystem::resize_file(path, 0); }},
      {"cut after its header", [](const std::string& path) { std::filesystem::resize_file(path, 12); }},
      {"cut in a record", [](const std::string& path) { std::filesystem::resize_file(path, 40); }},
      {"another file", [](const std::string& path) { std::ofstream(path) << "something else entirely"; }},
      {"zeros",
       [](const std::string& path) { std::ofstream(path) << std::string(std::filesystem::file_size(path), '\0'); }},
      {"damaged in the middle",
       [](const std::string& path) {
         std::string bytes = ReadFile(path);
         bytes[40] ^= 1;
         std::ofstream(path, std::ios::binary) << bytes;
       }},
  };
  for (const auto& way : ways) {
    CAPTURE(way.first);
    Fixture f;
    Fifo up(f.dir() + "/up");
    f.StartRunner();
    f.Send({f.Shell(1, "setsid sh -c 'echo $$ > " + up.path() + "; exec sleep 1000' & sleep 1000")});
    const pid_t below = up.Pid();
    const pid_t leader = static_cast<pid_t>(f.AwaitStarted(1).pid);
    // The worst case: the keeper is gone with the runner.
    REQUIRE(::kill(f.RunnerPid(), SIGSTOP) == 0);
    REQUIRE(::kill(KeeperOf(leader), SIGKILL) == 0);
    f.KillRunner();
    CHECK_FALSE(IsDead(below));
    way.second(f.state() + "/runner.journal");
    f.StartRunner();
    CHECK(IsDead(leader));
    CHECK(IsDead(below));
    const Listing listing = f.List();
    CHECK(listing.incomplete);
    REQUIRE(listing.attempts.size() == 1);
    CHECK(listing.attempts[0].ref == Ref(1));
    CHECK(listing.attempts[0].exited.outcome.kind == OutcomeKind::kLost);
    CHECK(f.RunToEnd(f.Shell(2, "true")).outcome.Passed());
  }
}

TEST_CASE("keeper: a stopped keeper of a dead runner, and the job below it, are ended by the next runner") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  f.Send({f.Job(1, {{"env", "-i", HOSTILE, daemons.path(), "stay"}})});
  const pid_t daemon = daemons.Pid();
  const pid_t keeper = KeeperOf(static_cast<pid_t>(f.AwaitStarted(1).pid));
  REQUIRE(::kill(f.RunnerPid(), SIGSTOP) == 0);  // or it would wake the keeper
  REQUIRE(::kill(keeper, SIGSTOP) == 0);
  f.KillRunner();
  f.StartRunner();
  CHECK(IsDead(keeper));
  CHECK(IsDead(daemon));
}

TEST_CASE("keeper: jobs get the limit of open files that the agent was started with, not one that it has raised") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  Fixture f;
  f.StartRunner();  // The runner itself takes all that it may.
  CHECK(f.RunToEnd(f.Shell(1, "ulimit -Sn")).outcome.Passed());
  CHECK(f.Output(1) == std::to_string(before.rlim_cur) + "\n");
  rlimit runner{};
  REQUIRE(::prlimit(f.RunnerPid(), RLIMIT_NOFILE, nullptr, &runner) == 0);
  CHECK(runner.rlim_cur == runner.rlim_max);
}

TEST_CASE("keeper: a job with megabytes of arguments and environment starts") {
  Fixture f;
  f.StartRunner();
  Start start = f.Job(1, {{"sh", "-c", "env | wc -c"}});
  for (int i = 0; i < 12; ++i) start.env.push_back("BIG" + std::to_string(i) + "=" + std::string(100'000, 'x'));
  CHECK(f.RunToEnd(start).outcome.Passed());
  CHECK(std::stoul(f.Output(1)) > 1'200'000);
}
