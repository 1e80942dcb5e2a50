#include "agent/uploads/log.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <variant>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "tests/support/temp_folder.h"

namespace furrow::test {
namespace {

using std::chrono::milliseconds;

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};
constexpr std::uint64_t kLarge = 10 << 20;  // too large to go inline

// A log on its way, past its first 20 ms, on a manual clock and without a network.
struct Rig {
  explicit Rig(bool resumed = false) : upload({kAttempt, folder / "spool", "", 0, resumed}, now) { Pass(20); }
  void Pass(int ms) { now += milliseconds(ms); }
  void Print(const std::string& text) {
    std::ofstream(folder / "spool", std::ios::app) << text;
    upload.OnGrown(now);
    Pass(100);
  }
  // Sends what there is to send.
  std::string Step(bool may_append = true) {
    const auto request = upload.Next(now, may_append, {encoder, buffer, beside});
    if (!request) return "nothing";
    upload.Sent(*request, now);
    if (std::holds_alternative<LogOpen>(*request)) return "open";
    if (const auto* seal = std::get_if<LogSeal>(&*request)) return "seal " + std::to_string(seal->length);
    const auto& append = std::get<LogAppend>(*request);
    return std::to_string(append.offset) + "+" + std::to_string(append.raw_length);
  }
  void Ack(std::uint64_t durable) { upload.OnAck({kAttempt, durable}, now); }
  void Seal(const std::string& error = "") { upload.OnSealed({kAttempt, error}, now); }
  void Fail(Errc code = Errc::kUnavailable) { upload.OnError({0, kAttempt, {}, code, "no"}, now); }
  bool Sleeps(bool may_append = true) const { return !upload.wake_at(now, may_append); }
  // How long Next is put off.
  std::int64_t PauseMs() const {
    return std::chrono::duration_cast<milliseconds>(*upload.wake_at(now, true) - now).count();
  }

