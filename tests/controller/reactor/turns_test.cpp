#include "controller/reactor/turns.h"

#include <doctest/doctest.h>

#include "controller/reactor/answer.h"

using namespace furrow;

namespace {

constexpr Now kNow{TimePoint{std::chrono::seconds(100)}, WallTime{1}};

Outbox Said(ToAgent message, bool stored) {
  Outbox out;
  out.to_agents.push_back({1, std::move(message)});
  if (stored) out.records.emplace_back(AgentRecord{});
  return out;
}

}  // namespace

TEST_CASE("turns: with nothing to be stored everything leaves at once") {
  Turns turns;
  const auto step = turns.Take(Said(Kill{}, false), kNow);
  CHECK(step.release.size() == 1);
  CHECK_FALSE(step.commit);
  CHECK(turns.Take({}, kNow).release.empty());
}

TEST_CASE("turns: effects wait for their records and for those before, and leave in order") {
  Turns turns;
  const auto first = turns.Take(Said(FinishedAck{SessionId{1}, {}}, true), kNow);
  REQUIRE(first.commit);
  CHECK(first.commit->number == 1);
  CHECK(first.commit->records.size() == 1);
  CHECK(first.release.empty());
  const auto second = turns.Take(Said(Kill{SessionId{2}, {}, "", false}, false), kNow);
  CHECK_FALSE(second.commit);
  CHECK(second.release.empty());
  CHECK(turns.Take(Said(Kill{SessionId{3}, {}, "", false}, true), kNow).commit->number == 2);
  const auto released = turns.OnCommitted({1, {}}).value();
  REQUIRE(released.size() == 2);
  CHECK(std::get<FinishedAck>(released[0].to_agents[0].message).session == SessionId{1});
  CHECK(std::get<Kill>(released[1].to_agents[0].message).session == SessionId{2});
  CHECK(turns.OnCommitted({1, {}}).value().empty());
  CHECK(turns.OnCommitted({2, {}}).value().size() == 1);
}

TEST_CASE("turns: what rests on no record overtakes what waits") {
  Turns turns;
  for (const bool stored : {true, false}) {
    for (const ToAgent& message : {ToAgent{HeartbeatAck{}}, ToAgent{Reregister{}}, ToAgent{Refused{}}}) {
      Outbox out = Said(message, stored);
      out.to_agents.push_back({1, Kill{}});
      const auto step = turns.Take(std::move(out), kNow);
      REQUIRE(step.release.size() == 1);
      REQUIRE(step.release[0].to_agents.size() == 1);
      CHECK(step.release[0].to_agents[0].message == message);
      CHECK(step.release[0].records.empty());
    }
  }
  std::size_t waited = 0;
  const auto released = turns.OnCommitted({3, {}});
  for (const Outbox& out : released.value()) waited += out.to_agents.size();
  CHECK(waited == 6);
}

TEST_CASE("turns: clients learn at once what rests on no record, and the rest in order") {
  Turns turns;
  for (const bool stored : {true, false}) {
    Outbox out = Said(Kill{}, stored);
    const Asker asker{1, 1, "ann"};
    Answer(out, asker, Submitted{RunId{1}, "k#1", false, ""});
    AnswerAtOnce(out, asker, Pong{"furrow-controller 1", 0, 0});
    Refuse(out, asker, Errc::kUnavailable, "the disk is full");
    out.history.push_back({asker, ShowRun{}, {}, {}, /*at_once=*/true});
    out.history.push_back({asker, GetMetrics{}, {}, {}});
    const auto step = turns.Take(std::move(out), kNow);
    REQUIRE(step.release.size() == 1);
    REQUIRE(step.release[0].to_clients.size() == 2);
    CHECK(std::holds_alternative<Pong>(step.release[0].to_clients[0].message));
    CHECK(std::holds_alternative<Failure>(step.release[0].to_clients[1].message));
    REQUIRE(step.release[0].history.size() == 1);
    CHECK(std::holds_alternative<ShowRun>(step.release[0].history[0].request));
  }
  // What waits is still counted, and no more than that.
  CHECK(turns.Crowded(2 * WireBytes(ClientReply(Submitted{RunId{1}, "k#1", false, ""}))).empty());
  CHECK(turns.Crowded(2 * WireBytes(ClientReply(Submitted{RunId{1}, "k#1", false, ""})) - 1).size() == 1);
  const auto released = turns.OnCommitted({1, {}}).value();
  REQUIRE(released.size() == 2);
  for (const Outbox& effects : released) {
    CHECK(effects.to_clients.size() == 1);
    CHECK(effects.history.size() == 1);
  }
}

TEST_CASE("turns: those who read what the store has can be taken out, once") {
  Turns turns;
  for (const bool stored : {true, false}) {
    Outbox out = Said(Kill{}, stored);
    const Asker asker{1, 1, "ann"};
    Answer(out, asker, Submitted{RunId{1}, "k#1", false, ""});
    Answer(out, asker, RunDetail{}, {asker, ShowRun{}, PipelineId{7}, {}});
    out.history.push_back({asker, GetMetrics{}, {}, {}});
    out.history.push_back({asker, Watch{}, {}, {}});
    out.history.push_back({asker, Retry{}, {}, {}});
    CHECK(turns.Take(std::move(out), kNow).release.empty());
  }
  const Outbox readers = turns.TakeReaders();
  REQUIRE(readers.to_clients.size() == 2);
  CHECK(readers.to_clients[1].otherwise->pipeline == PipelineId{7});
  CHECK(readers.history.size() == 2);
  CHECK(turns.TakeReaders().empty());
  const auto released = turns.OnCommitted({1, {}}).value();
  REQUIRE(released.size() == 2);
  for (const Outbox& effects : released) {
    CHECK(effects.to_clients.size() == 1);
    CHECK(effects.history.size() == 2);  // They rest on what is decided already.
    CHECK(effects.answer_bytes.at("ann") == WireBytes(effects.to_clients[0].message));
  }
}

TEST_CASE("turns: a store that takes long is noticed") {
  Turns turns;
  const auto after = [](int seconds) { return Now{kNow.mono + std::chrono::seconds(seconds), kNow.wall}; };
  CHECK_FALSE(turns.Behind(after(100), std::chrono::seconds(5)));
  turns.Take(Said(Kill{}, true), kNow);
  CHECK_FALSE(turns.Behind(after(5), std::chrono::seconds(5)));
  CHECK(turns.Behind(after(6), std::chrono::seconds(5)));
  turns.OnCommitted({1, {}}).value();
  CHECK_FALSE(turns.Behind(after(6), std::chrono::seconds(5)));
}

TEST_CASE("turns: a commit that failed releases nothing") {
  Turns turns;
  turns.Take(Said(Kill{}, true), kNow);
  const auto released = turns.OnCommitted({1, Fail(Errc::kInternal, "an I/O error")});
  REQUIRE_FALSE(released);
  CHECK(released.error().message == "an I/O error");
}
