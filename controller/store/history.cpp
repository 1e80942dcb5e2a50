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

// Decodes a value of a list. A damaged one is logged and left out, because the rest of the list is worth showing.
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
  impl_->LoadRuns(restored);
  impl_->LoadSmallRecords(restored);
  impl_->LoadNumbers(restored);
  return restored;
}

void Store::Impl::LoadRuns(Restored& restored) const {
  const std::unique_ptr<rocksdb::Iterator> newest(db->NewIterator(rocksdb::ReadOptions(), runs));
  // Ids are given out in order, so the newest run has the last ones. A run that cannot be read may have had as many
  // jobs as a run can.
  std::uint64_t unknown_jobs = 0;
  for (newest->SeekToLast(); newest->Valid(); newest->Prev()) {
    restored.last_run = std::max(restored.last_run, RunId{keys::NumberAt(View(newest->key()), 0)});
    const auto run = DecodeValue<RunRecord>(View(newest->value()));
    if (run) {
      restored.last_job = JobId{Raw(run->first_job) + ShardsOf(run->pipeline) - 1};
      break;
    }
    unknown_jobs += kMaxShards;
  }
  restored.last_job = JobId{Raw(restored.last_job) + unknown_jobs};

  Scan(small, keys::Key('l'), [&](std::string_view key, std::string_view) {
    const RunId id{keys::NumberAt(key, 1)};
    const auto value = Get(runs, keys::Run(id));
    auto run = value ? DecodeValue<RunRecord>(*value) : Result<RunRecord>(tl::unexpected(value.error()));
    if (!run) {
      set_aside.Keep("run-" + std::to_string(Raw(id)), value ? *value : "",
                     value ? run.error().message : "it is not there");
      return true;
    }
    restored.runs.push_back(std::move(*run));
    LoadJobs(id, restored);
    return true;
  });
}

void Store::Impl::LoadJobs(RunId run, Restored& restored) const {
  Scan(jobs, keys::Run(run), [&](std::string_view key, std::string_view bytes) {
    auto job = DecodeValue<JobRecord>(bytes);
    if (job) {
      LoadAttempt(*job, restored);
      restored.jobs.push_back(std::move(*job));
      return true;
    }
    const JobId id{keys::NumberAt(key, 8)};
    set_aside.Keep("job-" + std::to_string(Raw(run)) + "-" + std::to_string(Raw(id)), bytes, job.error().message);
    restored.unreadable_jobs.push_back(id);
    return true;
  });
}

void Store::Impl::LoadAttempt(const JobRecord& job, Restored& restored) const {
  if (IsTerminal(job.state) || Raw(job.epoch) == 0) return;
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions(), metrics));
  const AttemptRef attempt{job.id, job.epoch};
  at->SeekForPrev(AsSlice(keys::Metrics(attempt, ~std::uint64_t{0}).bytes()));
  if (!at->Valid() || !View(at->key()).starts_with(keys::Attempt(attempt))) return;
  auto last = DecodeValue<MetricsRecord>(View(at->value()));
  if (last) {
    restored.metrics.push_back(std::move(*last));
    return;
  }
  set_aside.Keep("metrics-" + std::to_string(Raw(job.id)) + "-" + std::to_string(Raw(job.epoch)) + "-" +
                     std::to_string(keys::NumberAt(View(at->key()), 16)),
                 View(at->value()), last.error().message);
  restored.unreadable_metrics.push_back(attempt);
}

void Store::Impl::LoadSmallRecords(Restored& restored) const {
  const auto load = [&](char kind, const char* noun, auto& records) {
    using T = typename std::decay_t<decltype(records)>::value_type;
    Scan(small, keys::Key(kind), [&](std::string_view key, std::string_view value) {
      auto record = DecodeValue<T>(value);
      if (record)
        records.push_back(std::move(*record));
      else
        set_aside.Keep(std::string(noun) + "-" + NameOfKey(key.substr(1)), value, record.error().message);
      return true;
    });
  };
  load('s', "seal", restored.seals);
  load('a', "agent", restored.agents);
  load('t', "trigger", restored.triggers);
  load('r', "repository", restored.repositories);
  load('e', "enrolment", restored.enrolments);
  load('k', "key", restored.keys);
}

void Store::Impl::LoadNumbers(Restored& restored) const {
  const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator(rocksdb::ReadOptions(), small));
  // Each seek goes from a pipeline's first number straight to its last.
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
    // A report that was repeated with more lines may overlap the one before.
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
