#include "controller/logs/store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>

#include "common/base/hash.h"
#include "tests/support/failing_syncs.h"
#include "tests/support/random_bytes.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

namespace {

constexpr RunId kRun{5};
constexpr AttemptRef kAttempt{JobId{11}, Epoch{2}};
constexpr LogRef kLog{kRun, kAttempt, 0, 0};

std::unique_ptr<LogStore> OpenLogs(const TempFolder& folder) {
  return LogStore::Open(folder / "logs").value();
}

std::string FrameOf(std::string_view raw, std::uint64_t offset, AttemptRef attempt = kAttempt) {
  FrameEncoder encoder;
  std::string frame;
  encoder.Append(attempt, offset, AsBytes(raw), frame);
  return frame;
}

Result<std::uint64_t> Add(LogStore& logs, std::string_view raw, std::uint64_t offset, AttemptRef attempt = kAttempt) {
  const std::string frame = FrameOf(raw, offset, attempt);
  return logs.Append(kRun, AsBytes(frame));
}

// Lines of various lengths, the last without a newline.
std::string Text(std::size_t about_bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  for (std::uint64_t line = 0; text.size() < about_bytes; ++line) {
    text += std::to_string(line) + ":" + std::string(random() % 120, static_cast<char>('a' + random() % 26));
    text += '\n';
  }
  return text + "the end";
}

// Appends `text` in frames of the given size.
void AddAll(LogStore& logs, const std::string& text, std::size_t frame_bytes) {
  for (std::size_t at = 0; at < text.size(); at += frame_bytes)
    REQUIRE(Add(logs, std::string_view(text).substr(at, frame_bytes), at));
}

std::string LogPath(const TempFolder& folder) {
  return folder / "logs/5/11-2.flog";
}

std::string WholeLog(LogStore& logs, const LogRef& log_ref = kLog) {
  return logs.ReadRange(log_ref, 0, 1 << 30).value().bytes;
}

}  // namespace

TEST_CASE("logs: frames in order make one log, durable with Sync, sealed once") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  CHECK(logs->Length(kRun, kAttempt).value() == 0);
  CHECK(Add(*logs, "one\n", 0).value() == 4);
  CHECK(Add(*logs, "two\n", 4).value() == 8);
  const std::vector<LogProgress> progress = logs->Sync().value();
  REQUIRE(progress.size() == 1);
  CHECK(progress[0].attempt == kAttempt);
  CHECK(progress[0].durable_bytes == 8);
  CHECK_FALSE(progress[0].sealed);
  CHECK(logs->Sync().value().empty());
  CHECK(WholeLog(*logs) == "one\ntwo\n");

  CHECK(logs->Seal(kRun, kAttempt, 8, HashOf("one\ntwo\n")).value() == kLog);
  CHECK(logs->Sync().value().at(0).sealed);
  CHECK(logs->Seal(kRun, kAttempt, 8, HashOf("one\ntwo\n")));
  CHECK(logs->Seal(kRun, kAttempt, 8, HashOf("others!\n")).error().code == Errc::kRejected);
  CHECK(Add(*logs, "three\n", 8).error().code == Errc::kRejected);
  CHECK(Add(*logs, "two\n", 4).value() == 8);
  CHECK(logs->Discard(kRun, kAttempt).error().code == Errc::kRejected);
  CHECK(logs->ReadRange(kLog, 4, 2).value().bytes == "tw");
  CHECK(logs->ReadRange(kLog, 0, 1).value().sealed);
}

TEST_CASE("logs: a frame sent twice changes nothing, a gap names the offset, an overlap keeps what is new") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  REQUIRE(Add(*logs, "0123456789", 0));
  CHECK(Add(*logs, "0123456789", 0).value() == 10);
  const auto gap = Add(*logs, "x", 12);
  REQUIRE_FALSE(gap);
  CHECK(gap.error().code == Errc::kRejected);
  CHECK(gap.error().message.find("send from 10") != std::string::npos);
  CHECK(Add(*logs, "89abc\n", 8).value() == 14);
  CHECK(WholeLog(*logs) == "0123456789abc\n");
  CHECK(logs->Seal(kRun, kAttempt, 14, HashOf("0123456789abc\n")));
}

TEST_CASE("logs: a frame that is damaged, foreign or more than one is refused") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  std::string frame = FrameOf("some output", 0);
  frame.back() = static_cast<char>(frame.back() ^ 1);
  CHECK(logs->Append(kRun, AsBytes(frame)).error().code == Errc::kCorrupt);
  CHECK(logs->Append(kRun, AsBytes(FrameOf("a", 0) + FrameOf("b", 1))).error().code == Errc::kCorrupt);
  CHECK_FALSE(logs->Append(kRun, {}));
  CHECK(logs->Length(kRun, kAttempt).value() == 0);
}

