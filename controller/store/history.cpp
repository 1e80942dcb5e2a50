#include <algorithm>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/wire/job_state.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

constexpr std::size_t kRememberedRequests = 10'000;

std::string_view View(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}
rocksdb::Slice AsSlice(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

// A damaged value in a list: the rest of the list is worth showing.
template <class T>
bool DecodeOrSay(std::string_view value, T& record) {
  auto decoded = DecodeValue<T>(value);
  if (!decoded) {
    log::Error("a record in the store cannot be read: {}", decoded.error().message);
    return false;
  }
  record = std::move(*decoded);
  return true;
}

std::uint64_t ShardsOf(const Pipeline& pipeline) {
  std::uint64_t shards = 0;
  for (const JobSpec& job : pipeline.jobs) shards += job.shards;
  return shards;
}

}  // namespace

Result<std::string> Store::Impl::Get(rocksdb::ColumnFamilyHandle* family, std::string_view key) const {
  std::string value;
  const rocksdb::Status status = db->Get(rocksdb::ReadOptions(), family, AsSlice(key), &value);
  if (status.IsNotFound()) return Fail(Errc::kNotFound, "");
  if (!status.ok()) return tl::unexpected(StoreError("cannot read the database in " + dir.string(), status));
  return value;
}

void Store::Impl::Scan(rocksdb::ColumnFamilyHandle* family, std::string_view prefix,
                       const std::function<bool(std::string_view, std::string_view)>& visit) const {
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions(), family));
  for (at->Seek(AsSlice(prefix)); at->Valid() && View(at->key()).starts_with(prefix); at->Next()) {
    if (!visit(View(at->key()), View(at->value()))) return;
  }
  if (!at->status().ok())
    log::Error("{}", StoreError("cannot read the database in " + dir.string(), at->status()).message);
}

// ---- what a start needs -------------------------------------------------------------------------

Result<Restored> Store::Load() {
  Restored restored;
  restored.boot = impl_->boot;
  FURROW_TRY(impl_->LoadRuns(restored));
  FURROW_TRY(impl_->LoadSmallRecords(restored));
  impl_->LoadNumbers(restored);
  return restored;
}

Status Store::Impl::LoadRuns(Restored& restored) const {
  const std::unique_ptr<rocksdb::Iterator> newest(db->NewIterator(rocksdb::ReadOptions(), runs));
  newest->SeekToLast();
  if (newest->Valid()) {
    FURROW_ASSIGN(const RunRecord run, DecodeValue<RunRecord>(View(newest->value())));
    restored.last_run = run.id;
    // Numbers are given out in order: the newest run has the last ones.
    restored.last_job = JobId{Raw(run.first_job) + ShardsOf(run.pipeline) - 1};
  }
  if (!newest->status().ok()) return tl::unexpected(StoreError("cannot read the runs", newest->status()));

  Status status;
  Scan(small, keys::Key('l'), [&](std::string_view key, std::string_view) {
    const RunId id{keys::NumberAt(key, 1)};
    auto value = Get(runs, keys::Run(id));
    auto run = value ? DecodeValue<RunRecord>(*value) : Result<RunRecord>(tl::unexpected(value.error()));
    if (!run) {
      status = tl::unexpected(Annotate(run.error(), "run " + std::to_string(Raw(id))));
      return false;
    }
    restored.runs.push_back(std::move(*run));
    Scan(jobs, keys::Run(id), [&](std::string_view, std::string_view bytes) {
      auto job = DecodeValue<JobRecord>(bytes);
      status = job ? LoadAttempt(*job, restored) : Status(tl::unexpected(job.error()));
      if (status) restored.jobs.push_back(std::move(*job));
      return status.has_value();
    });
    return status.has_value();
  });
  return status;
}

Status Store::Impl::LoadAttempt(const JobRecord& job, Restored& restored) const {
  if (IsTerminal(job.state) || Raw(job.epoch) == 0) return {};
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions(), metrics));
  const keys::Key prefix = keys::Attempt({job.id, job.epoch});
  at->SeekForPrev(AsSlice(keys::Metrics({job.id, job.epoch}, ~std::uint64_t{0}).bytes()));
  if (!at->Valid() || !View(at->key()).starts_with(prefix)) return {};
  FURROW_ASSIGN(MetricsRecord last, DecodeValue<MetricsRecord>(View(at->value())));
  restored.metrics.push_back(std::move(last));
  return {};
}

Status Store::Impl::LoadSmallRecords(Restored& restored) const {
  Status status;
  const auto load = [&](char kind, auto& records) {
    using T = typename std::decay_t<decltype(records)>::value_type;
    Scan(small, keys::Key(kind), [&](std::string_view, std::string_view value) {
      auto record = DecodeValue<T>(value);
      if (record) {
        records.push_back(std::move(*record));
      } else {
        status = tl::unexpected(record.error());
      }
      return status.has_value();
    });
  };
  load('s', restored.seals);
  if (status) load('a', restored.agents);
  if (status) load('t', restored.triggers);
  if (status) load('r', restored.repositories);
  if (status) load('e', restored.enrolments);
  if (status) load('k', restored.keys);
  return status;
}

