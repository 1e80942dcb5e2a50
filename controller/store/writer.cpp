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

keys::Key KeyOf(const EraseSeal& erase) {
  return keys::Seal(erase.key);
}
keys::Key KeyOf(const EraseAgent& erase) {
  return keys::Agent(erase.key);
}
keys::Key KeyOf(const ErasePush& erase) {
  return keys::Trigger(erase.key);
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
  std::vector<RunId> ended;
  for (Turn& turn : turns) {
    for (RecordChange& change : turn.records) {
      FURROW_TRY(std::visit([&](auto& one) { return Put(batch, one); }, change));
      if (const auto* run = std::get_if<RunRecord>(&change); run && run->state != RunState::kRunning) {
        ended.push_back(run->id);
      }
    }
  }
  FURROW_TRY(Write(batch));
  for (const RunId run : ended) log_locations.erase(run);
  return {};
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
  FURROW_ASSIGN(const std::vector<LogLocation> locations, append(logs));
  FURROW_CHECK(locations.size() == logs.size(), "a location for each small log");
  for (std::size_t i = 0; i < logs.size(); ++i) log_locations[logs[i].run][logs[i].attempt] = locations[i];
  return {};
}

template <class T>
Status Store::Impl::PutValue(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const keys::Key& key,
                             const T& record) const {
  FURROW_ASSIGN(const std::string value, EncodeValue(record));
  batch.Put(family, key.bytes(), value);
  return {};
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const RunRecord& record) {
  FURROW_TRY(PutValue(batch, runs, keys::Run(record.id), record));
  const std::string run = keys::Run(record.id).bytes();
  batch.Put(small, keys::Numbered(record.pipeline.name, record.number).bytes(), run);
  batch.Put(small, keys::OfPipeline(record.pipeline.name, record.id).bytes(), rocksdb::Slice());
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

Status Store::Impl::Put(rocksdb::WriteBatch& batch, JobRecord& record) {
  if (const auto run = log_locations.find(record.run); run != log_locations.end()) {
    for (AttemptRecord& attempt : record.attempts) {
      if (attempt.log.location.storage != LogStorage::kNone) continue;
      const auto location = run->second.find({record.id, attempt.epoch});
      if (location != run->second.end()) attempt.log.location = location->second;
    }
  }
  return PutValue(batch, jobs, keys::Job(record.run, record.id), record);
}

Status Store::Impl::Put(rocksdb::WriteBatch& batch, const MetricsRecord& record) {
  return PutValue(batch, metrics, keys::Metrics(record.attempt, record.first), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const SealRecord& record) {
  return PutValue(batch, small, keys::Seal(record.attempt), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const AgentRecord& record) {
  return PutValue(batch, small, keys::Agent(record.name), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const TriggerRecord& record) {
  return PutValue(batch, small, keys::Trigger(record.request), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const RepositoryRecord& record) {
  return PutValue(batch, small, keys::Repository(record.repository), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const EnrolmentRecord& record) {
  return PutValue(batch, small, keys::Enrolment(record.id), record);
}
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const KeyRecord& record) {
  return PutValue(batch, small, keys::PublicKey(record.public_key), record);
}

template <class Record, class Key>
Status Store::Impl::Put(rocksdb::WriteBatch& batch, const Erase<Record, Key>& erase) {
  batch.Delete(small, KeyOf(erase).bytes());
  return {};
}

}  // namespace furrow
