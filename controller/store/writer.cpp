#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

// One batch takes at most so many records, which bounds how much a burst keeps in memory twice.
constexpr std::size_t kRecordsPerBatch = 16 << 10;
constexpr std::uint64_t kCommitsPerMarkSync = 256;
constexpr std::uint64_t kDayMs = 24 * 60 * 60 * 1000;
constexpr std::size_t kKeptKnown = 10'000;  // shared values that are known to be on disk

keys::Key KeyOf(const EraseSeal& erase) {
  return keys::Seal(erase.key);
}
keys::Key KeyOf(const EraseAgent& erase) {
  return keys::Agent(erase.key);
}
keys::Key KeyOf(const ErasePush& erase) {
  return keys::Trigger(erase.key);
}
keys::Key KeyOf(const EraseRepository& erase) {
  return keys::Repository(erase.key);
}
keys::Key KeyOf(const EraseEnrolment& erase) {
  return keys::Enrolment(erase.key);
}
keys::Key KeyOf(const EraseKey& erase) {
  return keys::PublicKey(erase.key);
}

}  // namespace

void Store::Start(AppendSmallLogs append, OnCommitted on_committed) {
  FURROW_CHECK(!impl_->writer.joinable(), "Store::Start is called once");
  impl_->append = std::move(append);
  impl_->on_committed = std::move(on_committed);
  impl_->writer = std::thread([impl = impl_.get()] { impl->RunWriter(); });
}

void Store::KeepEvents(std::uint64_t days) {
  impl_->event_days_kept = days;
}

void Store::Commit(Turn turn) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->waiting.push_back(std::move(turn));
  }
  impl_->wake.notify_one();
}

void Store::Impl::RunWriter() {
  Status fate;
  for (;;) {
    std::deque<Turn> turns;
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return closing || !waiting.empty(); });
      if (waiting.empty()) return;
      std::size_t records = 0;
      while (!waiting.empty() && (turns.empty() || records + waiting.front().records.size() <= kRecordsPerBatch)) {
        records += waiting.front().records.size();
        turns.push_back(std::move(waiting.front()));
        waiting.pop_front();
      }
    }
    const std::uint64_t number = turns.back().number;
    // After a failure the database may lack records that the farm relies on, so nothing more goes in until the store is
    // opened again.
    if (fate) fate = CommitTurns(turns);
    if (fate) high_water.Raise(commit);
    on_committed({number, fate});
    if (fate && commit % kCommitsPerMarkSync == 0) high_water.Sync();
    guard.Check();
  }
}

Status Store::Impl::CommitTurns(std::deque<Turn>& turns) {
  FURROW_TRY(PlaceSmallLogs(turns));
  rocksdb::WriteBatch batch;
  std::uint64_t events_put = 0;
  const std::uint64_t mark = event_mark;
  for (Turn& turn : turns) {
    for (RecordChange& change : turn.records)
      FURROW_TRY(std::visit([&](auto& one) { return Put(batch, one); }, change));
    for (const EventRecord& event : turn.events) FURROW_TRY(PutEvent(batch, events_put++, event));
  }
  log_locations.clear();
  FURROW_TRY(Write(batch));
  return mark == event_mark ? Status{} : DeleteOldEvents();
}

Status Store::Impl::PutEvent(rocksdb::WriteBatch& batch, std::uint64_t index, const EventRecord& event) {
  const std::string key = keys::Event({farm.timeline, commit + 1, index}).bytes();
  FURROW_ASSIGN(const std::string value, EncodeValue(event));
  batch.Put(events, key, value);
  // The day that a clock says may go back, so days are told apart and never compared.
  const std::uint64_t day =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, static_cast<std::int64_t>(event.at))) / kDayMs;
  if (event_mark != 0 && day == event_day) return {};
  event_day = day;
  batch.Put(small, keys::EventDay(++event_mark).bytes(), keys::Key().Number(day).Text(key).bytes());
  return {};
}

