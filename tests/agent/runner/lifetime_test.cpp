// Agents that come and go, runners that die, disks that fill, garbage: by the real program.
#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "agent/runner/journal.h"
#include "agent/runner/process_tree.h"
#include "agent/runner/socket.h"
#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

TEST_CASE("runner: a client that comes back finds its jobs, and hears of their end") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo go(f.dir() + "/go");
  f.StartRunner();
  f.RunToEnd(f.Shell(1, "exit 4"));
  f.Send({f.Shell(2, "echo up > " + up.path() + "; read x < " + go.path() + "; echo $x")});
  up.Line();
  f.Disconnect();
  f.StartRunner();  // finds the one that is there
  const Listing listing = f.List();
  REQUIRE(listing.attempts.size() == 2);
  CHECK_FALSE(listing.attempts[0].running);
  CHECK(listing.attempts[0].exited.outcome.code == 4);
  CHECK(listing.attempts[0].blob == "blob of 1");
  CHECK(listing.attempts[1].running);
  CHECK(listing.attempts[1].blob == "blob of 2");
  std::ofstream(go.path()) << "gone on\n";
  CHECK(f.AwaitExited(2).outcome.Passed());
  CHECK(f.Output(2) == "gone on\n");
  f.Send({Forget{Ref(1)}});
  CHECK(f.List().attempts.size() == 1);
}

TEST_CASE("runner: one whose program was replaced stays for its jobs, and no longer") {
  Fixture f;
  Fifo go(f.dir() + "/go");
  const std::string program = f.dir() + "/furrow-runner";
  std::filesystem::copy_file(FURROW_RUNNER, program);
  f.StartRunner(program);
  const pid_t pid = f.RunnerPid();
  f.Send({f.Shell(1, "read x < " + go.path())});
  f.AwaitStarted(1);
  std::filesystem::remove(program);
  f.Disconnect();
  f.Connect();
  CHECK(f.RunnerPid() == pid);
  std::ofstream(go.path()) << "on\n";
  CHECK(f.AwaitExited(1).outcome.Passed());
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  REQUIRE(process >= 0);
  f.Disconnect();
  pollfd end{process, POLLIN, 0};
  CHECK(::poll(&end, 1, 8000) == 1);  // without the replacement it waits 10 s for an agent
  ::close(process);
}

TEST_CASE("runner: finished attempts outlive the runner, forgotten ones do not") {
  Fixture f;
  f.StartRunner();
  const Exited exited = f.RunToEnd(f.Shell(1, "exit 5"));
  f.RunToEnd(f.Shell(2, "true"));
  f.Send({Forget{Ref(2)}, Shutdown{false}});
  f.AwaitGone();
  f.StartRunner();
  const Listing listing = f.List();
  REQUIRE(listing.attempts.size() == 1);
  CHECK(listing.attempts[0].exited == exited);
}

TEST_CASE("runner: a shutdown waits for the jobs, or kills them, and refuses new ones") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});
  up.Line();
  f.Send({Shutdown{false}, f.Shell(2, "true")});
  CHECK(f.AwaitExited(2).outcome == Outcome{OutcomeKind::kStartFailed, 0, "the runner is shutting down"});
  f.Send({Shutdown{true}});
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  f.AwaitGone();
}

TEST_CASE("runner: a lease that runs out ends every job, and a later one lets jobs run again") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  const auto in = [](std::chrono::nanoseconds span) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return Lease{static_cast<std::uint64_t>((now + span) / std::chrono::nanoseconds(1))};
  };
  f.Send({in(std::chrono::hours(1)), f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});
  up.Line();
  f.Send({in(std::chrono::milliseconds(20))});  // a new word replaces the old one, also to an earlier end
  const Exited ended = f.AwaitExited(1);
  CHECK(ended.outcome.kind == OutcomeKind::kLost);
  CHECK(ended.outcome.text == "the lease ran out: the controller was not heard");
  f.Send({in(std::chrono::hours(1))});
  CHECK(f.RunToEnd(f.Shell(2, "true")).outcome.Passed());
}

