// Whatever a controller, the runner and the data threads do to an agent: every message that it makes keeps the caps of
// its schema, and every request to the runner fits a frame.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>

#include "schemas/agent_arbitrary.h"
#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

class WildAgent {
 public:
  explicit WildAgent(std::uint64_t seed) : any_(seed) { farm_.Join(); }
  ~WildAgent() { farm_.out.Clear(); }

  // How often each kind of message was sent: what never came up was not tested.
  std::map<std::size_t, std::size_t> sent;

  void Step() {
    switch (any_.Pick(7)) {
      case 0: ControllerSpeaks(); break;
      case 1: Assigned(); break;
      case 2: Prepares(); break;
      case 3: Runs(); break;
      case 4: Uploads(); break;
      case 5: farm_.Pass(milliseconds(any_.Pick(3000))); break;
      default: OnDiskSpace(farm_.state, farm_.out, farm_.now, {any_.Coin() ? 0 : 1ull << 40});
    }
    farm_.Tick();
    CheckReadable(farm_.out);
    farm_.out.Clear();
    if (!farm_.state.session && farm_.state.registering)
      static_cast<void>(farm_.Hear(Welcome{kSession, farm_.state.nonce, 1, 2000, 30000}));
  }

 private:
  void CheckReadable(const AgentOutbox& out) {
    for (const AgentMessage& message : out.to_controller) {
      ++sent[message.index()];
      const Result<std::string> frame = Encode(message);
      if (!frame) FAIL(frame.error().message);
      const Result<AgentMessage> read = DecodeAgentMessage(*frame);
      if (!read) FAIL(read.error().message);
      CHECK(Encode(*read).value() == *frame);
    }
    for (const runner::Request& request : out.runner) {
      std::string bytes;
      const Status framed =
          runner::AppendFrame(std::visit([](const auto& one) { return runner::Frame(one); }, request), bytes);
      if (!framed) FAIL(framed.error().message);
    }
  }

  void ControllerSpeaks() {
    ToAgent message;
    Fill(any_, message);
    std::visit(
        [&](auto& one) {
          if constexpr (requires { one.session; }) one.session = kSession;
          if constexpr (requires { one.attempt; })
            if (const HeldJob* job = SomeJob()) one.attempt = job->ref();
        },
        message);
    if (std::holds_alternative<Refused>(message)) return;  // it would not register for months
    if (const auto frame = Encode(message)) static_cast<void>(farm_.Hear(DecodeToAgent(*frame).value()));
  }

  void Assigned() {
    Assign assign;
    Fill(any_, assign);
    assign.session = kSession;
    assign.attempt = Attempt(++jobs_);
    JobSpec spec = *assign.spec;
    spec.resources = {};
    assign.spec = std::make_shared<const JobSpec>(spec);
    if (const auto frame = Encode(ToAgent{assign})) static_cast<void>(farm_.Hear(DecodeToAgent(*frame).value()));
  }

  const HeldJob* SomeJob() {
    if (farm_.state.jobs.empty()) return nullptr;
    return &std::next(farm_.state.jobs.begin(), static_cast<std::ptrdiff_t>(any_.Pick(farm_.state.jobs.size())))
                ->second;
  }

  void Prepares() {
    const HeldJob* job = SomeJob();
    if (job == nullptr) return;
    WorkspaceEvent event = Prepared{job->ref()};
    if (any_.Pick(3) == 0) event = PrepareFailed{job->ref(), any_.Wild(), any_.Coin()};
    On(farm_.state, farm_.out, farm_.now, event);
  }

  void Runs() {
    const HeldJob* job = SomeJob();
    if (job == nullptr) return;
    const AttemptRef ref = job->ref();
    switch (any_.Pick(5)) {
      case 0:
      case 1:
      case 2: On(farm_.state, farm_.out, farm_.now, runner::Started{ref, 10, farm_.now.wall}); break;
      case 3: {
        runner::Exited exited = farm_.Exit(ref, any_.Coin() ? 0 : 1);
        exited.outcome.kind = static_cast<runner::OutcomeKind>(1 + any_.Pick(7));
        exited.outcome.text = any_.Wild();
        On(farm_.state, farm_.out, farm_.now, exited);
        break;
      }
      default: OnStartRefused(farm_.state, farm_.out, farm_.now, ref, any_.Wild());
    }
  }

  void Uploads() {
    const HeldJob* job = SomeJob();
    if (job == nullptr) return;
    const AttemptRef ref = job->ref();
    UploadEvent event;
    switch (any_.Pick(9)) {
      case 0: event = LogInline{ref, "hello", HashOf("hello")}; break;
      case 1: event = LogStreamed{ref, any_.Number(0, 0), HashOf("x")}; break;
      case 2:
      case 3:
      case 4:
      case 5: {
        MetricsReport report;
        Fill(any_, report);
        event = MetricsRead{ref, job->metrics_first + job->metrics.size(), report.lines, any_.Wild()};
        break;
      }
      case 6: event = ArtifactsCommitted{ref, HashOf("tree"), "", ""}; break;
      case 7: event = ArtifactsCommitted{ref, {}, any_.Wild(), any_.Wild()}; break;
      default: event = ArtifactsFailed{ref, any_.Wild(), any_.Coin()};
    }
    On(farm_.state, farm_.out, farm_.now, event);
  }

  AgentFarm farm_;
  Arbitrary any_;
  std::uint64_t jobs_ = 0;
};

}  // namespace

TEST_CASE("readable: whatever happens to an agent, what it sends can be read") {
  std::map<std::size_t, std::size_t> sent;
  for (std::uint64_t seed = 1; seed <= 120; ++seed) {
    CAPTURE(seed);
    WildAgent agent(seed);
    for (int step = 0; step < 80; ++step) agent.Step();
    for (const auto& [kind, count] : agent.sent) sent[kind] += count;
  }
  CHECK(sent.size() == std::variant_size_v<AgentMessage>);
  for (const auto& entry : sent) {
    CAPTURE(entry.first);
    CHECK(entry.second > 20);
  }
}
