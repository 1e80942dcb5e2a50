// Whatever happens to a file of the database, a start has everything or says what it lacks before it changes anything.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "controller/state/pipelines.h"
#include "tests/controller/store/store_farm.h"

namespace furrow {

using namespace testing;

namespace {

constexpr std::uint64_t kJobs = 30;

// What a start finds, and what requests get of the rest: the words of an error where one of them gets none.
struct Found {
  std::size_t live = 0, jobs = 0, pipelines = 0;
  std::uint64_t last_number = 0;
  std::map<std::string, std::string> asked;
};

template <class T, class Count>
std::string Told(const Result<T>& answer, const Count& count) {
  return answer ? std::to_string(count(*answer)) : "cannot: " + answer.error().message;
}

Found Look(Store& store) {
  const auto restored = store.Load();
  REQUIRE(restored);
  Found found{restored->runs.size(), restored->jobs.size(), restored->pipelines.size(), 0, {}};
  for (const PipelineRecord& pipeline : restored->pipelines)
    found.last_number = std::max(found.last_number, pipeline.last_number);
  found.asked["run"] = Told(store.GetRun(RunId{1}), [](const RunRecord& run) { return run.number; });
  found.asked["jobs"] = Told(store.GetJobs(RunId{1}), [](const RunJobs& jobs) { return jobs.jobs.size(); });
  found.asked["attempt"] = Told(store.GetAttempt(RunId{1}, {JobId{10}, Epoch{1}}),
                                [](const auto& attempt) { return attempt ? attempt->log.length : 0; });
  found.asked["metrics"] = Told(store.GetMetrics(RunId{1}, {JobId{10}, Epoch{1}}),
                                [](const std::vector<MetricLine>& lines) { return lines.size(); });
  found.asked["text"] = Told(store.GetText(HashOf("text")), [](const std::string& text) { return text.size(); });
  found.asked["events"] =
      Told(store.GetEvents({}, 1000), [](const std::vector<StoredEvent>& events) { return events.size(); });
  return found;
}

// A folder of a farm that was killed, with tables in every family and a log behind them.
void MakeKilled(const fs::path& dir, const fs::path& copy) {
  const auto commit = [&](std::uint64_t first, std::vector<RecordChange> records, bool leave) {
    auto store = MustOpen(dir);
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    store->Commit({.number = first, .records = std::move(records), .small_logs = {}});
    REQUIRE(acks.WaitFor(first));
    if (leave) fs::copy(dir, copy, fs::copy_options::recursive);
  };
  std::vector<RecordChange> records{MakeSpec(),
                                    MakeRun(1, 1, 1),
                                    MakeRun(2, 1, 2),
                                    MakeAttempt(1, 1, 10),
                                    SharedText{HashOf("text"), std::make_shared<const std::string>("text")},
                                    MetricsRecord{{JobId{10}, Epoch{1}}, 0, std::vector<MetricLine>(2), RunId{1}},
                                    PipelineRecord{PipelineId{1}, kDefaultProject, "fashion"}};
  for (std::uint64_t job = 0; job < kJobs; ++job) records.emplace_back(MakeJob(1, 10 + job));
  std::get<PipelineRecord>(records[6]).last_number = 2;
  commit(1, std::move(records), false);
  { auto store = MustOpen(dir); }  // what recovery replayed is in tables now
  PipelineRecord pipeline{PipelineId{1}, kDefaultProject, "fashion"};
  pipeline.last_number = 3;
  commit(1, {MakeRun(3, 1, 3), MakeJob(3, 99), pipeline}, true);
}

std::map<std::string, std::string> Bytes(const fs::path& dir) {
  std::map<std::string, std::string> bytes;
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (entry.is_regular_file() && entry.path().filename() != "controller.lock")
      bytes[entry.path().string()] = ReadWhole(entry.path());
  return bytes;
}

void Replace(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

// Opens a damaged folder. Either it is refused, with one of the names and a cure, and nothing in it is changed; or a
// start has all that it had, and a request has its answer or the words why not.
void CheckStart(const fs::path& dir, const Found& whole, const std::set<std::string>& names) {
  const auto before = Bytes(dir);
  auto store = Store::Open(dir);
  if (!store) {
    const std::string& words = store.error().message;
    CAPTURE(words);
    CHECK(std::ranges::any_of(names, [&](const auto& name) { return words.find(name) != std::string::npos; }));
    CHECK((words.find("backup") != std::string::npos || words.find("Delete it") != std::string::npos));
    CHECK(Bytes(dir) == before);
    return;
  }
  const Found found = Look(**store);
  CHECK(found.live == whole.live);
  CHECK(found.jobs == whole.jobs);
  CHECK(found.pipelines == whole.pipelines);
  CHECK(found.last_number >= whole.last_number);
  for (const auto& [what, answer] : found.asked) {
    CAPTURE(what);
    // A start has events of its own.
    if (what == "events" && !answer.starts_with("cannot: ")) continue;
    if (answer != whole.asked.at(what)) CHECK(answer.find(".sst") != std::string::npos);
  }
}

struct Damage {
  std::string words;
  std::function<void(const fs::path& file)> act;
};

// FURROW_DAMAGE_PLACES: at how many places a file is damaged, beside its end.
std::uint64_t Places() {
  const char* asked = std::getenv("FURROW_DAMAGE_PLACES");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 4;
}

std::vector<Damage> DamagesOf(std::uint64_t size, std::uint64_t used) {
  std::vector<Damage> damages{{"is gone", [](const fs::path& file) { fs::remove(file); }}};
  for (const std::uint64_t kept : {std::uint64_t{0}, size / 2, size - 1})
    damages.push_back(
        {"is cut to " + std::to_string(kept), [kept](const fs::path& file) { fs::resize_file(file, kept); }});
  std::set<std::uint64_t> places;
  for (std::uint64_t part = 0; part < Places(); ++part) places.insert(used * part / Places());
  for (const std::uint64_t from_end : {1, 30, 60})
    if (from_end <= used) places.insert(used - from_end);
  for (const std::uint64_t place : places)
    damages.push_back({"is another at " + std::to_string(place), [place](const fs::path& file) {
                         std::string bytes = ReadWhole(file);
                         bytes[place] = static_cast<char>(bytes[place] ^ 0x10);
                         Replace(file, bytes);
                       }});
  return damages;
}

}  // namespace

TEST_CASE("store: whichever file of the database is damaged, nothing is lost without a word, nor changed before it") {
  TempDir temp;
  const fs::path killed = temp.path / "killed", copy = temp.path / "copy", sound = temp.path / "sound";
  MakeKilled(temp.path / "store", killed);
  fs::copy(killed, sound, fs::copy_options::recursive);
  const Found whole = Look(*MustOpen(sound));
  REQUIRE(whole.live == 3);
  REQUIRE(whole.jobs == kJobs + 1);
  REQUIRE(whole.last_number == 3);
  REQUIRE(whole.asked.at("metrics") == "2");
  int tried = 0;
  std::set<std::string> kinds;
  std::vector<fs::path> tables;
  for (const auto& entry : fs::recursive_directory_iterator(killed)) {
    const std::string name = entry.path().filename();
    if (!entry.is_regular_file() || name == "LOCK" || name == "controller.lock") continue;
    const fs::path file = fs::relative(entry.path(), killed);
    const std::string bytes = ReadWhole(entry.path());
    kinds.insert(name.starts_with("0") ? file.extension().string() : name.substr(0, name.find('-')));
    if (file.extension() == ".sst") tables.push_back(file);
    for (const Damage& damage : DamagesOf(bytes.size(), bytes.find_last_not_of('\0') + 1)) {
      CAPTURE(name);
      CAPTURE(damage.words);
      fs::remove_all(copy);
      fs::copy(killed, copy, fs::copy_options::recursive);
      damage.act(copy / file);
      CheckStart(copy, whole, name.ends_with(".log") ? std::set<std::string>{name, "high-water"} : std::set{name});
      ++tried;
    }
  }
  CHECK(kinds == std::set<std::string>{".log", ".sst", "CURRENT", "IDENTITY", "MANIFEST", "OPTIONS", "high"});
  CHECK(tried > 100);
  for (std::size_t i = 1; i < tables.size(); ++i) {
    CAPTURE(tables[i].string());
    fs::remove_all(copy);
    fs::copy(killed, copy, fs::copy_options::recursive);
    fs::rename(copy / tables[i - 1], copy / "one");
    fs::rename(copy / tables[i], copy / tables[i - 1]);
    fs::rename(copy / "one", copy / tables[i]);
    CheckStart(copy, whole, {tables[i - 1].filename(), tables[i].filename()});
  }
  fs::remove_all(copy);
  fs::copy(killed, copy, fs::copy_options::recursive);
  fs::remove_all(copy / "db");
  CheckStart(copy, whole, {"CURRENT"});
}

TEST_CASE("store: of several logs none may be gone, nor be cut") {
  TempDir temp;
  const fs::path killed = temp.path / "killed", copy = temp.path / "copy";
  {
    auto store = MustOpen(temp.path / "store");
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    // Texts fill their family's buffer, so that a new log begins, and the old one holds jobs that are in no table yet.
    for (std::uint64_t i = 1; i <= 16; ++i) {
      auto text = std::make_shared<const std::string>(1 << 20, static_cast<char>('a' + i));
      store->Commit({.number = i, .records = {MakeJob(1, i), SharedText{HashOf(*text), text}}, .small_logs = {}});
      REQUIRE(acks.WaitFor(i));
    }
    fs::copy(temp.path / "store", killed, fs::copy_options::recursive);
  }
  std::vector<fs::path> logs;
  for (const auto& entry : fs::directory_iterator(killed / "db"))
    if (entry.path().extension() == ".log") logs.push_back(entry.path().filename());
  REQUIRE(logs.size() >= 3);
  fs::copy(killed, copy, fs::copy_options::recursive);
  REQUIRE(MustOpen(copy)->GetJobs(RunId{1})->jobs.size() == 16);
  for (const fs::path& log : logs) {
    for (const bool cut : {false, true}) {
      CAPTURE(log.string());
      CAPTURE(cut);
      fs::remove_all(copy);
      fs::copy(killed, copy, fs::copy_options::recursive);
      const fs::path file = copy / "db" / log;
      cut ? fs::resize_file(file, fs::file_size(file) / 2) : static_cast<void>(fs::remove(file));
      const auto before = Bytes(copy);
      const auto store = Store::Open(copy);
      REQUIRE_FALSE(store);
      CHECK(store.error().message.find("backup") != std::string::npos);
      CHECK(Bytes(copy) == before);
    }
  }
}

}  // namespace furrow
