#include "controller/bulk/log_readers.h"

#include <map>
#include <memory>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/logs/frames.h"
#include "tests/support/data_farm.h"
#include "tests/support/temp_folder.h"

namespace furrow::test {
namespace {

constexpr RunId kRun{7};
constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};
constexpr PeerId kPeer = 3;
constexpr std::uint64_t kPlenty = 1 << 20;

// Log readers whose workers' answers arrive when the test says so.
struct Rig {
  Rig() {
    logs = LogStore::Open(folder / "logs").value();
    readers = std::make_unique<LogReaders>(
        *logs, [this](RunId, AttemptRef) { return history; }, pool,
        [this](PeerId, const BulkReply& reply) {
          sent.push_back(reply);
          if (ends) More(0);
          return room;
        },
        [this](LogChunkRead read) { reads.Add(std::move(read)); });
  }
  void Open(std::uint64_t credit, bool follow = true, bool live = true) {
    readers->OnLogRead(kPeer, LogRead{5, kRun, kAttempt, 0, 0, follow, credit}, live);
  }
  void More(std::uint64_t credit) { readers->OnLogMore(kPeer, LogMore{5, credit}); }
  void Append(const std::string& text) {
    std::string frame;
    encoder.Append(kAttempt, length, AsBytes(text), frame);
    length = logs->Append(kRun, AsBytes(frame)).value();
  }
  // Appends and says so.
  void Grow(const std::string& text) {
    Append(text);
    readers->OnMoved(kAttempt);
  }
  // Whether a worker has been asked; its answer is ready then.
  bool Asked() {
    std::binary_semaphore done{0};
    pool.Run([&done] { done.release(); });  // the only worker gets here after what it was asked before
    done.acquire();
    return !reads.Empty();
  }
  void Answer() {
    REQUIRE(Asked());
    readers->OnRead(*reads.Next());
  }
  // What was sent since the last call, which is nothing or one message.
  std::string Sent() {
    const std::vector<BulkReply> taken = std::exchange(sent, {});
    REQUIRE(taken.size() <= 1);
    if (taken.empty()) return "nothing";
    if (const auto* error = std::get_if<BulkError>(&taken[0])) return "error: " + error->message;
    const auto& data = std::get<LogData>(taken[0]);
    return data.bytes + (data.end ? "|" : "");
  }

  TempFolder folder;
  std::unique_ptr<LogStore> logs;
  std::optional<LogRecord> history;
  FrameEncoder encoder;
  std::uint64_t length = 0;
  bool room = true;
  bool ends = false;  // Sending ends the stream, as a peer does that is found to be gone.
  std::vector<BulkReply> sent;
  Events<LogChunkRead> reads;
  std::unique_ptr<LogReaders> readers;
  WorkerPool pool{1};  // last: its thread uses the above
};

TEST_CASE("log readers: a stream is read to the end of what is there, then again when there is news") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(kPlenty);  // kDue → kReading
  rig.Answer();       // → kIdle
  CHECK(rig.Sent() == "one\n");
  CHECK_FALSE(rig.Asked());
  rig.readers->Resume(kPeer);  // kIdle stays
  CHECK_FALSE(rig.Asked());
  rig.Grow("two\n");  // → kDue → kReading
  rig.Answer();
  CHECK(rig.Sent() == "two\n");
  CHECK_FALSE(rig.Asked());
}

TEST_CASE("log readers: nothing is read without credit, whatever happens") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(0);  // kDue
  CHECK_FALSE(rig.Asked());
  rig.Grow("two\n");
  CHECK_FALSE(rig.Asked());
  rig.readers->Resume(kPeer);
  CHECK_FALSE(rig.Asked());
  rig.More(6);  // kDue → kReading
  rig.Answer();
  CHECK(rig.Sent() == "one\ntw");
  CHECK_FALSE(rig.Asked());  // the answer did not reach to the end and took all credit: kDue
  rig.More(6);
  rig.Answer();
  CHECK(rig.Sent() == "o\n");
}

