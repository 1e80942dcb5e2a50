// Fakes the controller's outbox for tests of its reactor. A test takes out each effect that it expects. An unexpected
// effect fails the test: the first effect of a kind that is not the one taken, and at the end every effect that is
// left. Events, and the records that accompany others (attempts, counters, pipelines), count only in tests that ask for
// them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/reactor/outbox.h"
#include "tests/support/take_first.h"

namespace furrow::testing {

class FakeOutbox {
 public:
  ~FakeOutbox();

  operator Outbox&() { return out_; }
  Outbox* operator->() { return &out_; }
  bool empty();

  template <class T>
  T Stored() {
    DropCompanions([](const RecordChange& record) { return !std::holds_alternative<T>(record); });
    return TakeFirst<T>(out_.records);
  }
  // Takes the events so far.
  std::vector<EventRecord> Events();
  template <class T>
  T Bulk() {
    return TakeFirst<T>(out_.bulk);
  }
  template <class T>
  T Git() {
    return TakeFirst<T>(out_.repositories);
  }
  // Takes the first message to any agent, which must go to `peer`.
  template <class T>
  T ToAgent(PeerId peer) {
    REQUIRE_MESSAGE(!out_.to_agents.empty(), "an expected message to an agent is missing");
    AgentSend send = std::move(out_.to_agents.front());
    out_.to_agents.erase(out_.to_agents.begin());
    CHECK(send.peer == peer);
    REQUIRE_MESSAGE(std::holds_alternative<T>(send.message), "another message came first: " << send.message.index());
    return std::get<T>(std::move(send.message));
  }
  // Takes the first answer to any client, which must be the one to `number`.
  template <class T>
  T ToClient(PeerId peer, std::uint64_t number) {
    REQUIRE_MESSAGE(!out_.to_clients.empty(), "an expected answer is missing");
    ClientSend send = std::move(out_.to_clients.front());
    out_.to_clients.erase(out_.to_clients.begin());
    CHECK(send.asker == Asker{peer, number});
    REQUIRE_MESSAGE(std::holds_alternative<T>(send.message), "another answer came: " << send.message.index());
    return std::get<T>(std::move(send.message));
  }
  HistoryQuery Asked();
  // Takes the first line for the log.
  std::string Warning();
  // Drops all effects, such as those of the steps that led to the situation under test.
  void Clear();

 private:
  // Drops the first records as long as they accompany others and `unwanted` holds.
  void DropCompanions(bool (*unwanted)(const RecordChange&));

  Outbox out_;
};

}  // namespace furrow::testing
