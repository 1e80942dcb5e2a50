#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/wire/job_state.h"
#include "common/wire/metrics.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

constexpr std::size_t kRememberedRequests = 10'000;

}  // namespace

Result<Restored> Store::Load() {
  Restored restored;
  FURROW_TRY(impl_->LoadAll(restored));
  return restored;
}

Status Store::Impl::LoadAll(Restored& restored) const {
  restored.boot = boot;
  restored.farm = farm;
  restored.counters = counters;
  FURROW_TRY(LoadRuns(restored));
  FURROW_TRY(LoadPipelines(restored));
  FURROW_TRY(LoadSmallRecords(restored));
  return LoadRequests(restored);
}

Status Store::Impl::LoadRuns(Restored& restored) const {
  std::map<Hash, std::shared_ptr<const Pipeline>> specs;  // Runs of one pipeline share it.
  return read->Scan(small, keys::Key('l'), [&](std::string_view key, std::string_view) -> Result<bool> {
    const RunId id{keys::NumberAt(key, 1)};
    const std::string name = "run-" + std::to_string(Raw(id));
    const auto value = read->Get(runs, keys::Run(id));
    if (!value && value.error().code != Errc::kNotFound) return tl::unexpected(value.error());
    auto run = value ? DecodeValue<RunRecord>(*value) : Result<RunRecord>(Fail(Errc::kCorrupt, "it is not there"));
    if (!run) {
      set_aside.Keep(name, value ? *value : "", run.error().message);
      return true;
    }
    std::shared_ptr<const Pipeline>& spec = specs[run->spec];
    if (spec == nullptr) {
      const auto bytes = read->Get(shared, keys::Spec(run->spec));
      if (!bytes && bytes.error().code != Errc::kNotFound) return tl::unexpected(bytes.error());
      auto found = bytes ? DecodeValue<Pipeline>(*bytes) : Result<Pipeline>(Fail(Errc::kCorrupt, "it is not there"));
      if (!found) {
        set_aside.Keep(name, *value, "its pipeline cannot be read: " + found.error().message);
        return true;
      }
      spec = std::make_shared<const Pipeline>(std::move(*found));
    }
    restored.runs.push_back({std::move(*run), spec});
    FURROW_TRY(LoadJobs(id, restored));
    return true;
  });
}

Status Store::Impl::LoadJobs(RunId run, Restored& restored) const {
  const std::size_t first = restored.jobs.size();
  FURROW_TRY(read->Scan(jobs, keys::Run(run), [&](std::string_view key, std::string_view bytes) -> Result<bool> {
    auto job = DecodeValue<JobRecord>(bytes);
    if (job) {
      restored.jobs.push_back(std::move(*job));
      return true;
    }
    const JobId id{keys::NumberAt(key, 8)};
    set_aside.Keep("job-" + std::to_string(Raw(run)) + "-" + std::to_string(Raw(id)), bytes, job.error().message);
    restored.unreadable_jobs.push_back(id);
    return true;
  }));
  FURROW_TRY(read->Scan(attempts, keys::Run(run), [&](std::string_view key, std::string_view bytes) -> Result<bool> {
    auto attempt = DecodeValue<AttemptRecord>(bytes);
    if (attempt) {
      restored.attempts.push_back(std::move(*attempt));
      return true;
    }
    const AttemptRef ref{JobId{keys::NumberAt(key, 8)}, Epoch{keys::NumberAt(key, 16)}};
    set_aside.Keep("attempt-" + std::to_string(Raw(ref.job)) + "-" + std::to_string(Raw(ref.epoch)), bytes,
                   attempt.error().message);
    restored.unreadable_attempts.push_back(ref);
    return true;
  }));
  for (std::size_t i = first; i < restored.jobs.size(); ++i) FURROW_TRY(LoadMetrics(restored.jobs[i], restored));
  return {};
}

Status Store::Impl::LoadMetrics(const JobRecord& job, Restored& restored) const {
  if (IsTerminal(job.state) || Raw(job.epoch) == 0) return {};
  AttemptMetrics known{{job.id, job.epoch}, 0, 0, {}};
  bool readable = true;
  FURROW_TRY(read->Scan(metrics, keys::Attempt(job.run, known.attempt),
                        [&](std::string_view key, std::string_view value) -> Result<bool> {
                          const auto part = DecodeValue<MetricsRecord>(value);
                          if (part) {
                            known.lines = part->first + part->lines.size();
                            for (const MetricLine& line : part->lines) known.bytes += WireBytes(line);
                            KeepNewest(known.newest, part->lines, kMaxJobMetrics);
                            return true;
                          }
                          set_aside.Keep("metrics-" + std::to_string(Raw(job.id)) + "-" +
                                             std::to_string(Raw(job.epoch)) + "-" +
                                             std::to_string(keys::NumberAt(key, 24)),
                                         value, part.error().message);
                          readable = false;
                          return true;
                        }));
  if (!readable) restored.unreadable_metrics.push_back(known.attempt);
  if (known.lines > 0) restored.metrics.push_back(std::move(known));
  return {};
}

