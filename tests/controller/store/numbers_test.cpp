// The store's numbers over time: events, timelines, and what an older format numbered.
#include <map>

#include "common/base/run_program.h"
#include "controller/state/pipelines.h"
#include "tests/controller/store/store_farm.h"

namespace furrow {

using namespace testing;

TEST_CASE("store: events have one order over all commits, and the oldest days go") {
  TempDir temp;
  constexpr std::int64_t kDay = 24 * 60 * 60 * 1000;
  const auto event = [](std::int64_t at, std::uint64_t run) {
    EventRecord one;
    one.kind = EventKind::kRunAccepted;
    one.at = WallTime{at};
    one.run = RunId{run};
    return one;
  };
  const auto runs = [](const Store& store, const EventId& after, std::size_t limit) {
    std::vector<std::uint64_t> found;
    const auto events = store.GetEvents(after, limit);
    for (const StoredEvent& one : *events) found.push_back(Raw(one.event.run));
    return found;
  };
  auto store = MustOpen(temp.path);
  Acks acks;
  store->KeepEvents(3);
  store->Start(NoSmallLogs, acks.Callback());
  store->Commit({1, {}, {}, {event(kDay, 1), event(kDay, 2)}});
  store->Commit({2, {}, {}, {event(kDay + 1, 3)}});
  REQUIRE(acks.WaitFor(2));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{1, 2, 3});
  const auto first = store->GetEvents({}, 1);
  REQUIRE(first->size() == 1);
  CHECK(first->front().id.timeline == 1);
  CHECK(runs(*store, first->front().id, 1) == std::vector<std::uint64_t>{2});

  // The clock goes back for a day, far ahead, and on: each change is a day, and no clock makes younger events go.
  std::uint64_t number = 2;
  for (const std::int64_t day : {2, 1, 9000, 3}) {
    store->Commit({++number, {}, {}, {event(day * kDay, number)}});
    REQUIRE(acks.WaitFor(number));
  }
  store->Commit({++number, {}, {}, {}});  // what is too old went with the commit before
  REQUIRE(acks.WaitFor(number));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{4, 5, 6});

  store.reset();
  store = MustOpen(temp.path);
  Acks more;
  store->KeepEvents(3);
  store->Start(NoSmallLogs, more.Callback());
  store->Commit({1, {}, {}, {event(3 * kDay, 20)}});  // still the same day
  REQUIRE(more.WaitFor(1));
  CHECK(runs(*store, {}, 10) == std::vector<std::uint64_t>{4, 5, 6, 20});
}

TEST_CASE("store: a new timeline gives no number again that an old one may have given") {
  TempDir temp;
  const PipelineRecord pipeline{PipelineId{4}, kDefaultProject, "fashion", "/srv/a", "furrow.yaml", 7};
  const CountersRecord counters{RunId{5}, JobId{60}, PipelineId{4}, kDefaultProject, kDefaultPerson};
  Uuid farm;
  {
    auto store = MustOpen(temp.path);
    Acks acks;
    store->Start(NoSmallLogs, acks.Callback());
    store->Commit({1, {pipeline, counters}, {}});
    REQUIRE(acks.WaitFor(1));
    farm = MustOpen(temp.path / "other")->Load()->farm.id;
    CHECK(store->Load()->farm.id != farm);  // each farm has its own
    farm = store->Load()->farm.id;
  }
  for (std::uint64_t timeline = 2; timeline <= 3; ++timeline) {
    const Restored before = *MustOpen(temp.path)->Load();
    fs::remove(temp.path / "high-water");
    const auto store = MustOpen(temp.path);
    const Restored restored = *store->Load();
    CHECK(restored.farm.id == farm);
    CHECK(restored.farm.timeline == timeline);
    CHECK(Raw(restored.counters.run) >= Raw(before.counters.run) + 1'000'000);
    CHECK(Raw(restored.counters.job) >= Raw(before.counters.job) + 1'000'000 * kMaxShards);
    CHECK(restored.counters.pipeline > before.counters.pipeline);
    CHECK(restored.boot >= before.boot + 65'536);
    REQUIRE(restored.pipelines.size() == 1);
    CHECK(restored.pipelines[0].last_number == before.pipelines[0].last_number + 1000);
    const auto events = store->GetEvents({timeline, 0, 0}, 10);
    REQUIRE(events->size() == 1);
    CHECK(events->front().event.kind == EventKind::kTimelineBegan);
  }
  CHECK(MustOpen(temp.path)->Load()->farm.timeline == 3);
}

// The state in between is that of a kill right before the last commit of the move.
TEST_CASE("store: a move from format 1 that was killed goes on at the next start") {
  TempDir temp;
  const auto unpacked = RunProgram({"tar", "-xzf", GOLDEN_FOLDER "/format-1.tar.gz", "-C", temp.path.string()});
  REQUIRE(unpacked);
  REQUIRE_MESSAGE(unpacked->status == 0, unpacked->err);
  const fs::path dir = temp.path / "state" / "db";
  std::map<std::string, std::string> indexes;  // of format 1
  {
    rocksdb::DB* raw = nullptr;
    REQUIRE(rocksdb::DB::OpenForReadOnly(rocksdb::Options(), (dir / "db").string(), &raw).ok());
    const std::unique_ptr<rocksdb::DB> database(raw);
    const std::unique_ptr<rocksdb::Iterator> at(raw->NewIterator(rocksdb::ReadOptions()));
    for (at->SeekToFirst(); at->Valid(); at->Next())
      if (at->key()[0] == 'n' || at->key()[0] == 'p') indexes[at->key().ToString()] = at->value().ToString();
  }
  REQUIRE(indexes.size() == 26);
  const Restored whole = *MustOpen(dir)->Load();
  CHECK(whole.pipelines.size() == 5);
  {
    RawDatabase database(dir);
    for (const auto& [key, value] : indexes) database.Put(0, key, value);
    database.Put(0, "mversion", std::string("\0\0\0\0\0\0\0\x01", 8));
    for (const char* gone : {"f", "c"}) REQUIRE(database.raw->Delete(rocksdb::WriteOptions(), gone).ok());
    REQUIRE(database.raw->DeleteRange(rocksdb::WriteOptions(), database.handles[0], "d", "e").ok());
  }
  const auto store = MustOpen(dir);
  const Restored again = *store->Load();
  CHECK(again.counters == whole.counters);
  CHECK(again.pipelines == whole.pipelines);
  CHECK(again.jobs == whole.jobs);
  CHECK(again.attempts == whole.attempts);
  REQUIRE(again.runs.size() == whole.runs.size());
  CHECK(again.runs[0].record == whole.runs[0].record);
  CHECK(*again.runs[0].pipeline == *whole.runs[0].pipeline);
  const auto page = store->ListRuns(PipelineId{}, RunId{}, 100);
  CHECK(page->runs.size() == 13);
  CHECK(page->unreadable == 0);
}

}  // namespace furrow
