// Answers questions about the past from the store, in a thread of its own, so that a long answer delays
// nobody. Sees committed turns only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "controller/state/effects.h"
#include "controller/store/store.h"

namespace furrow {

class History {
 public:
  // `on_event` is called on the thread of this class. `store` must outlive it.
  History(const Store& store, std::function<void(HistoryEvent)> on_event);
  ~History();

  void Ask(HistoryQuery query);  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The answer to one query; what the thread calls. Any thread.
HistoryEvent AnswerFromHistory(const Store& store, const HistoryQuery& query);

}  // namespace furrow