// A pipeline whose record cannot be read is made anew from its newest run, since its next run may not get a number that
// an earlier one has, nor may its name go to another. Its numbers skip ahead, for it is not known which were given out.
Status Store::Impl::LoadPipelines(Restored& restored) const {
  return read->Scan(small, keys::Key('d'), [&](std::string_view key, std::string_view value) -> Result<bool> {
    auto pipeline = DecodeValue<PipelineRecord>(value);
    if (pipeline) {
      restored.pipelines.push_back(std::move(*pipeline));
      return true;
    }
    set_aside.Keep("pipeline-" + NameOfKey(key.substr(1)), value, pipeline.error().message);
    FURROW_ASSIGN(std::optional<PipelineRecord> made, PipelineOfRuns(PipelineId{keys::NumberAt(key, 1)}));
    if (made) restored.pipelines.push_back(std::move(*made));
    return true;
  });
}

// Returns what the runs of a pipeline tell of it; nothing, if it has none that can be read.
Result<std::optional<PipelineRecord>> Store::Impl::PipelineOfRuns(PipelineId id) const {
  std::optional<PipelineRecord> made;
  std::uint64_t newest = 0;
  FURROW_TRY(read->ScanDown(
      small, keys::Key('N').Number(Raw(id)), keys::Numbered(id, ~std::uint64_t{0}),
      [&](std::string_view key, std::string_view value) -> Result<bool> {
        newest = std::max(newest, keys::NumberAt(key, 9));
        const auto stored = read->Get(runs, value);
        if (!stored && stored.error().code != Errc::kNotFound) return tl::unexpected(stored.error());
        const auto run = stored ? DecodeValue<RunRecord>(*stored) : Result<RunRecord>(Fail(Errc::kCorrupt, ""));
        if (!run) return true;
        made = PipelineRecord{.id = id, .project = run->project, .name = run->name, .declared = run->name};
        return false;
      }));
  if (made) made->last_number = newest + kSkippedNumbers * farm.timeline;
  return made;
}

Status Store::Impl::LoadSmallRecords(Restored& restored) const {
  const auto nothing = [](std::string_view) {};
  const auto load = [&](char kind, const char* noun, auto& records, const auto& unreadable) {
    using T = typename std::decay_t<decltype(records)>::value_type;
    return read->Scan(small, keys::Key(kind), [&](std::string_view key, std::string_view value) -> Result<bool> {
      auto record = DecodeValue<T>(value);
      if (record) {
        records.push_back(std::move(*record));
      } else {
        set_aside.Keep(std::string(noun) + "-" + NameOfKey(key.substr(1)), value, record.error().message);
        unreadable(key);
      }
      return true;
    });
  };
  FURROW_TRY(load('j', "project", restored.projects, nothing));
  FURROW_TRY(load('u', "person", restored.persons, nothing));
  FURROW_TRY(load('s', "seal", restored.seals, [&](std::string_view key) {
    restored.unreadable_seals.push_back({JobId{keys::NumberAt(key, 1)}, Epoch{keys::NumberAt(key, 9)}});
  }));
  FURROW_TRY(load('a', "agent", restored.agents,
                  [&](std::string_view key) { restored.unreadable_agents.emplace_back(key.substr(1)); }));
  FURROW_TRY(load('t', "trigger", restored.triggers, nothing));
  FURROW_TRY(load('r', "repository", restored.repositories, nothing));
  FURROW_TRY(load('e', "enrolment", restored.enrolments, nothing));
  return load('k', "key", restored.keys, nothing);
}

Status Store::Impl::LoadRequests(Restored& restored) const {
  return read->ScanDown(small, keys::Key('i'), keys::RequestOf(RunId{~std::uint64_t{0}}),
                        [&](std::string_view key, std::string_view value) -> Result<bool> {
                          restored.requests.emplace_back(keys::UuidAt(value, 0), RunId{keys::NumberAt(key, 1)});
                          return restored.requests.size() < kRememberedRequests;
                        });
}

}  // namespace furrow