TEST_CASE("runner: SIGTERM kills the jobs and ends it") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});
  up.Line();
  ::kill(f.RunnerPid(), SIGTERM);
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  f.AwaitGone();
}

TEST_CASE("runner: killed itself, its jobs are lost and their processes dead when the next one serves") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  f.RunToEnd(f.Shell(1, "exit 6"));
  f.Send({f.Shell(2, "setsid sh -c 'echo $$ > " + up.path() + "; exec sleep 1000'"),
          f.Job(3, {{"true"}, {"env", "-i", HOSTILE, daemons.path(), "stay"}})});
  const pid_t other_session = up.Pid();
  const pid_t shed = daemons.Pid();  // It has shed all that tells whose it is.
  const pid_t leader = static_cast<pid_t>(f.AwaitStarted(2).pid);
  f.AwaitStarted(3);
  f.KillRunner();
  f.StartRunner();
  CHECK(IsDead(leader));
  CHECK(IsDead(shed));
  CHECK(IsDead(other_session));
  const Listing listing = f.List();
  REQUIRE(listing.attempts.size() == 3);
  CHECK(listing.attempts[0].exited.outcome.code == 6);
  for (const std::size_t i : {1, 2}) {
    CHECK_FALSE(listing.attempts[i].running);
    CHECK(listing.attempts[i].exited.outcome.kind == OutcomeKind::kLost);
    CHECK(listing.attempts[i].blob == "blob of " + std::to_string(i + 1));
  }
  CHECK(listing.attempts[2].exited.step == 1);
  CHECK(f.Output(2) == "furrow: " + listing.attempts[1].exited.outcome.text + "\n");
  CHECK(listing.attempts[1].exited.spool_bytes == f.Output(2).size());
  CHECK(f.RunToEnd(f.Shell(4, "true")).outcome.Passed());
}

TEST_CASE("runner: another process that has the pid of a lost job's leader is left alone") {
  Fixture f;
  f.StartRunner();
  f.Send({Shutdown{false}});
  f.AwaitGone();
  {
    Table table;
    const auto journal = *Journal::Open(f.state() + "/runner.journal", table);
    Entry entry;
    entry.ref = Ref(1);
    entry.boot = BootIdentity();
    entry.token = "of nobody";
    entry.spool = f.spool(1);
    journal->AddStart(entry);
    journal->AddSpawned(Ref(1), {::getpid(), 1, 2});  // as if we had got its pid
    REQUIRE(journal->Flush());
  }
  f.StartRunner();  // and we are still here
  CHECK(f.List().attempts.at(0).exited.outcome.kind == OutcomeKind::kLost);
}

