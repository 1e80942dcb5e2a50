// Fakes the agent's outbox for tests of its reactor; tests use it like the controller's in fake_outbox.h.
#pragma once

#include <utility>

#include "agent/state/outbox.h"
#include "tests/support/take_first.h"

namespace furrow::testing {

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
