// Steps, outcomes and output, by the real program.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

TEST_CASE("runner: steps run in order, in the workspace, with just the given environment") {
  Fixture f;
  f.StartRunner();
  Start start = f.Job(1, {{"sh", "-c", "echo one; pwd"}, {"sh", "-c", "echo two >&2"}, {"env"}});
  start.metrics = "/some/metrics";
  start.env.push_back("FURROW_TOKEN=forged");
  const Exited exited = f.RunToEnd(start);
  CHECK(exited.outcome.Passed());
  CHECK(exited.step == 2);
  const std::string output = f.Output(1);
  CHECK(output.starts_with("one\n" + start.workspace + "\ntwo\n"));
  CHECK(output.find("FURROW_METRICS=/some/metrics\n") != std::string::npos);
  CHECK(output.find("FURROW_TOKEN=1-1-") != std::string::npos);
  CHECK(output.find("forged") == std::string::npos);
  CHECK(output.find("HOME=") == std::string::npos);
  CHECK(exited.spool_bytes == output.size());
  CHECK(exited.max_rss_bytes > 0);
  CHECK(Raw(exited.ref.job) == 1);
}

TEST_CASE("runner: a step that fails ends the job with its exit code") {
  Fixture f;
  f.StartRunner();
  const Exited exited = f.RunToEnd(f.Job(1, {{"true"}, {"sh", "-c", "exit 7"}, {"echo", "never"}}));
  CHECK(exited.outcome == Outcome{OutcomeKind::kExited, 7, ""});
  CHECK(exited.step == 1);
  CHECK(f.Output(1).empty());
}

TEST_CASE("runner: death by a signal is told with the signal") {
  Fixture f;
  f.StartRunner();
  const Outcome outcome = f.RunToEnd(f.Shell(1, "kill -SEGV $$")).outcome;
  CHECK(outcome.kind == OutcomeKind::kSignaled);
  CHECK(outcome.code == 11);
  CHECK(f.Output(1) == "furrow: exit status 139: " + outcome.text + "\n");
}

TEST_CASE("runner: a step starts with no descriptor, no blocked and no ignored signal of ours") {
  Fixture f;
  f.StartRunner();
  CHECK(f.RunToEnd(
             f.Shell(1, "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status; grep SigIgn /proc/self/status; cat"))
            .outcome.Passed());
  const std::string output = f.Output(1);
  const std::string before = "4\nSigBlk:\t0000000000000000\nSigIgn:\t";  // 0, 1, 2 and the one that ls itself opens
  REQUIRE(output.starts_with(before));
  CHECK((std::stoull(output.substr(before.size()), nullptr, 16) & 0x7FFFFFFF) == 0);  // glibc ignores two of its own
}

TEST_CASE("runner: a step has the umask that the agent was started with, the runner's files are its user's alone") {
  Fixture f;
  const mode_t before = ::umask(0);
  f.StartRunner();
  ::umask(before);
  CHECK(f.RunToEnd(f.Shell(1, "umask; touch made; stat -c %a made")).outcome.Passed());
  CHECK(f.Output(1) == "0022\n644\n");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(f.state())) {
    struct stat facts {};
    REQUIRE(::lstat(entry.path().c_str(), &facts) == 0);
    CHECK_MESSAGE((facts.st_mode & 077) == 0, entry.path().string());
  }
}