  TempFolder folder;
  FrameEncoder encoder;
  std::string buffer;
  HashBeside beside;
  LogUpload::Time now{std::chrono::hours(1)};
  LogUpload upload;
};

// What every state but those that wait for it has to bear: answers that come late or for nothing.
void BearAnswers(Rig& rig, LogState state) {
  CHECK(rig.upload.state() == state);
  if (state != LogState::kAsked) rig.Ack(0);
  if (state != LogState::kSealing) {
    rig.Seal();
    rig.Seal("other bytes");
  }
  CHECK(rig.upload.state() == state);
}

TEST_CASE("log upload: the first frame of all needs no question, whatever was lost before it") {
  Rig rig;
  rig.Print("one\n");
  BearAnswers(rig, LogState::kNew);
  SUBCASE("nothing was lost") {}
  SUBCASE("the connection") {
    rig.upload.OnDisconnected();
  }
  SUBCASE("answers about other logs") {
    rig.upload.OnSilence(rig.now);
  }
  SUBCASE("something, says the controller") {
    rig.Fail(Errc::kRejected);
    CHECK(rig.Step() == "nothing");
    rig.Pass(2'000);
  }
  CHECK(rig.upload.state() == LogState::kNew);
  CHECK(rig.Step() == "0+4");
  CHECK(rig.upload.state() == LogState::kSending);
}

TEST_CASE("log upload: a new log whose spool is gone is sealed empty, or goes inline") {
  Rig rig;
  rig.upload.OnFinish(kLarge, rig.now);
  CHECK_FALSE(rig.upload.CanGoInline());
  CHECK(rig.Step() == "seal 0");
  CHECK(rig.upload.state() == LogState::kSealing);
  CHECK(rig.upload.CanGoInline());
}

TEST_CASE("log upload: what an earlier process sent is asked for, and sending goes on behind it") {
  Rig rig(true);
  rig.Print("one\ntwo\n");
  BearAnswers(rig, LogState::kUnsure);
  CHECK_FALSE(rig.Sleeps());
  CHECK(rig.Step() == "open");
  BearAnswers(rig, LogState::kAsked);
  CHECK(rig.Step() == "nothing");
  CHECK(rig.Sleeps());
  CHECK(rig.upload.WaitsForAnswer());
  rig.Ack(4);
  CHECK(rig.upload.state() == LogState::kSending);
  CHECK(rig.Step() == "4+4");
  rig.upload.OnFinish(8, rig.now);
  rig.Ack(8);
  CHECK(rig.Step() == "seal 8");
  rig.Seal();
  CHECK(rig.upload.hash() == HashOf("one\ntwo\n"));
}

TEST_CASE("log upload: a small log goes inline only if the controller is known to have nothing of it") {
  Rig rig(true);
  rig.Print("one\n");
  rig.upload.OnFinish(4, rig.now);
  CHECK_FALSE(rig.upload.CanGoInline());
  CHECK(rig.Step() == "open");
  CHECK_FALSE(rig.upload.CanGoInline());
  SUBCASE("it has nothing") {
    rig.Ack(0);
    CHECK(rig.upload.CanGoInline());
    CHECK(rig.Step() == "nothing");
  }
  SUBCASE("it has some") {
    rig.Ack(1);
    CHECK_FALSE(rig.upload.CanGoInline());
    CHECK(rig.Step() == "1+3");
  }
}

TEST_CASE("log upload: frames go while there is room, acknowledgements are counted, the seal comes last") {
  Rig rig;
  rig.Print("one\n");
  CHECK(rig.Step(false) == "nothing");
  CHECK(rig.Sleeps(false));
  CHECK_FALSE(rig.Sleeps(true));
  CHECK(rig.Step() == "0+4");
  CHECK(rig.Step() == "nothing");  // nothing new
  CHECK(rig.Sleeps());
  rig.Print("two\n");
  CHECK(rig.Step() == "4+4");
  CHECK(rig.upload.under_way() == 2);
  BearAnswers(rig, LogState::kSending);
  rig.Ack(4);
  CHECK(rig.upload.under_way() == 1);
  rig.Ack(9);  // more than was sent
  CHECK(rig.upload.under_way() == 1);
  rig.upload.OnFinish(8, rig.now);
  CHECK(rig.Step() == "nothing");  // not yet durable
  CHECK(rig.Sleeps());
  rig.Ack(8);
  CHECK_FALSE(rig.Sleeps());
  CHECK(rig.Step() == "seal 8");
  BearAnswers(rig, LogState::kSealing);
  CHECK(rig.Step() == "nothing");
  CHECK(rig.Sleeps());
  rig.Seal();
  BearAnswers(rig, LogState::kSealed);
  rig.Fail();
  rig.upload.OnDisconnected();
  rig.upload.OnFinish(4, rig.now);
  CHECK(rig.upload.state() == LogState::kSealed);
  CHECK(rig.Step() == "nothing");
  CHECK(rig.Sleeps());
}

TEST_CASE("log upload: whatever is lost on the way, the controller is asked where to go on") {
  Rig rig;
  rig.Print("one\n");
  CHECK(rig.Step() == "0+4");
  std::string next = "0+4";
  std::uint64_t durable = 0;
  SUBCASE("while it sends") {}
  SUBCASE("while it asks") {
    rig.upload.OnDisconnected();
    CHECK(rig.Step() == "open");
  }
  SUBCASE("while it seals") {
    rig.upload.OnFinish(4, rig.now);
    rig.Ack(4);
    CHECK(rig.Step() == "seal 4");
    durable = 4;
    next = "seal 4";
  }
  for (const bool broken : {true, false}) {
    broken ? rig.upload.OnDisconnected() : rig.Fail();
    CHECK(rig.upload.state() == LogState::kUnsure);
    CHECK(rig.upload.under_way() == 0);
    CHECK_FALSE(rig.upload.WaitsForAnswer());
    CHECK(rig.Step() == "open");
  }
  rig.Ack(durable);
  CHECK(rig.Step() == next);
}

TEST_CASE("log upload: pauses between tries double until something is acknowledged; a break ends one") {
  Rig rig(true);
  rig.Print("one\n");
  for (const int pause : {0, 50, 100, 200}) {
    rig.upload.OnSilence(rig.now);
    CHECK(rig.PauseMs() == pause);
    rig.Fail();  // one of several about the same loss
    CHECK(rig.PauseMs() == pause);
  }
  CHECK(rig.Step() == "nothing");
  rig.upload.OnDisconnected();
  CHECK(rig.PauseMs() == 0);
  CHECK(rig.Step() == "open");
  rig.Ack(0);
  CHECK(rig.Step() == "0+4");
  rig.Ack(4);
  rig.Fail(Errc::kRejected);
  CHECK(rig.PauseMs() == 2'000);
  rig.upload.OnSilence(rig.now);
  CHECK(rig.PauseMs() == 50);
}

TEST_CASE("log upload: a log that was cut behind what was sent is asked for, found to be another, and replaced") {
  Rig rig;
  rig.Print("one\ntwo\n");
  CHECK(rig.Step() == "0+8");
  SUBCASE("while it sends") {}
  SUBCASE("while it is unsure") {
    rig.upload.OnDisconnected();
  }
  SUBCASE("while it asks") {
    rig.upload.OnDisconnected();
    CHECK(rig.Step() == "open");
  }
  SUBCASE("while it seals") {
    rig.upload.OnFinish(8, rig.now);
    rig.Ack(8);
    CHECK(rig.Step() == "seal 8");
  }
  std::filesystem::resize_file(rig.folder / "spool", 4);
  rig.upload.OnFinish(4, rig.now);
  CHECK(rig.upload.state() == LogState::kUnsure);
  CHECK(rig.Step() == "open");
  rig.Ack(8);
  CHECK(rig.Step() == "seal 4");
  CHECK(rig.upload.hash() == HashOf("one\n"));
  rig.Seal("it has 8 bytes");
  CHECK(rig.upload.state() == LogState::kUnsure);
  CHECK(rig.PauseMs() == 50);
  rig.Pass(50);
  CHECK(rig.Step() == "open");
  rig.Ack(0);
  CHECK(rig.upload.CanGoInline());
}

}  // namespace
}  // namespace furrow::test
