// Measures a running farm from inside a connected client. run.py starts the farm and sets each figure beside its limit.
//   farm_bench run STATE FILE            submits the pipeline file, waits until it has ended: seconds
//   farm_bench latency STATE COUNT       submissions of one job, one after the other: seconds of each
//   farm_bench push STATE CLONE COUNT    commits and pushes in CLONE, waits for the first log line: seconds of each,
//                                        from the end of `git push`
//   farm_bench artifact STATE DIR SCRATCH  for each line of stdin, brings everything in DIR to the controller as an
//                                        artifact, with the agent's own uploader, its cache of hashes in SCRATCH
//   farm_bench fsync DIR COUNT           appends 4 KiB and syncs: seconds of each. What a commit costs at least
// Each prints one JSON line for each measurement.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/uploads/uploader.h"
#include "common/base/mailbox.h"
#include "common/wire/selector.h"
#include "tests/bench/farm_link.h"

extern char** environ;

namespace furrow::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOneJob = "name: latency\njobs:\n  one:\n    steps:\n      - exec: [/bin/true]\n";

std::string ReadText(const fs::path& path) {
  std::ifstream file(path);
  if (!file) Die("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

void PrintSeconds(double seconds, const std::string& more = {}) {
  std::printf("{\"seconds\": %.6f%s}\n", seconds, more.c_str());
  std::fflush(stdout);
}

int RunFile(const fs::path& state, const fs::path& file) {
  FarmLink farm(state);
  const Submit submit = MakeSubmit(ReadText(file));
  const auto begin = Clock::now();
  const RunSummary run = farm.Run(submit);
  PrintSeconds(SecondsSince(begin),
               ", \"passed\": " + std::to_string(run.jobs.passed) + ", \"jobs\": " + std::to_string(run.jobs.total));
  if (run.state != RunState::kPassed) Die(run.pipeline + " did not pass: " + run.note);
  return 0;
}

int Latency(const fs::path& state, int count) {
  FarmLink farm(state);
  for (int i = 0; i < count; ++i) {
    const Submit submit = MakeSubmit(kOneJob);
    const auto begin = Clock::now();
    if (farm.Run(submit).state != RunState::kPassed) Die("a job did not pass");
    PrintSeconds(SecondsSince(begin));
  }
  return 0;
}

// Runs git in `clone`; its output is dropped.
void Git(const fs::path& clone, std::vector<std::string> words) {
  words.insert(words.begin(), {"git", "-C", clone.string()});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, "git", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) Die("cannot start git");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
  }
  if (status != 0) Die("git " + words[3] + " failed in " + clone.string());
}

// The first attempt of the run's only job, once it has one.
struct WhereLogIs {
  RunId run{};
  AttemptRef attempt;
};
WhereLogIs AwaitAttempt(FarmLink& farm, const std::string& run) {
  const std::uint64_t watch = farm.Send(Watch{Must(ParseSelector(run))});
  for (;;) {
    const ClientReply reply = farm.NextOf(watch);
    for (const JobView& job : std::get<RunUpdate>(reply).jobs)
      if (Raw(job.log_attempt.epoch) != 0) return {job.log_run, job.log_attempt};
  }
}

void AwaitFirstLine(FarmLink& farm, const WhereLogIs& where, std::uint64_t request) {
  LogRead read;
  read.request = request;
  read.run = where.run;
  read.attempt = where.attempt;
  read.follow = true;
  read.credit = 1 << 20;
  farm.SendBulk(read);
  std::string text;
  while (text.find('\n') == std::string::npos) {
    const BulkReply reply = farm.NextBulk();
    if (const auto* error = std::get_if<BulkError>(&reply)) Die(error->message);
    const auto* data = std::get_if<LogData>(&reply);
    if (data == nullptr || data->request != request) continue;
    text += data->bytes;
    if (data->end && text.find('\n') == std::string::npos) Die("the job printed nothing");
  }
}

int Push(const fs::path& state, const fs::path& clone, int count) {
  FarmLink farm(state);
  for (int i = 1; i <= count; ++i) {
    std::ofstream(clone / "change.txt") << "push " << i << '\n';
    Git(clone, {"add", "-A"});
    Git(clone, {"commit", "-q", "-m", "push " + std::to_string(i)});
    const auto push = Clock::now();
    Git(clone, {"push", "-q", "origin", "HEAD"});
    const auto begin = Clock::now();
    const std::string run = "pushed#" + std::to_string(i);
    AwaitFirstLine(farm, AwaitAttempt(farm, run), static_cast<std::uint64_t>(i));
    PrintSeconds(SecondsSince(begin),
                 ", \"push\": " + std::to_string(std::chrono::duration<double>(begin - push).count()));
    const std::uint64_t watch = farm.Send(Watch{Must(ParseSelector(run))});
    for (bool ended = false; !ended;) {
      const ClientReply reply = farm.NextOf(watch);
      ended = std::get<RunUpdate>(reply).run_ended;
    }
  }
  return 0;
}

int Artifact(const fs::path& state, const fs::path& dir, const fs::path& scratch) {
  FarmLink farm(state);
  Mailbox<UploadEvent> events;
  const auto uploader = Must(Uploader::Start(farm.context(), {farm.bulk_options(), scratch},
                                             [&](UploadEvent event) { events.Post(std::move(event)); }));
  std::uint64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const auto begin = Clock::now();
    uploader->Post(Collect{{JobId{++number}, Epoch{1}}, dir.string(), {"**"}});
    Poller poller;
    poller.AddFd(events.fd());
    std::vector<UploadEvent> happened;
    while (happened.empty()) {
      poller.Wait(std::chrono::seconds(1));
      happened = events.TakeAll();
    }
    const double seconds = SecondsSince(begin);
    if (const auto* failed = std::get_if<ArtifactsFailed>(&happened[0])) Die(failed->message);
    const auto* done = std::get_if<ArtifactsCommitted>(&happened[0]);
    if (done == nullptr) Die("nothing to send in " + dir.string());
    PrintSeconds(seconds, ", \"tree\": \"" + done->tree.ToHex() + '"');
  }
  return 0;
}

int Fsync(const fs::path& dir, int count) {
  const fs::path path = dir / "fsync";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) Die("cannot write " + path.string());
  const std::string block(4096, 'x');
  for (int i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    if (::write(fd, block.data(), block.size()) != static_cast<ssize_t>(block.size()) || ::fdatasync(fd) != 0)
      Die("cannot write " + path.string());
    PrintSeconds(SecondsSince(begin));
  }
  ::close(fd);
  fs::remove(path);
  return 0;
}

int Main(const std::vector<std::string>& words) {
  const auto is = [&](const char* command, std::size_t count) {
    return !words.empty() && words[0] == command && words.size() == count + 1;
  };
  if (is("run", 2)) return RunFile(words[1], words[2]);
  if (is("latency", 2)) return Latency(words[1], std::atoi(words[2].c_str()));
  if (is("push", 3)) return Push(words[1], words[2], std::atoi(words[3].c_str()));
  if (is("artifact", 3)) return Artifact(words[1], words[2], words[3]);
  if (is("fsync", 2)) return Fsync(words[1], std::atoi(words[2].c_str()));
  std::fprintf(stderr, "usage: farm_bench run|latency|push|artifact|fsync …; see farm_bench.cpp\n");
  return 2;
}

}  // namespace
}  // namespace furrow::bench

int main(int argc, char** argv) {
  return furrow::bench::Main({argv + 1, argv + argc});
}
