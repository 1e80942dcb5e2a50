#include "controller/bulk/share_work.h"

#include <atomic>
#include <semaphore>
#include <vector>

#include <doctest/doctest.h>

namespace furrow {
namespace {

TEST_CASE("share work: each piece is done once, whoever does it") {
  WorkerPool helpers(2);
  for (const std::size_t count : {0u, 1u, 2u, 3u, 1000u}) {
    std::vector<std::atomic<int>> done(count);
    ShareWork(helpers, count, [&](std::size_t i) { ++done[i]; });
    for (const auto& times : done) CHECK(times == 1);
  }
}

TEST_CASE("share work: a helper that is busy elsewhere is not waited for") {
  std::binary_semaphore go_on(0);
  WorkerPool helpers(1);
  helpers.Run([&] { go_on.acquire(); });
  std::vector<std::atomic<int>> done(100);
  ShareWork(helpers, done.size(), [&](std::size_t i) { ++done[i]; });
  for (const auto& times : done) CHECK(times == 1);
  go_on.release();
}

}  // namespace
}  // namespace furrow