TEST_CASE("runner: a program that cannot be started is explained in outcome and output") {
  Fixture f;
  f.StartRunner();
  const auto fails = [&](std::uint64_t job, const std::string& program, const std::string& words) {
    Start start = f.Job(job, {{"true"}, {program, "x"}});
    const Exited exited = f.RunToEnd(start);
    CHECK(exited.outcome.kind == OutcomeKind::kStartFailed);
    CHECK(exited.step == 1);
    CHECK_MESSAGE(exited.outcome.text.find(words) != std::string::npos, exited.outcome.text);
    CHECK(f.Output(job) == "furrow: " + exited.outcome.text + "\n");
    CHECK(exited.spool_bytes == f.Output(job).size());
  };
  fails(1, "no-such-program",
        "step 2 `no-such-program`: cannot start `no-such-program`: No such file or directory; is it "
        "installed on this agent and on PATH?");
  fails(2, "./gone.sh", "is it in the workspace");
  std::ofstream(f.dir() + "/script") << "echo hi\n";
  fails(3, f.dir() + "/script", "chmod +x");
  ::chmod((f.dir() + "/script").c_str(), 0755);
  fails(4, f.dir() + "/script", "#!/bin/sh");
  std::ofstream(f.dir() + "/script") << "#!/no/such/interpreter\n";
  fails(5, f.dir() + "/script", "interpreter");
}

TEST_CASE("runner: a workspace or spool that cannot be is explained") {
  Fixture f;
  f.StartRunner();
  std::ofstream(f.dir() + "/file") << "x";
  Start start = f.Shell(1, "true");
  start.workspace = f.dir() + "/file/workspace";
  CHECK(f.RunToEnd(start).outcome.text.find("cannot make the folder " + start.workspace) != std::string::npos);
  start = f.Shell(2, "true");
  start.spool = f.dir() + "/no-folder/spool";
  CHECK(f.RunToEnd(start).outcome.text.find(start.spool) != std::string::npos);
  start = f.Shell(3, "true");
  start.steps.clear();
  CHECK(f.RunToEnd(start).outcome.kind == OutcomeKind::kStartFailed);
}

TEST_CASE("runner: many jobs at once, each output whole") {
  Fixture f;
  f.StartRunner();
  std::vector<Request> starts;
  for (std::uint64_t job = 1; job <= 20; ++job)
    starts.push_back(
        f.Shell(job, "i=0; while [ $i -lt 1000 ]; do echo job " + std::to_string(job) + " line $i; i=$((i+1)); done"));
  f.Send(starts);
  for (std::uint64_t job = 1; job <= 20; ++job) {
    std::string expected;
    for (int line = 0; line < 1000; ++line)
      expected += "job " + std::to_string(job) + " line " + std::to_string(line) + "\n";
    const Exited exited = f.AwaitExited(job);
    CHECK(exited.outcome.Passed());
    CHECK(exited.spool_bytes == expected.size());
    CHECK(f.Output(job) == expected);
  }
}

TEST_CASE("runner: the same start again is answered with what is true, and not run again") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  const Start start = f.Shell(1, "echo x; echo up > " + up.path() + "; exec cat " + up.path() + ".end");
  Fifo end(up.path() + ".end");
  f.Send({start});
  const Started first = f.AwaitStarted(1);
  up.Line();
  f.Send({start});
  CHECK(f.AwaitStarted(1) == first);
  f.Send({Kill{Ref(1), "enough", 0}});
  const Exited exited = f.AwaitExited(1);
  f.Send({start});
  CHECK(f.AwaitExited(1) == exited);
  CHECK(f.Output(1) == "x\nfurrow: killed: enough\n");
}

TEST_CASE("runner: an output over the quota ends the job and is cut to it") {
  Fixture f;
  f.StartRunner();
  Start endless = f.Job(1, {{"yes", "a line of output"}});
  endless.log_quota_bytes = 100'001;
  Start brief = f.Shell(2, "head -c 5000 /dev/zero");  // over before anyone looked
  brief.log_quota_bytes = 4000;
  Start exact = f.Shell(3, "head -c 4000 /dev/zero");
  exact.log_quota_bytes = 4000;
  for (const Start& start : {endless, brief}) {
    const Exited exited = f.RunToEnd(start);
    const std::uint64_t job = Raw(start.ref.job);
    CHECK(exited.outcome.kind == OutcomeKind::kLogQuota);
    const std::string output = f.Output(job);
    CHECK(output.substr(start.log_quota_bytes) == "\nfurrow: " + exited.outcome.text + "\n");
    CHECK(exited.spool_bytes == output.size());
  }
  CHECK(f.RunToEnd(exact).outcome.Passed());
}