void Store::Impl::LoadNumbers(Restored& restored) const {
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions(), small));
  // From each pipeline's first number straight to its last.
  for (at->Seek("n"); at->Valid() && at->key()[0] == 'n';) {
    const std::string_view key = View(at->key());
    const std::string pipeline(key.substr(1, key.size() - 1 - 1 - 8));
    const std::string last = keys::Numbered(pipeline, ~std::uint64_t{0}).bytes();
    at->SeekForPrev(AsSlice(last));
    restored.last_number[pipeline] = keys::NumberAt(View(at->key()), pipeline.size() + 2);
    at->Next();
  }
  for (at->SeekForPrev(AsSlice(keys::RequestOf(RunId{~std::uint64_t{0}}).bytes()));
       at->Valid() && at->key()[0] == 'i' && restored.requests.size() < kRememberedRequests; at->Prev()) {
    restored.requests.emplace_back(keys::UuidAt(View(at->value()), 0), RunId{keys::NumberAt(View(at->key()), 1)});
  }
}

// ---- history ------------------------------------------------------------------------------------

Result<RunRecord> Store::GetRun(RunId id) const {
  auto value = impl_->Get(impl_->runs, keys::Run(id));
  if (!value && value.error().code == Errc::kNotFound) {
    return Fail(Errc::kNotFound, "there is no run with the id " + std::to_string(Raw(id)));
  }
  if (!value) return tl::unexpected(value.error());
  return DecodeValue<RunRecord>(*value);
}

Result<RunId> Store::FindRun(const std::string& pipeline, std::uint64_t number) const {
  const std::unique_ptr<rocksdb::Iterator> at(impl_->db->NewIterator(rocksdb::ReadOptions(), impl_->small));
  const keys::Key wanted = keys::Numbered(pipeline, number == 0 ? ~std::uint64_t{0} : number);
  at->SeekForPrev(AsSlice(wanted.bytes()));
  const bool of_pipeline = at->Valid() && View(at->key()).starts_with(keys::Key('n').Name(pipeline).bytes());
  if (of_pipeline && (number == 0 || View(at->key()) == wanted.bytes()))
    return RunId{keys::NumberAt(View(at->value()), 0)};
  if (number == 0) return Fail(Errc::kNotFound, "there is no run of " + pipeline);
  return Fail(Errc::kNotFound, "there is no run " + pipeline + "#" + std::to_string(number));
}

std::vector<RunRecord> Store::ListRuns(const std::string& pipeline, RunId before, std::size_t limit) const {
  std::vector<RunRecord> found;
  const RunId last{Raw(before) == 0 ? ~std::uint64_t{0} : Raw(before) - 1};
  const bool all = pipeline.empty();
  rocksdb::ColumnFamilyHandle* family = all ? impl_->runs : impl_->small;
  const std::string prefix = all ? "" : keys::Key('p').Name(pipeline).bytes();
  const std::unique_ptr<rocksdb::Iterator> at(impl_->db->NewIterator(rocksdb::ReadOptions(), family));
  const std::string from = prefix + keys::Run(last).bytes();
  for (at->SeekForPrev(AsSlice(from)); found.size() < limit && at->Valid() && View(at->key()).starts_with(prefix);
       at->Prev()) {
    RunRecord run;
    if (all) {
      if (DecodeOrSay(View(at->value()), run)) found.push_back(std::move(run));
    } else if (auto one = GetRun(RunId{keys::NumberAt(View(at->key()), prefix.size())})) {
      found.push_back(std::move(*one));
    }
  }
  return found;
}

Result<JobRecord> Store::GetJob(RunId run, JobId job) const {
  auto value = impl_->Get(impl_->jobs, keys::Job(run, job));
  if (!value && value.error().code == Errc::kNotFound) {
    return Fail(Errc::kNotFound, "job " + std::to_string(Raw(job)) + " was never assigned");
  }
  if (!value) return tl::unexpected(value.error());
  return DecodeValue<JobRecord>(*value);
}

std::vector<JobRecord> Store::GetJobs(RunId run) const {
  std::vector<JobRecord> found;
  impl_->Scan(impl_->jobs, keys::Run(run), [&](std::string_view, std::string_view value) {
    JobRecord job;
    if (DecodeOrSay(value, job)) found.push_back(std::move(job));
    return true;
  });
  return found;
}

std::optional<SealRecord> Store::GetSeal(AttemptRef attempt) const {
  SealRecord seal;
  const auto value = impl_->Get(impl_->small, keys::Seal(attempt));
  if (!value || !DecodeOrSay(*value, seal)) return std::nullopt;
  return seal;
}

std::vector<MetricLine> Store::GetMetrics(AttemptRef attempt) const {
  std::vector<MetricLine> lines;
  impl_->Scan(impl_->metrics, keys::Attempt(attempt), [&](std::string_view, std::string_view value) {
    MetricsRecord part;
    if (!DecodeOrSay(value, part)) return true;
    // A report that was repeated with more lines may overlap the one before it.
    const std::size_t known = part.first < lines.size() ? lines.size() - part.first : 0;
    for (std::size_t i = known; i < part.lines.size(); ++i) lines.push_back(std::move(part.lines[i]));
    return true;
  });
  return lines;
}

std::optional<RunId> Store::FindRequest(Uuid request) const {
  const auto value = impl_->Get(impl_->small, keys::Request(request));
  if (!value) return std::nullopt;
  return RunId{keys::NumberAt(*value, 0)};
}

}  // namespace furrow