TEST_CASE("logs: a seal that does not fit says why, and Discard begins again") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  CHECK(logs->Seal(kRun, kAttempt, 3, HashOf("abc")).error().code == Errc::kUnavailable);
  REQUIRE(Add(*logs, "abc", 0));
  CHECK(logs->Seal(kRun, kAttempt, 4, HashOf("abcd")).error().code == Errc::kUnavailable);
  CHECK(logs->Seal(kRun, kAttempt, 2, HashOf("ab")).error().code == Errc::kCorrupt);
  CHECK(logs->Seal(kRun, kAttempt, 3, HashOf("abd")).error().code == Errc::kCorrupt);
  REQUIRE(logs->Discard(kRun, kAttempt));
  CHECK(logs->Sync().value().empty());
  CHECK(logs->Length(kRun, kAttempt).value() == 0);
  REQUIRE(Add(*logs, "abd", 0));
  CHECK(logs->Seal(kRun, kAttempt, 3, HashOf("abd")));
}

TEST_CASE("logs: an empty log is sealed without a file") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  CHECK(logs->Seal(kRun, kAttempt, 0, HashOf("")));
  CHECK(logs->Seal(kRun, kAttempt, 0, HashOf("x")).error().code == Errc::kCorrupt);
  CHECK(logs->ReadRange(kLog, 0, 10).error().code == Errc::kNotFound);
}

