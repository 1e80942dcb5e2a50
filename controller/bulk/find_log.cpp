// FindLogIn finds the logs of ended attempts in the store.
#include "controller/bulk/server.h"
#include "controller/store/store.h"

namespace furrow {

FindLog FindLogIn(const Store& store) {
  return [&store](RunId run, AttemptRef attempt) -> Result<std::optional<LogRecord>> {
    const auto job = store.GetJob(run, attempt.job);
    if (!job && job.error().code != Errc::kNotFound) return tl::unexpected(job.error());
    if (job) {
      for (const AttemptRecord& ended : job->attempts) {
        if (ended.epoch == attempt.epoch) return ended.log;
      }
    }
    if (const auto seal = store.GetSeal(attempt)) return seal->log;
    return std::nullopt;
  };
}

}  // namespace furrow
