#include <string>
#include <utility>

#include "common/base/log.h"
#include "controller/store/impl.h"
#include "controller/store/keys.h"
#include "controller/store/record_codec.h"

namespace furrow {
namespace {

// Decodes a value of a list. A damaged one is logged and counted as unreadable, because the rest of the list is worth
// showing.
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

// Turns "it is not there" into an empty result.
template <class T>
Result<std::optional<T>> Optional(Result<T> found) {
  if (found) return std::optional<T>(std::move(*found));
  if (found.error().code == Errc::kNotFound) return std::optional<T>();
  return tl::unexpected(found.error());
}

}  // namespace

Result<std::shared_ptr<const Pipeline>> Store::Impl::ReadSpec(const Hash& hash) const {
  const auto value = read->Get(shared, keys::Spec(hash));
  if (!value && value.error().code == Errc::kNotFound)
    return Fail(Errc::kNotFound, "there is no pipeline of the hash " + hash.ToHex());
  if (!value) return tl::unexpected(value.error());
  FURROW_ASSIGN(Pipeline pipeline, DecodeValue<Pipeline>(*value));
  return std::make_shared<const Pipeline>(std::move(pipeline));
}

Result<RunRecord> Store::GetRun(RunId id) const {
  const auto value = impl_->read->Get(impl_->runs, keys::Run(id));
  if (!value && value.error().code == Errc::kNotFound)
    return Fail(Errc::kNotFound, "there is no run with the id " + std::to_string(Raw(id)));
  if (!value) return tl::unexpected(value.error());
  return DecodeValue<RunRecord>(*value);
}

Result<std::shared_ptr<const Pipeline>> Store::GetSpec(const Hash& hash) const {
  return impl_->ReadSpec(hash);
}

Result<std::string> Store::GetText(const Hash& hash) const {
  auto value = impl_->read->Get(impl_->shared, keys::FileText(hash));
  if (!value && value.error().code == Errc::kNotFound)
    return Fail(Errc::kNotFound, "the text of this pipeline file was not kept");
  return value;
}

Result<RunId> Store::FindRun(PipelineId pipeline, std::uint64_t number) const {
  std::optional<RunId> found;
  const keys::Key wanted = keys::Numbered(pipeline, number == 0 ? ~std::uint64_t{0} : number);
  FURROW_TRY(impl_->read->ScanDown(impl_->small, keys::Key('N').Number(Raw(pipeline)), wanted,
                                   [&](std::string_view key, std::string_view value) -> Result<bool> {
                                     if (number == 0 || key == std::string_view(wanted))
                                       found = RunId{keys::NumberAt(value, 0)};
                                     return false;
                                   }));
  if (found) return *found;
  return Fail(Errc::kNotFound, number == 0 ? "the pipeline has no run" : "there is no run of this number");
}

Result<RunPage> Store::ListRuns(PipelineId pipeline, RunId before, std::size_t limit) const {
  RunPage page;
  const RunId last{Raw(before) == 0 ? ~std::uint64_t{0} : Raw(before) - 1};
  const auto take = [&](std::string_view value) {
    RunRecord run;
    if (DecodeOrSay(value, run))
      page.runs.push_back(std::move(run));
    else
      ++page.unreadable;
    return page.runs.size() < limit;
  };
  if (limit == 0) return page;
  if (Raw(pipeline) == 0) {
    FURROW_TRY(
        impl_->read->ScanDown(impl_->runs, {}, keys::Run(last),
                              [&](std::string_view, std::string_view value) -> Result<bool> { return take(value); }));
    return page;
  }
  const keys::Key prefix = keys::Key('P').Number(Raw(pipeline));
  FURROW_TRY(impl_->read->ScanDown(impl_->small, prefix, keys::OfPipeline(pipeline, last),
                                   [&](std::string_view key, std::string_view) -> Result<bool> {
                                     const auto value =
                                         impl_->read->Get(impl_->runs, keys::Run(RunId{keys::NumberAt(key, 9)}));
                                     if (!value && value.error().code == Errc::kNotFound) return true;
                                     if (!value) return tl::unexpected(value.error());
                                     return take(*value);
                                   }));
  return page;
}

Result<RunJobs> Store::GetJobs(RunId run) const {
  RunJobs found;
  FURROW_TRY(
      impl_->read->Scan(impl_->jobs, keys::Run(run), [&](std::string_view key, std::string_view value) -> Result<bool> {
        JobRecord job;
        if (DecodeOrSay(value, job))
          found.jobs.push_back(std::move(job));
        else
          found.unreadable_jobs.push_back(JobId{keys::NumberAt(key, 8)});
        return true;
      }));
  FURROW_TRY(impl_->read->Scan(
      impl_->attempts, keys::Run(run), [&](std::string_view key, std::string_view value) -> Result<bool> {
        AttemptRecord attempt;
        if (DecodeOrSay(value, attempt))
          found.attempts.push_back(std::move(attempt));
        else
          found.unreadable_attempts.push_back({JobId{keys::NumberAt(key, 8)}, Epoch{keys::NumberAt(key, 16)}});
        return true;
      }));
  return found;
}

Result<std::optional<AttemptRecord>> Store::GetAttempt(RunId run, AttemptRef attempt) const {
  const auto value = impl_->read->Get(impl_->attempts, keys::Attempt(run, attempt));
  if (!value) return Optional(Result<AttemptRecord>(tl::unexpected(value.error())));
  return Optional(DecodeValue<AttemptRecord>(*value));
}

Result<std::optional<SealRecord>> Store::GetSeal(AttemptRef attempt) const {
  const auto value = impl_->read->Get(impl_->small, keys::Seal(attempt));
  if (!value) return Optional(Result<SealRecord>(tl::unexpected(value.error())));
  return Optional(DecodeValue<SealRecord>(*value));
}

Result<std::vector<MetricLine>> Store::GetMetrics(RunId run, AttemptRef attempt) const {
  std::vector<MetricLine> lines;
  FURROW_TRY(impl_->read->Scan(impl_->metrics, keys::Attempt(run, attempt),
                               [&](std::string_view, std::string_view value) -> Result<bool> {
                                 FURROW_ASSIGN(MetricsRecord part, DecodeValue<MetricsRecord>(value));
                                 // A report that was repeated with more lines may overlap the one before.
                                 const std::size_t known = part.first < lines.size() ? lines.size() - part.first : 0;
                                 for (std::size_t i = known; i < part.lines.size(); ++i)
                                   lines.push_back(std::move(part.lines[i]));
                                 return true;
                               }));
  return lines;
}

Result<std::optional<RunId>> Store::FindRequest(Uuid request) const {
  const auto value = impl_->read->Get(impl_->small, keys::Request(request));
  if (!value) return Optional(Result<RunId>(tl::unexpected(value.error())));
  return std::optional(RunId{keys::NumberAt(*value, 0)});
}

Result<std::vector<StoredEvent>> Store::GetEvents(const EventId& after, std::size_t limit) const {
  std::vector<StoredEvent> found;
  if (limit == 0) return found;
  const keys::Key from = keys::Event({after.timeline, after.commit, after.index + 1});
  FURROW_TRY(impl_->read->Scan(
      impl_->events, {},
      [&](std::string_view key, std::string_view value) -> Result<bool> {
        auto event = DecodeValue<EventRecord>(value);
        if (!event && found.empty()) return tl::unexpected(event.error());
        if (!event) return false;
        found.push_back({{keys::NumberAt(key, 0), keys::NumberAt(key, 8), keys::NumberAt(key, 16)}, std::move(*event)});
        return found.size() < limit;
      },
      from));
  return found;
}

}  // namespace furrow