TEST_CASE("logs: after a restart a log goes on where it was, and its seal is checked by reading it back") {
  TempFolder folder;
  const std::string text = Text(400'000, 1);
  const std::size_t half = text.size() / 2;
  {
    const auto logs = OpenLogs(folder);
    AddAll(*logs, text.substr(0, half), 50'000);
  }
  const auto logs = OpenLogs(folder);
  CHECK(WholeLog(*logs) == text.substr(0, half));  // before anything has recovered it
  CHECK(logs->Length(kRun, kAttempt).value() == half);
  REQUIRE(Add(*logs, text.substr(half), half));
  CHECK(logs->Seal(kRun, kAttempt, text.size(), HashOf("other")).error().code == Errc::kCorrupt);
  REQUIRE(logs->Seal(kRun, kAttempt, text.size(), HashOf(text)));
  REQUIRE(logs->Sync());
  CHECK(WholeLog(*OpenLogs(folder)) == text);
}

TEST_CASE("logs: wherever a file is torn, it is cut behind the last whole frame and goes on") {
  const std::vector<std::string> parts{"first line\n", "second line\n", "third line\n"};
  std::string file;
  std::vector<std::size_t> ends{0};
  std::uint64_t raw = 0;
  for (const std::string& part : parts) {
    file += FrameOf(part, raw);
    raw += part.size();
    ends.push_back(file.size());
  }
  for (std::size_t length = 0; length <= file.size(); length += length + 1 == file.size() ? 1 : 3) {
    // What a power cut leaves: the file short, or of full length with zeros at the end.
    for (const bool zeros : {false, true}) {
      TempFolder folder;
      folder.Write("logs/5/11-2.flog", file.substr(0, length) + std::string(zeros ? file.size() - length : 0, '\0'));
      const auto logs = OpenLogs(folder);
      std::size_t whole = 0;
      while (whole < parts.size() && ends[whole + 1] <= length) ++whole;
      // A frame may end in a zero that was there anyway.
      if (zeros && whole < parts.size() &&
          file.substr(length, ends[whole + 1] - length).find_first_not_of('\0') == std::string::npos)
        ++whole;
      std::uint64_t expected = 0;
      for (std::size_t i = 0; i < whole; ++i) expected += parts[i].size();
      REQUIRE(logs->Length(kRun, kAttempt).value() == expected);
      REQUIRE(std::filesystem::file_size(LogPath(folder)) == ends[whole]);
      std::string rest;
      for (std::size_t i = whole; i < parts.size(); ++i) rest += parts[i];
      if (!rest.empty()) REQUIRE(Add(*logs, rest, expected));
      REQUIRE(logs->Seal(kRun, kAttempt, raw, HashOf(parts[0] + parts[1] + parts[2])));
    }
  }
}

TEST_CASE("logs: a torn seal is no seal") {
  TempFolder folder;
  {
    const auto logs = OpenLogs(folder);
    REQUIRE(Add(*logs, "content\n", 0));
    REQUIRE(logs->Seal(kRun, kAttempt, 8, HashOf("content\n")));
  }
  const std::string sealed = folder.Read("logs/5/11-2.flog");
  const std::size_t frames = FrameOf("content\n", 0).size();
  for (std::size_t length = frames; length < sealed.size(); ++length) {
    folder.Write("logs/5/11-2.flog", sealed.substr(0, length));
    const auto logs = OpenLogs(folder);
    CHECK_FALSE(logs->ReadRange(kLog, 0, 1).value().sealed);
    CHECK(logs->Length(kRun, kAttempt).value() == 8);
    CHECK(std::filesystem::file_size(LogPath(folder)) == frames);
    REQUIRE(logs->Seal(kRun, kAttempt, 8, HashOf("content\n")));
  }
  CHECK(folder.Read("logs/5/11-2.flog") == sealed);
}

TEST_CASE("logs: any window, by byte and by line, open and sealed") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  const std::string text = Text(700'000, 2);
  std::vector<std::size_t> starts{0};
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') starts.push_back(i + 1);
  AddAll(*logs, text, 9'000);  // several frames to an index point
  for (const bool seal : {false, true}) {
    if (seal) {
      REQUIRE(logs->Seal(kRun, kAttempt, text.size(), HashOf(text)));
      REQUIRE(logs->Sync());
    }
    std::mt19937_64 random(3);
    for (int i = 0; i < 200; ++i) {
      const std::size_t offset = random() % (text.size() + 10);
      const std::size_t most = random() % 30'000;
      const LogWindow window = logs->ReadRange(kLog, offset, most).value();
      REQUIRE(window.offset == std::min(offset, text.size()));
      REQUIRE(window.bytes == text.substr(std::min(offset, text.size()), most));
      REQUIRE(window.log_bytes == text.size());
      REQUIRE(window.log_lines == starts.size() - 1);
      REQUIRE(window.first_line == static_cast<std::uint64_t>(std::count(
                                       text.begin(), text.begin() + static_cast<long>(window.offset), '\n')));
      const std::size_t line = random() % starts.size();
      const LogWindow lines = logs->ReadFromLine(kLog, line, most).value();
      REQUIRE(lines.offset == starts[line]);
      REQUIRE(lines.bytes == text.substr(starts[line], most));
      const std::size_t tail = 1 + random() % starts.size();
      REQUIRE(logs->ReadTail(kLog, tail, 1 << 30).value().bytes == text.substr(starts[starts.size() - tail]));
    }
    CHECK(logs->ReadFromLine(kLog, starts.size() + 5, 100).value().bytes.empty());
    CHECK(logs->ReadTail(kLog, 0, 100).value().bytes.empty());
    CHECK(logs->ReadTail(kLog, 1, 100).value().bytes == "the end");
    CHECK(logs->ReadTail(kLog, 1'000'000, 1 << 30).value().bytes == text);
    CHECK(logs->ReadTail(kLog, 1'000'000, 1000).value().bytes == text.substr(0, 1000));
    CHECK(logs->ReadRange(kLog, 0, 1).value().sealed == seal);
  }
}

TEST_CASE("logs: bytes damaged on the disk are not shown as if they were right") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  REQUIRE(Add(*logs, RandomBytes(100'000, 1), 0));
  std::string file = folder.Read("logs/5/11-2.flog");
  file[50'000] = static_cast<char>(file[50'000] ^ 1);
  folder.Write("logs/5/11-2.flog", file);
  CHECK(logs->ReadRange(kLog, 0, 10).error().code == Errc::kCorrupt);
}

TEST_CASE("logs: small logs share a pack, and each is found again, also by the next process") {
  TempFolder folder;
  std::vector<LogRef> log_refs;
  const auto bytes_of = [](std::uint64_t i) {
    return "job " + std::to_string(i) + "\nsaid " + std::string(i % 50, 'x');
  };
  for (int round = 0; round < 2; ++round) {
    const auto logs = OpenLogs(folder);
    std::vector<std::string> contents;
    for (std::uint64_t i = 0; i < 300; ++i) contents.push_back(bytes_of(i));
    std::vector<SmallLogView> small;
    for (std::uint64_t i = 0; i < 300; ++i) small.push_back({RunId{1 + i % 3}, {JobId{i}, Epoch{1}}, contents[i]});
    const std::vector<LogRef> placed = logs->AppendSmall(small).value();
    REQUIRE(placed.size() == small.size());
    log_refs.insert(log_refs.end(), placed.begin(), placed.end());
    CHECK(logs->Sync().value().empty());
  }
  CHECK(log_refs[0].pack == 1);
  CHECK(log_refs[300].pack == 2);  // a pack of an earlier process is never added to
  const auto logs = OpenLogs(folder);
  for (std::uint64_t i = 0; i < log_refs.size(); ++i) {
    const LogWindow window = logs->ReadRange(log_refs[i], 0, 4096).value();
    CHECK(window.bytes == bytes_of(i % 300));
    CHECK(window.sealed);
    CHECK(window.log_lines == 1);
  }
  CHECK(logs->ReadTail(log_refs[7], 1, 100).value().bytes == "said xxxxxxx");
  LogRef wrong = log_refs[7];
  wrong.attempt.epoch = Epoch{9};
  CHECK(logs->ReadRange(wrong, 0, 10).error().code == Errc::kCorrupt);
}

TEST_CASE("logs: many logs at once are all synced, and a run is removed whole") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  for (std::uint64_t job = 1; job <= 50; ++job) REQUIRE(Add(*logs, "output\n", 0, {JobId{job}, Epoch{1}}));
  CHECK(logs->Sync().value().size() == 50);
  REQUIRE(Add(*logs, "output\n", 7, {JobId{1}, Epoch{1}}));
  REQUIRE(logs->RemoveRun(kRun));
  CHECK_FALSE(std::filesystem::exists(folder / "logs/5"));
  CHECK(logs->Sync().value().empty());
  CHECK(logs->Length(kRun, {JobId{1}, Epoch{1}}).value() == 0);
  CHECK(Add(*logs, "again\n", 0).value() == 6);
  CHECK(logs->Sync().value().size() == 1);
}

TEST_CASE("logs: a full disk is said to be one, and the log goes on when there is room") {
  TempFolder folder;
  folder.Write("logs/.keep", "");
  const std::string disk = folder / "logs";
  if (::mount("furrow-test", disk.c_str(), "tmpfs", 0, "size=128k") != 0) {
    MESSAGE("skipped: a small disk cannot be mounted here: " << std::strerror(errno));
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{disk};
  const auto logs = OpenLogs(folder);
  const std::string first = RandomBytes(50'000, 1);
  const std::string second = RandomBytes(60'000, 2);
  REQUIRE(Add(*logs, first, 0));
  folder.Write("logs/filler", std::string(40'000, 'x'));
  CHECK(Add(*logs, second, first.size()).error().code == Errc::kUnavailable);
  CHECK(logs->Length(kRun, kAttempt).value() == first.size());
  CHECK(WholeLog(*logs) == first);
  std::filesystem::remove(disk + "/filler");
  REQUIRE(Add(*logs, second, first.size()));
  CHECK(logs->Seal(kRun, kAttempt, first.size() + second.size(), HashOf(first + second)));
}

TEST_CASE("logs: after a sync failed nothing is acknowledged, and the next process finds what was durable before") {
  for (const std::uint64_t others : {0, 20}) {  // each file by itself, or the whole file system
    CAPTURE(others);
    TempFolder folder;
    {
      const auto logs = OpenLogs(folder);
      REQUIRE(Add(*logs, "durable\n", 0));
      REQUIRE(logs->Sync());
      REQUIRE(Add(*logs, "lost\n", 8));
      for (std::uint64_t i = 0; i < others; ++i) REQUIRE(Add(*logs, "x", 0, {JobId{100 + i}, Epoch{1}}));
      {
        const FailingSyncs faults;
        CHECK_FALSE(logs->Sync());
        CHECK(faults.failed() == 1);
      }
      CHECK_FALSE(logs->Sync());
      CHECK_FALSE(Add(*logs, "more\n", 13));
      CHECK_FALSE(logs->Seal(kRun, kAttempt, 13, HashOf("durable\nlost\n")));
      CHECK_FALSE(logs->Sync());
    }
    const auto logs = OpenLogs(folder);
    CHECK(logs->Length(kRun, kAttempt).value() == 8);
    REQUIRE(Add(*logs, "lost\n", 8));
    CHECK(logs->Sync());
    CHECK(WholeLog(*logs) == "durable\nlost\n");
  }
}

// Long logs are synced while they are appended to; that failure must not be forgotten by the next Sync.
TEST_CASE("logs: a sync that failed between two others counts") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  const std::string bytes = RandomBytes(kMaxFrameRawBytes, 7);
  std::uint64_t length = 0;
  {
    const FailingSyncs faults;
    for (; faults.failed() == 0; length += bytes.size()) {
      REQUIRE(length < 64 << 20);
      const auto added = Add(*logs, bytes, length);
      CHECK(added.has_value() == (faults.failed() == 0));
    }
  }
  CHECK_FALSE(logs->Sync());
  CHECK_FALSE(Add(*logs, bytes, length));
  CHECK_FALSE(logs->Sync());
}

TEST_CASE("logs: small logs whose sync failed are written again, to another pack") {
  TempFolder folder;
  const auto logs = OpenLogs(folder);
  const std::vector<SmallLogView> small{{kRun, kAttempt, "hello"}};
  LogRef first;
  for (const char* where : {".flog", "/5"}) {  // the pack, or the folder of the run
    CAPTURE(where);
    const FailingSyncs faults(where);
    first = logs->AppendSmall(small).value().at(0);
    CHECK_FALSE(logs->Sync());
    CHECK(faults.failed() == 1);
  }
  const LogRef second = logs->AppendSmall(small).value().at(0);
  CHECK(second.pack != first.pack);
  CHECK(logs->Sync());
  CHECK(WholeLog(*logs, second) == "hello");
}