TEST_CASE("runner: a second one for the same folder is refused, and the first goes on") {
  Fixture f;
  f.StartRunner();
  const pid_t first = f.RunnerPid();
  const pid_t second = ::fork();
  if (second == 0) {
    ::execl(FURROW_RUNNER, "furrow-runner", "--state", f.state().c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  REQUIRE(::waitpid(second, &status, 0) == second);
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(f.RunnerPid() == first);
  CHECK(f.RunToEnd(f.Shell(1, "true")).outcome.Passed());
}

TEST_CASE("runner: garbage closes its connection and nothing else") {
  Fixture f;
  f.StartRunner();
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\xff'), std::string("\0\0\0\0", 4)}) {
    const auto fd = ConnectSocket(f.state());
    REQUIRE(fd.has_value());
    CHECK(::send(*fd, garbage.data(), garbage.size(), MSG_NOSIGNAL) > 0);
    char buffer[256];
    for (;;) {
      pollfd wait{*fd, POLLIN, 0};
      REQUIRE(::poll(&wait, 1, kPatienceMs) == 1);
      if (::recv(*fd, buffer, sizeof(buffer), 0) <= 0) break;  // its Hello first, then the end
    }
    ::close(*fd);
  }
  CHECK(f.RunToEnd(f.Shell(1, "true")).outcome.Passed());
}

TEST_CASE("runner: a client that reads nothing delays nobody") {
  Fixture f;
  f.StartRunner();
  auto idle = RunnerClient::Connect(f.state());
  REQUIRE(idle.has_value());
  Start large = f.Shell(1, "true");
  large.blob.assign(kMaxBlobBytes, 'b');
  f.RunToEnd(large);
  REQUIRE(idle->Send(std::vector<Request>(8, List{})));  // 32 MiB for it, far more than a socket holds
  CHECK(f.RunToEnd(f.Shell(2, "true")).outcome.Passed());
  CHECK(f.List().attempts.at(0).blob == large.blob);
}

TEST_CASE("runner: the socket is its user's alone") {
  Fixture f;
  f.StartRunner();
  struct stat info {};
  REQUIRE(::stat((f.state() + "/runner.sock").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("runner: a state folder with a very long path can be served") {
  Fixture f;
  const std::string state = f.dir() + "/" + std::string(120, 'x') + "/state";
  REQUIRE(StartRunner(state, FURROW_RUNNER));
  auto client = RunnerClient::Connect(state);
  REQUIRE(client.has_value());
  REQUIRE(client->Send({Shutdown{true}}));
  pollfd wait{client->fd(), POLLIN, 0};
  while (::poll(&wait, 1, kPatienceMs) == 1 && client->Receive()) {
  }
}

TEST_CASE("runner: what keeps it from starting is told to the agent") {
  Fixture f;
  CHECK(StartRunner(f.state(), f.dir() + "/no-such-program").error().code == Errc::kNotFound);
  std::filesystem::create_directories(f.state());
  std::ofstream(f.state() + "/runner.journal", std::ios::binary) << std::string("FURROWRJ\x63\0\0\0", 12);
  const Status newer = StartRunner(f.state(), FURROW_RUNNER);
  REQUIRE_FALSE(newer.has_value());
  CHECK_MESSAGE(newer.error().message.find("format 99") != std::string::npos, newer.error().message);
  CHECK(RunnerClient::Connect(f.state()).error().code == Errc::kUnavailable);
}

TEST_CASE("runner: a full disk refuses new jobs with a clear word, and lets the running one end") {
  Fixture f;
  std::filesystem::create_directories(f.state());
  if (::mount("tmpfs", f.state().c_str(), "tmpfs", 0, "size=512k") != 0) {
    MESSAGE("not allowed to mount a small tmpfs here: the journal's own test covers a full disk");
    return;
  }
  Fifo up(f.dir() + "/up");
  Fifo go(f.dir() + "/go");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; read x < " + go.path())});
  up.Line();
  Start large = f.Shell(2, "true");
  large.blob.assign(1 << 20, 'b');
  const Exited refused = f.RunToEnd(large);
  CHECK(refused.outcome.kind == OutcomeKind::kStartFailed);
  CHECK_MESSAGE(refused.outcome.text.find("disk is full") != std::string::npos, refused.outcome.text);
  {
    std::ofstream filler(f.state() + "/filler", std::ios::binary);
    filler << std::string(1 << 20, 'x') << std::flush;
    CHECK_FALSE(filler.good());
  }
  std::ofstream(go.path()) << "\n";
  CHECK(f.AwaitExited(1).outcome.Passed());
  f.KillRunner();  // was that end on disk?
  std::filesystem::remove(f.state() + "/filler");
  f.StartRunner();
  const Listing listing = f.List();
  REQUIRE(listing.attempts.size() == 1);
  CHECK(listing.attempts[0].exited.outcome.Passed());
  CHECK(f.RunToEnd(f.Shell(3, "true")).outcome.Passed());
  f.Send({Shutdown{true}});
  f.AwaitGone();
  CHECK(::umount2(f.state().c_str(), MNT_DETACH) == 0);
}
