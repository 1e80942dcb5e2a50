// Moves what format 1 stored to where format 2 looks for it: pipelines get ids and their indexes follow them, parsed
// pipelines are shared, attempts and metrics get keys of their own. Every step may be repeated, so a migration that was
// killed goes on at the next start; the number of the format changes last.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "controller/state/pipelines.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

constexpr std::size_t kBatchBytes = 4 << 20;

// Collects writes and hands them to RocksDB in parts. A part need not be durable before the last commit is.
class Batches {
 public:
  explicit Batches(rocksdb::DB& db) : db_(db) {}

  rocksdb::WriteBatch& batch() { return batch_; }
  Status MayFlush() { return batch_.GetDataSize() < kBatchBytes ? Status{} : Flush(); }
  Status Flush() {
    const rocksdb::Status written = db_.Write(rocksdb::WriteOptions(), &batch_);
    batch_.Clear();
    if (written.ok()) return {};
    return tl::unexpected(StoreError("cannot move the database to a newer format", written));
  }

 private:
  rocksdb::DB& db_;
  rocksdb::WriteBatch batch_;
};

// The keys of format 1: "n", pipeline, NUL, number; "p", pipeline, NUL, run; metrics under job, epoch, first line.
std::string NameInKey(std::string_view key) {
  return std::string(key.substr(1, key.size() - 1 - 1 - 8));
}
std::uint64_t NumberAtEnd(std::string_view key) {
  return keys::NumberAt(key, key.size() - 8);
}
constexpr std::size_t kMetricsKeyBytes = 24;

struct FirstJob {
  JobId job;
  RunId run;
};

}  // namespace

Status Store::Impl::MigrateFrom1() {
  log::Info("moving the database in {} from format 1 to format 2", dir.string());
  Batches batches(*db);
  MakeFarm();

  std::map<std::string, PipelineRecord> pipelines;
  FURROW_TRY(read->Scan(small, keys::Key('n'), [&](std::string_view key, std::string_view run) -> Result<bool> {
    PipelineRecord& pipeline = pipelines[NameInKey(key)];
    if (Raw(pipeline.id) == 0) {
      counters.pipeline = pipeline.id = PipelineId{Raw(counters.pipeline) + 1};
      pipeline.project = kDefaultProject;
      pipeline.name = pipeline.declared = NameInKey(key);
    }
    pipeline.last_number = std::max(pipeline.last_number, NumberAtEnd(key));
    batches.batch().Put(small, keys::Numbered(pipeline.id, NumberAtEnd(key)).bytes(),
                        rocksdb::Slice(run.data(), run.size()));
    FURROW_TRY(batches.MayFlush());
    return true;
  }));
  FURROW_TRY(read->Scan(small, keys::Key('p'), [&](std::string_view key, std::string_view) -> Result<bool> {
    const auto pipeline = pipelines.find(NameInKey(key));
    if (pipeline == pipelines.end()) return true;
    batches.batch().Put(small, keys::OfPipeline(pipeline->second.id, RunId{NumberAtEnd(key)}).bytes(),
                        rocksdb::Slice());
    FURROW_TRY(batches.MayFlush());
    return true;
  }));

  // Ids were given out in order, so the newest run has the last ones. A run that cannot be read may have had as many
  // jobs as a run can.
  std::vector<FirstJob> first_jobs;
  FURROW_TRY(read->Scan(runs, {}, [&](std::string_view key, std::string_view value) -> Result<bool> {
    const RunId id{keys::NumberAt(key, 0)};
    counters.run = std::max(counters.run, id);
    auto run = DecodeValue<RunRecord>(value);
    if (!run) {  // The record stays as it is, and whoever needs it says so.
      counters.job = JobId{Raw(counters.job) + kMaxShards};
      return true;
    }
    if (run->spec_inside) {
      const Pipeline pipeline = std::move(*std::exchange(run->spec_inside, std::nullopt));
      FURROW_ASSIGN(const std::string spec, EncodeValue(pipeline));
      run->spec = HashOf(spec);
      run->name = pipeline.name;
      run->jobs_total = 0;
      for (const JobSpec& job : pipeline.jobs) run->jobs_total += job.shards;
      run->project = kDefaultProject;
      run->person = kDefaultPerson;
      run->pipeline = pipelines[pipeline.name].id;
      batches.batch().Put(shared, keys::Spec(run->spec).bytes(), spec);
      FURROW_TRY(PutValue(batches.batch(), runs, keys::Run(id), *run));
      FURROW_TRY(batches.MayFlush());
    }
    first_jobs.push_back({run->first_job, id});
    counters.job = std::max(counters.job, JobId{Raw(run->first_job) + run->jobs_total - 1});
    return true;
  }));

  std::size_t jobs_moved = 0;
  FURROW_TRY(read->Scan(jobs, {}, [&](std::string_view, std::string_view value) -> Result<bool> {
    auto job = DecodeValue<JobRecord>(value);
    if (!job || (job->attempts_inside.empty() && job->metrics_inside.empty())) return true;
    const bool ended = job->agent.empty();
    for (AttemptRecord& attempt : job->attempts_inside) {
      attempt.run = job->run;
      attempt.job = job->id;
      if (ended && &attempt == &job->attempts_inside.back()) attempt.metrics = job->metrics_inside;
      FURROW_TRY(PutValue(batches.batch(), attempts, keys::Attempt(job->run, {job->id, attempt.epoch}), attempt));
    }
    job->attempts_inside.clear();
    job->metrics_inside.clear();
    FURROW_TRY(PutValue(batches.batch(), jobs, keys::Job(job->run, job->id), *job));
    ++jobs_moved;
    FURROW_TRY(batches.MayFlush());
    return true;
  }));

  std::size_t metrics_left = 0;
  FURROW_TRY(read->Scan(metrics, {}, [&](std::string_view key, std::string_view value) -> Result<bool> {
    if (key.size() != kMetricsKeyBytes) return true;
    const AttemptRef attempt{JobId{keys::NumberAt(key, 0)}, Epoch{keys::NumberAt(key, 8)}};
    const auto after = std::upper_bound(first_jobs.begin(), first_jobs.end(), attempt.job,
                                        [](JobId job, const FirstJob& first) { return job < first.job; });
    if (after == first_jobs.begin()) {
      ++metrics_left;
      return true;
    }
    batches.batch().Put(metrics, keys::Metrics(std::prev(after)->run, attempt, keys::NumberAt(key, 16)).bytes(),
                        rocksdb::Slice(value.data(), value.size()));
    batches.batch().Delete(metrics, rocksdb::Slice(key.data(), key.size()));
    FURROW_TRY(batches.MayFlush());
    return true;
  }));
  if (metrics_left > 0) log::Error("{} metrics belong to runs that cannot be read, and are out of reach", metrics_left);
  FURROW_TRY(batches.Flush());

  rocksdb::WriteBatch last;
  last.DeleteRange(small, "n", "o");
  last.DeleteRange(small, "p", "q");
  for (const auto& [name, pipeline] : pipelines) FURROW_TRY(Put(last, pipeline));
  FURROW_TRY(Put(last, ProjectRecord{kDefaultProject, kDefaultName}));
  FURROW_TRY(Put(last, PersonRecord{kDefaultPerson, kDefaultName}));
  FURROW_TRY(Put(last, farm));
  FURROW_TRY(Put(last, counters));
  last.Put(small, keys::Meta("version").bytes(), keys::Key().Number(2).bytes());
  FURROW_TRY(Write(last));
  log::Info("moved {} runs and {} jobs", first_jobs.size(), jobs_moved);
  return {};
}

}  // namespace furrow
