// FindLogIn finds the logs of ended attempts in the store.
#include "controller/bulk/server.h"
#include "controller/store/store.h"

namespace furrow {

FindLog FindLogIn(const Store& store) {
  return [&store](RunId run, AttemptRef attempt) -> Result<std::optional<LogRecord>> {
    FURROW_ASSIGN(const std::optional<AttemptRecord> ended, store.GetAttempt(run, attempt));
    if (ended) return ended->log;
    FURROW_ASSIGN(const std::optional<SealRecord> seal, store.GetSeal(attempt));
    if (seal) return seal->log;
    return std::nullopt;
  };
}

}  // namespace furrow
