// Answers questions about the past from the store, in a thread of its own, so that a long answer delays
// nobody. Sees committed turns only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "controller/reactor/outbox.h"
#include "controller/store/store.h"

namespace furrow {

struct HistoryAnswer {
  PeerId peer = 0;
  std::uint64_t number = 0;
  ClientReply reply;
};
// What a Retry needs to begin.
struct RetryFound {
  PeerId peer = 0;
  std::uint64_t number = 0;
  Retry request;
  RunRecord run;
  std::vector<JobRecord> jobs;
};
using HistoryEvent = std::variant<HistoryAnswer, RetryFound>;

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
