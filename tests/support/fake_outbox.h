// Outboxes for tests of reactors. A test takes out each effect that it expects; what nobody expected fails it:
// the first effect of a kind that is not the one taken, and at the end whatever is left.
#pragma once

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "agent/outbox.h"
#include "controller/outbox.h"

namespace furrow::testing {

// Takes the first element, which must hold a T.
template <class T, class Variant>
T TakeFirst(std::vector<Variant>& effects) {
  REQUIRE_MESSAGE(!effects.empty(), "an expected effect is missing");
  T* first = std::get_if<T>(&effects.front());
  REQUIRE_MESSAGE(first != nullptr, "another effect came first: alternative " << effects.front().index());
  T taken = std::move(*first);
  effects.erase(effects.begin());
  return taken;
}

// The controller's.
class FakeOutbox {
 public:
  ~FakeOutbox() {
    CHECK_MESSAGE(out_.records.empty(), "unexpected records, the first of kind " << FirstKind(out_.records));
    CHECK_MESSAGE(out_.to_agents.empty(), "unexpected messages to agents: " << out_.to_agents.size());
    CHECK_MESSAGE(out_.to_clients.empty(), "unexpected messages to clients: " << out_.to_clients.size());
    CHECK_MESSAGE(out_.bulk.empty(), "unexpected bulk commands, the first of kind " << FirstKind(out_.bulk));
    CHECK_MESSAGE(out_.empty(), "unexpected effects");
  }

  operator Outbox&() { return out_; }
  Outbox* operator->() { return &out_; }
  bool empty() const { return out_.empty(); }

  template <class T>
  T Stored() {
    return TakeFirst<T>(out_.records);
  }
  template <class T>
  T Bulk() {
    return TakeFirst<T>(out_.bulk);
  }
  template <class T>
  T Git() {
    return TakeFirst<T>(out_.repositories);
  }
  // The first message to any agent; it must go to `peer`.
  template <class T>
  T ToAgent(PeerId peer) {
    REQUIRE_MESSAGE(!out_.to_agents.empty(), "an expected message to an agent is missing");
    AgentSend send = std::move(out_.to_agents.front());
    out_.to_agents.erase(out_.to_agents.begin());
    CHECK(send.peer == peer);
    REQUIRE_MESSAGE(std::holds_alternative<T>(send.message), "another message came first: " << send.message.index());
    return std::get<T>(std::move(send.message));
  }
  // The first answer to any client; it must be the one to `number`.
  template <class T>
  T ToClient(PeerId peer, std::uint64_t number) {
    REQUIRE_MESSAGE(!out_.to_clients.empty(), "an expected answer is missing");
    ClientSend send = std::move(out_.to_clients.front());
    out_.to_clients.erase(out_.to_clients.begin());
    CHECK(send.peer == peer);
    CHECK(send.number == number);
    REQUIRE_MESSAGE(std::holds_alternative<T>(send.message), "another answer came: " << send.message.index());
    return std::get<T>(std::move(send.message));
  }
  HistoryQuery Asked() {
    REQUIRE_MESSAGE(!out_.history.empty(), "an expected question to history is missing");
    HistoryQuery query = std::move(out_.history.front());
    out_.history.erase(out_.history.begin());
    return query;
  }
  // Drops everything: for what led to the situation under test.
  void Clear() { out_ = {}; }

 private:
  template <class Variant>
  static int FirstKind(const std::vector<Variant>& effects) {
    return effects.empty() ? -1 : static_cast<int>(effects.front().index());
  }
  Outbox out_;
};

// The agent's.
class FakeAgentOutbox {
 public:
  ~FakeAgentOutbox() {
    CHECK_MESSAGE(out_.runner.empty(), "unexpected requests to the runner: " << out_.runner.size());
    CHECK_MESSAGE(out_.workspace.empty(), "unexpected commands to the workspace: " << out_.workspace.size());
    CHECK_MESSAGE(out_.uploads.empty(), "unexpected commands to the uploader: " << out_.uploads.size());
    CHECK_MESSAGE(out_.to_controller.empty(), "unexpected messages: " << out_.to_controller.size());
    CHECK_MESSAGE(!out_.lease_until, "an unexpected lease");
  }

  operator AgentOutbox&() { return out_; }
  bool empty() const { return out_.empty(); }

  template <class T>
  T Runner() {
    return TakeFirst<T>(out_.runner);
  }
  template <class T>
  T Workspace() {
    return TakeFirst<T>(out_.workspace);
  }
  template <class T>
  T Upload() {
    return TakeFirst<T>(out_.uploads);
  }
  template <class T>
  T Sent() {
    return TakeFirst<T>(out_.to_controller);
  }
  TimePoint Lease() {
    REQUIRE(out_.lease_until.has_value());
    return *std::exchange(out_.lease_until, std::nullopt);
  }
  void Clear() { out_ = {}; }

 private:
  AgentOutbox out_;
};

}  // namespace furrow::testing