TEST_CASE("log readers: what happens while a worker reads is read after it, by one worker at a time") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(kPlenty);
  REQUIRE(rig.Asked());
  rig.readers->Resume(kPeer);  // kReading stays
  rig.Grow("two\n");           // → kReadingDue
  rig.Grow("three\n");
  rig.readers->Resume(kPeer);  // kReadingDue stays
  rig.Answer();                // → kDue → kReading
  CHECK(rig.Sent() == "one\n");
  rig.Answer();  // → kIdle
  CHECK(rig.Sent() == "two\nthree\n");
  CHECK_FALSE(rig.Asked());
}

TEST_CASE("log readers: a peer whose queue is full is read for no further until it has room") {
  Rig rig;
  rig.room = false;
  rig.Append("one\n");
  rig.Open(kPlenty);
  rig.Answer();  // kReading → kIdle → kBlocked
  CHECK(rig.Sent() == "one\n");
  SUBCASE("nothing happens meanwhile") {
    rig.readers->Resume(kPeer);  // → kIdle
    CHECK_FALSE(rig.Asked());
    rig.Grow("two\n");
  }
  SUBCASE("the log grows meanwhile") {
    rig.Grow("t");  // → kBlockedDue
    rig.Grow("wo\n");
    rig.More(10);
    CHECK_FALSE(rig.Asked());
    rig.readers->Resume(kPeer);  // → kDue → kReading
  }
  rig.room = true;
  rig.Answer();
  CHECK(rig.Sent() == "two\n");
  CHECK_FALSE(rig.Asked());
}

TEST_CASE(
    "log readers: a queue that is full before the end of the log waits for room, and for credit if that is gone") {
  Rig rig;
  rig.room = false;
  rig.Append("one\ntwo\n");
  rig.Open(4);
  rig.Answer();  // kReading → kIdle → kDue → kBlockedDue
  CHECK(rig.Sent() == "one\n");
  rig.room = true;
  SUBCASE("credit comes first") {
    rig.More(4);
    CHECK_FALSE(rig.Asked());
    rig.readers->Resume(kPeer);
  }
  SUBCASE("room comes first") {
    rig.readers->Resume(kPeer);  // → kDue
    CHECK_FALSE(rig.Asked());
    rig.More(4);
  }
  rig.Answer();
  CHECK(rig.Sent() == "two\n");
}

TEST_CASE("log readers: a log ends with what is read after the word that nothing will be added") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(kPlenty);
  REQUIRE(rig.Asked());
  rig.Append("two\n");  // the worker that is at it has missed this
  SUBCASE("the attempt is over") {
    rig.readers->OnOver(kAttempt);
  }
  SUBCASE("the log is on record") {
    rig.readers->OnFinal(kAttempt, LogRecord{8, HashOf("one\ntwo\n"), {LogStorage::kOwnFile, 0, 0}});
    rig.readers->OnOver(kAttempt);
  }
  rig.Answer();
  CHECK(rig.Sent() == "one\n");
  rig.Answer();
  CHECK(rig.Sent() == "two\n|");
  CHECK_FALSE(rig.readers->Reads(kPeer));
}

TEST_CASE("log readers: a log that was in no file of its own is read where its record says") {
  Rig rig;
  rig.Open(kPlenty);
  rig.Answer();
  CHECK(rig.Sent() == "nothing");
  const SmallLogView small{kRun, kAttempt, "short\n"};
  const LogRef log_ref = rig.logs->AppendSmall({&small, 1}).value().front();
  const LogRecord record{6, HashOf("short\n"), {LogStorage::kPack, log_ref.pack, log_ref.file_offset}};
  SUBCASE("the word about its end names the place") {
    rig.readers->OnFinal(kAttempt, record);
  }
  SUBCASE("history has to be asked") {
    rig.history = record;
    rig.readers->OnFinal(kAttempt, LogRecord{6, record.hash, {}});
    rig.readers->OnOver(kAttempt);  // kUnplaced stays
    rig.Answer();
    CHECK(rig.Sent() == "short\n|");
    return;
  }
  rig.Answer();
  CHECK(rig.Sent() == "short\n|");
}

