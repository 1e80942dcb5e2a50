// How much of the machine's rate of starting processes is left when furrow-runner starts them: /bin/true, two at a
// time, by bare posix_spawn + wait and through the runner's socket (journalled, with a blob, forgotten after its end),
// in turns within the same run. Once with workspaces and spools used again, which is held to the limit; once with new
// ones for each job, which measures the file system: before ext4 gives out an inode it looks at all those that were
// deleted in the last five seconds, half a millisecond at this rate.
//   runner_bench [JOBS]      10,000 by default; exit 1 below the limit
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "agent/runner/client.h"

extern char** environ;

namespace {

using namespace furrow;
using namespace furrow::runner;
using Clock = std::chrono::steady_clock;

constexpr double kLimit = 0.8;
constexpr int kAtATime = 2;
constexpr int kRounds = 10;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "runner_bench: %s\n", why.c_str());
  std::exit(2);
}

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

double Bare(int jobs) {
  const auto begin = Clock::now();
  int started = 0;
  for (int ended = 0; ended < jobs;) {
    while (started < jobs && started - ended < kAtATime) {
      char program[] = "/bin/true";
      char* argv[] = {program, nullptr};
      pid_t pid = 0;
      if (::posix_spawn(&pid, program, nullptr, nullptr, argv, environ) != 0) Die("posix_spawn failed");
      ++started;
    }
    if (::wait(nullptr) > 0) ++ended;
  }
  return Seconds(begin);
}

Start MakeStart(const std::string& dir, std::uint64_t job, std::uint64_t place) {
  Start start;
  start.ref = {JobId{job}, Epoch{1}};
  start.workspace = dir + "/work/" + std::to_string(place);
  start.spool = dir + "/spool/" + std::to_string(place);
  start.metrics = start.workspace + ".metrics";
  for (char** item = environ; *item != nullptr; ++item) start.env.push_back(*item);
  start.steps = {{{"/bin/true"}, "exec /bin/true"}};
  start.kill_grace_ms = 10'000;
  start.log_quota_bytes = 1ull << 30;
  start.blob.assign(400, 'b');
  return start;
}

double ByRunner(RunnerClient& client, const std::string& dir, int jobs, bool again, std::uint64_t& next) {
  const auto begin = Clock::now();
  int started = 0;
  std::vector<Request> requests;
  std::vector<std::uint64_t> places;  // the free ones
  std::map<AttemptRef, std::uint64_t> taken;
  for (std::uint64_t place = 1; place <= kAtATime; ++place) places.push_back(place);
  for (int ended = 0; ended < jobs;) {
    for (; started < jobs && started - ended < kAtATime; ++started, ++next) {
      const std::uint64_t place = places.back();
      places.pop_back();
      Start start = MakeStart(dir, next, again ? place : next + kAtATime);
      taken[start.ref] = place;
      if (again && ::truncate(start.spool.c_str(), 0) != 0 && errno != ENOENT) Die("cannot empty a spool");
      requests.emplace_back(std::move(start));
    }
    if (!requests.empty() && !client.Send(requests)) Die("the runner is gone");
    requests.clear();
    pollfd wait{client.fd(), POLLIN, 0};
    ::poll(&wait, 1, -1);
    const auto events = client.Receive();
    if (!events) Die(events.error().message);
    for (const Event& event : *events) {
      const auto* exited = std::get_if<Exited>(&event);
      if (exited == nullptr) continue;
      if (!exited->outcome.Passed()) Die("a job failed: " + exited->outcome.text);
      requests.emplace_back(Forget{exited->ref});
      places.push_back(taken[exited->ref]);
      taken.erase(exited->ref);
      ++ended;
    }
  }
  return Seconds(begin);
}

}  // namespace

int main(int argc, char** argv) {
  const int jobs = argc > 1 ? std::atoi(argv[1]) : 10'000;
  std::string dir = "/tmp/furrow-runner-bench-XXXXXX";
  if (jobs < kRounds || ::mkdtemp(dir.data()) == nullptr) Die("usage: runner_bench [JOBS]");
  std::filesystem::create_directories(dir + "/spool");
  std::filesystem::create_directories(dir + "/work");
  if (const Status status = StartRunner(dir + "/state", FURROW_RUNNER); !status) Die(status.error().message);
  auto client = RunnerClient::Connect(dir + "/state");
  if (!client) Die(client.error().message);

  double bare = 0;
  double by_runner = 0;
  double with_new = 0;
  std::uint64_t next = 1;
  for (int round = 0; round < kRounds; ++round) {  // in turns, so that whatever else runs here disturbs both
    bare += Bare(jobs / kRounds);
    by_runner += ByRunner(*client, dir, jobs / kRounds, true, next);
    with_new += ByRunner(*client, dir, jobs / kRounds, false, next);
  }
  if (client->Send({Shutdown{true}})) {
    pollfd wait{client->fd(), POLLIN, 0};
    while (::poll(&wait, 1, -1) == 1 && client->Receive()) {
    }
  }
  std::filesystem::remove_all(dir);
  const double ratio = bare / by_runner;
  std::printf("bare posix_spawn + wait            %6.0f jobs/s\n", jobs / bare);
  std::printf("furrow-runner                      %6.0f jobs/s  ratio %.2f, limit %.2f\n", jobs / by_runner, ratio,
              kLimit);
  std::printf("  with new folders and files each  %6.0f jobs/s\n", jobs / with_new);
  return ratio >= kLimit ? 0 : 1;
}
