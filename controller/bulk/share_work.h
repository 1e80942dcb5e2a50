// ShareWork shares one worker's list of similar pieces of work with a helper that may have no time.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "common/base/worker_pool.h"

namespace furrow {

// Calls work(0) … work(count - 1), each once, on the calling thread and one of `helpers`, and returns when all calls
// have returned. Never waits for a helper that has not begun.
inline void ShareWork(WorkerPool& helpers, std::size_t count, std::function<void(std::size_t)> work) {
  struct Shared {
    Shared(std::function<void(std::size_t)> given, std::size_t times) : work(std::move(given)), count(times) {}
    std::function<void(std::size_t)> work;
    std::size_t count;
    std::atomic<std::size_t> next{0}, done{0};
    void Help() {
      for (std::size_t i = next++; i < count; i = next++) {
        work(i);
        if (++done == count) done.notify_all();
      }
    }
  };
  if (count < 2) {
    for (std::size_t i = 0; i < count; ++i) work(i);
    return;
  }
  const auto shared = std::make_shared<Shared>(std::move(work), count);
  helpers.Run([shared] { shared->Help(); });
  shared->Help();
  for (std::size_t done = shared->done; done < count; done = shared->done) shared->done.wait(done);
}

}  // namespace furrow