Status Store::Impl::DeleteOldEvents() {
  const std::uint64_t days = std::max<std::uint64_t>(event_days_kept, 1);
  if (event_mark <= days) return {};
  const keys::Key oldest_kept = keys::EventDay(event_mark - days + 1);
  const auto mark = read->Get(small, oldest_kept);
  if (!mark) return mark.error().code == Errc::kNotFound ? Status{} : tl::unexpected(mark.error());
  rocksdb::WriteBatch batch;
  batch.DeleteRange(events, rocksdb::Slice(), mark->substr(8));
  batch.DeleteRange(small, keys::EventDay(0).bytes(), oldest_kept.bytes());
  return Write(batch);
}

bool Store::Impl::IsKept(const std::string& key) {
  if (kept.contains(key)) return true;
  if (kept.size() >= kKeptKnown) kept.clear();
  kept.insert(key);
  return read->Get(shared, key).has_value();
}

Status Store::Impl::Write(rocksdb::WriteBatch& batch) {
  batch.Put(small, keys::Meta("commit").bytes(), keys::Key().Number(commit + 1).bytes());
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status status = db->Write(options, &batch);
  if (!status.ok()) {
    return tl::unexpected(StoreError("cannot commit to the database in " + dir.string() +
                                         "; restart the controller once "
                                         "the cause is gone",
                                     status));
  }
  ++commit;
  return {};
}

Status Store::Impl::PlaceSmallLogs(std::deque<Turn>& turns) {
  std::vector<SmallLog> logs;
  for (Turn& turn : turns) {
    for (SmallLog& log : turn.small_logs) logs.push_back(std::move(log));
  }
  if (logs.empty()) return {};
  // A full disk must not end the controller here either: the logs may be on one of their own.
  Result<std::vector<LogLocation>> placed = append(logs);
  while (!placed && placed.error().code == Errc::kUnavailable && waiter.MayTryAgain(placed.error().message))
    placed = append(logs);
  FURROW_ASSIGN(const std::vector<LogLocation> locations, std::move(placed));
  FURROW_CHECK(locations.size() == logs.size(), "a location for each small log");
  for (std::size_t i = 0; i < logs.size(); ++i) log_locations[logs[i].attempt] = locations[i];
  return {};
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const RunRecord& record) {
  FURROW_TRY(PutValue(batch, runs, keys::Run(record.id), record));
  const std::string run = keys::Run(record.id).bytes();
  batch.Put(small, keys::Numbered(record.pipeline, record.number).bytes(), run);
  batch.Put(small, keys::OfPipeline(record.pipeline, record.id).bytes(), rocksdb::Slice());
  if (!record.request.IsZero()) {
    batch.Put(small, keys::Request(record.request).bytes(), run);
    batch.Put(small, keys::RequestOf(record.id).bytes(), keys::Key().Id(record.request).bytes());
  }
  const std::string live = keys::Live(record.id).bytes();
  if (record.state == RunState::kRunning) {
    batch.Put(small, live, rocksdb::Slice());
  } else {
    batch.Delete(small, live);
  }
  return {};
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const JobRecord& record) {
  return PutValue(batch, jobs, keys::Job(record.run, record.id), record);
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, AttemptRecord& record) {
  const AttemptRef attempt{record.job, record.epoch};
  if (const auto location = log_locations.find(attempt); location != log_locations.end())
    record.log.location = location->second;
  return PutValue(batch, attempts, keys::Attempt(record.run, attempt), record);
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const MetricsRecord& record) {
  return PutValue(batch, metrics, keys::Metrics(record.run, record.attempt, record.first), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const SharedSpec& spec) {
  const keys::Key key = keys::Spec(spec.hash);
  return IsKept(key.bytes()) ? Status{} : PutValue(batch, shared, key, *spec.pipeline);
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const SharedText& text) {
  const keys::Key key = keys::FileText(text.hash);
  if (!IsKept(key.bytes())) batch.Put(shared, key.bytes(), *text.bytes);
  return {};
}

template <class Record, class Key>
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const Erase<Record, Key>& erase) {
  batch.Delete(small, KeyOf(erase).bytes());
  return {};
}

}  // namespace furrow
