#include "controller/cli/follow/log_streams.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "common/logs/frames.h"
#include "tests/support/data_farm.h"

namespace furrow::cli {
namespace {

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};

// Streams from a real bulk endpoint, whose one log holds "hello".
struct Rig : test::DataFarm {
  Rig() {
    Grant(kAttempt);
    LogAppend append{kAttempt, 0, 5, {}};
    FrameEncoder().Append(kAttempt, 0, AsBytes(std::string("hello")), append.compressed);
    test::BulkPeer peer(*this, agent);
    peer.Say(append);
    REQUIRE(peer.HearA<LogAck>().durable == 5);
    const std::string address = Options(client).address;
    farm = FarmClient::Open([this, address]() -> Result<FarmAddress> {
             return FarmAddress{address, address, server_keys.public_key, client, "the test"};
           }).value();
    streams = std::make_unique<LogStreams>(*farm);
  }
  void Open(std::uint64_t name) { streams->Open(name, {run, kAttempt, 0, 0, true}); }
  // Waits for the next news.
  LogNews Await() {
    for (int i = 0; i < 3000; ++i) {
      if (auto news = streams->Next()) return *news;
      farm->Wait(std::chrono::milliseconds(10));
    }
    FAIL("no news came");
    return {};
  }

  std::unique_ptr<FarmClient> farm;
  std::unique_ptr<LogStreams> streams;
};

TEST_CASE("log streams: one that is opened anew between its bytes and its end is read from the start") {
  Rig rig;
  for (int time = 0; time < 3; ++time) {
    rig.Open(1);
    const LogNews news = rig.Await();
    CHECK(news.name == 1);
    CHECK(news.bytes == "hello");
    CHECK_FALSE(news.ended);
  }
  CHECK(rig.streams->count() == 1);
}

TEST_CASE("log streams: when all end at once, one that is closed meanwhile says nothing more") {
  Rig rig;
  for (const std::uint64_t name : {1, 2, 3}) {
    rig.Open(name);
    CHECK(rig.Await().bytes == "hello");
  }
  REQUIRE(rig.farm->SendBulk(LogOpen{kAttempt}));  // A client may not, and the refusal names no request.
  const LogNews first = rig.Await();
  CHECK(first.name == 1);
  CHECK(first.ended);
  CHECK(first.end == 5);
  CHECK_FALSE(first.status.has_value());
  rig.streams->Close(2);
  const LogNews second = rig.Await();
  CHECK(second.name == 3);
  CHECK(second.ended);
  CHECK_FALSE(rig.streams->Next().has_value());
}

}  // namespace
}  // namespace furrow::cli
