#include "common/daemon/reloader.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <future>

namespace furrow {
namespace {

template <class T>
Result<T> Await(Reloader<T>& reloader) {
  for (;;) {
    pollfd wait{reloader.fd(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 60'000) == 1);
    if (auto read = reloader.Take()) return std::move(*read);
  }
}

TEST_CASE("reloader: what was read comes back, once") {
  Reloader<int> reloader([]() -> Result<int> { return 7; });
  CHECK_FALSE(reloader.Take());

  reloader.Begin();

  CHECK(*Await(reloader) == 7);
  CHECK_FALSE(reloader.Take());
}

TEST_CASE("reloader: an error comes back as one") {
  Reloader<int> reloader([]() -> Result<int> { return Fail(Errc::kInvalid, "wrong"); });
  reloader.Begin();
  CHECK(Await(reloader).error().message == "wrong");
}

TEST_CASE("reloader: asked again while it reads, it reads again and only the last counts") {
  std::atomic<int> reads = 0;
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  Reloader<int> reloader([&]() -> Result<int> {
    gate.wait();
    return ++reads;
  });
  reloader.Begin();
  reloader.Begin();
  reloader.Begin();
  go.set_value();

  CHECK(*Await(reloader) == 2);
  CHECK_FALSE(reloader.Take());
  CHECK(reads == 2);
}

}  // namespace
}  // namespace furrow
