// The machine's own rate of starting processes, beside which the farm's is set: /bin/true by bare posix_spawn + wait,
// two at a time. Prints one JSON line.
//   spawn_bench JOBS
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

extern char** environ;

int main(int argc, char** argv) {
  constexpr int kAtATime = 2;
  const int jobs = argc == 2 ? std::atoi(argv[1]) : 0;
  if (jobs <= 0) {
    std::fprintf(stderr, "usage: spawn_bench JOBS\n");
    return 2;
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int started = 0, ended = 0; ended < jobs;) {
    for (; started < jobs && started - ended < kAtATime; ++started) {
      char program[] = "/bin/true";
      char* words[] = {program, nullptr};
      pid_t pid = 0;
      if (::posix_spawn(&pid, program, nullptr, nullptr, words, environ) != 0) {
        std::fprintf(stderr, "spawn_bench: cannot start /bin/true\n");
        return 1;
      }
    }
    if (::wait(nullptr) > 0) ++ended;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("{\"jobs\": %d, \"seconds\": %.6f}\n", jobs, seconds);
}