TEST_CASE("log readers: an answer from before the end of a log does not say that there is no log") {
  Rig rig;
  rig.Open(kPlenty);
  REQUIRE(rig.Asked());
  rig.history = LogRecord{};
  rig.readers->OnFinal(kAttempt, LogRecord{});  // it is empty, and the worker that is at it finds no file
  rig.Answer();
  CHECK(rig.Sent() == "nothing");
  rig.Answer();
  CHECK(rig.Sent() == "|");
}

TEST_CASE("log readers: of an attempt that is over history is asked") {
  Rig rig;
  SUBCASE("it has no record, and there is no file") {
    rig.Open(kPlenty, true, false);
    rig.Answer();
    CHECK(rig.Sent() == "error: there is no log of this attempt: it has not started, or it is another run's");
  }
  SUBCASE("it has no record, but there is a file") {
    rig.Append("cut off");
    rig.Open(3, true, false);
    rig.Answer();  // kUnplaced → kPlaced
    CHECK(rig.Sent() == "cut");
    rig.More(kPlenty);
    rig.Answer();
    CHECK(rig.Sent() == " off|");
  }
  SUBCASE("it has one of an empty log") {
    rig.history = LogRecord{};
    rig.Open(kPlenty, true, false);
    rig.Answer();
    CHECK(rig.Sent() == "|");
  }
  CHECK_FALSE(rig.readers->Reads(kPeer));
}

TEST_CASE("log readers: a log of which less is there than its record says never ends as a whole one") {
  Rig rig;
  const LogRecord record{8, HashOf("all of it"), {LogStorage::kOwnFile, 0, 0}};
  std::string there;
  SUBCASE("nothing is there") {
    rig.history = record;
    rig.Open(kPlenty, true, false);
  }
  SUBCASE("a part is there") {
    rig.Append(there = "a part");
    rig.history = record;
    rig.Open(kPlenty, false, false);
  }
  SUBCASE("it lay in a pack that is gone") {
    rig.history = LogRecord{8, record.hash, {LogStorage::kPack, 3, 0}};
    rig.Open(kPlenty, false, false);
  }
  SUBCASE("it goes while it is followed") {
    rig.Open(kPlenty);
    rig.Answer();
    rig.readers->OnFinal(kAttempt, record);
  }
  rig.Answer();
  if (!there.empty()) {
    REQUIRE(rig.sent.size() == 2);
    const auto& data = std::get<LogData>(rig.sent[0]);
    CHECK(data.bytes == there);
    CHECK_FALSE(data.end);
    rig.sent.erase(rig.sent.begin());
  }
  CHECK(rig.Sent() == "error: the log is damaged: " + std::to_string(there.size()) + " of its 8 bytes are there");
  CHECK_FALSE(rig.readers->Reads(kPeer));
}

TEST_CASE("log readers: who does not follow gets what is there, and the end") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(kPlenty, false);
  rig.Answer();
  CHECK(rig.Sent() == "one\n|");
}

TEST_CASE("log readers: a stream may end while its answer is sent, whatever the answer is") {
  Rig rig;
  rig.ends = true;
  rig.Append("hello");
  SUBCASE("bytes") {
    rig.Open(kPlenty);
    rig.Answer();
    CHECK(rig.Sent() == "hello");
  }
  SUBCASE("the end") {
    rig.Open(kPlenty, /*follow=*/false);
    rig.Answer();
    CHECK(rig.Sent() == "hello|");
  }
  SUBCASE("an error") {
    rig.readers->OnLogRead(kPeer, LogRead{5, kRun, {JobId{99}, Epoch{1}}, 0, 0, true, kPlenty}, /*live=*/false);
    rig.Answer();
    CHECK(rig.Sent().starts_with("error: there is no log"));
  }
  CHECK_FALSE(rig.readers->Reads(kPeer));
  CHECK_FALSE(rig.Asked());
}

TEST_CASE("log readers: a stream that begins anew ignores the answer for the old one") {
  Rig rig;
  rig.Append("one\n");
  rig.Open(kPlenty);
  REQUIRE(rig.Asked());
  rig.Open(kPlenty);
  rig.Answer();
  CHECK(rig.Sent() == "nothing");
  rig.Answer();
  CHECK(rig.Sent() == "one\n");
  rig.More(0);
  CHECK_FALSE(rig.readers->Reads(kPeer));
}

}  // namespace
}  // namespace furrow::test
