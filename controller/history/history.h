// History answers questions about the past from the store, on its own thread, so that a long answer delays no other
// work. History sees only committed turns.
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
  // The thread of this class calls `on_event`. `store` must outlive History.
  History(const Store& store, std::function<void(HistoryEvent)> on_event);
  ~History();

  void Ask(HistoryQuery query);  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Returns the answer to one query; the thread of History calls this function. Any thread may call it.
HistoryEvent AnswerFromHistory(const Store& store, const HistoryQuery& query);

}  // namespace furrow
