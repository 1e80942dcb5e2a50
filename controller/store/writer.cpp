#include <utility>
#include <variant>

#include "common/base/check.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

// One batch's worth: bounds what a burst keeps in memory twice.
constexpr std::size_t kRecordsPerBatch = 16 << 10;
constexpr std::uint64_t kCommitsPerMarkSync = 256;

template <class R>
void PutOrErase(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family, const keys::Key& key,
                const R& record) {
  if (record.erased) {
    batch.Delete(family, key.bytes());
  } else {
    batch.Put(family, key.bytes(), EncodeRecord(record));
  }
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
    // After a failure the database may lack what the farm believes: nothing more goes in until it is reopened.
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
    for (Record& record : turn.records) {
      std::visit([&](auto& one) { Put(batch, one); }, record);
      if (const auto* run = std::get_if<RunRecord>(&record); run && run->state != RunState::kRunning) {
        ended.push_back(run->id);
      }
    }
  }
  FURROW_TRY(Write(batch));
  for (const RunId run : ended) places.erase(run);
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
  FURROW_CHECK(locations.size() == logs.size(), "a place for each small log");
  for (std::size_t i = 0; i < logs.size(); ++i) places[logs[i].run][logs[i].attempt] = locations[i];
  return {};
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const RunRecord& record) {
  const std::string run = keys::Run(record.id).bytes();
  batch.Put(runs, run, EncodeRecord(record));
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
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, JobRecord& record) {
  if (const auto run = places.find(record.run); run != places.end()) {
    for (AttemptRecord& attempt : record.attempts) {
      if (attempt.log.location.kind != LogLocation::Kind::kNone) continue;
      const auto place = run->second.find({record.id, attempt.epoch});
      if (place != run->second.end()) attempt.log.location = place->second;
    }
  }
  batch.Put(jobs, keys::Job(record.run, record.id).bytes(), EncodeRecord(record));
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const MetricsRecord& record) {
  batch.Put(metrics, keys::Metrics(record.attempt, record.first).bytes(), EncodeRecord(record));
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const SealRecord& record) {
  PutOrErase(batch, small, keys::Seal(record.attempt), record);
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const AgentRecord& record) {
  PutOrErase(batch, small, keys::Agent(record.name), record);
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const TriggerRecord& record) {
  PutOrErase(batch, small, keys::Trigger(record.request), record);
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const RepositoryRecord& record) {
  batch.Put(small, keys::Repository(record.repository).bytes(), EncodeRecord(record));
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const EnrolmentRecord& record) {
  PutOrErase(batch, small, keys::Enrolment(record.id), record);
}

void Store::Impl::Put(rocksdb::WriteBatch& batch, const KeyRecord& record) {
  PutOrErase(batch, small, keys::PublicKey(record.public_key), record);
}

}  // namespace furrow
