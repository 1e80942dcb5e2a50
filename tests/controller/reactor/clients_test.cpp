#include "controller/reactor/clients.h"

#include <algorithm>
#include <set>

#include "common/wire/selector.h"
#include "controller/reactor/dispatcher.h"
#include "controller/views/page.h"
#include "controller/views/runs.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

Selector Of(const std::string& text) {
  return ParseSelector(text).value();
}

// A client that watches a run of three shards on a connected agent.
struct Watched : ControllerFarm {
  explicit Watched(std::uint32_t shards = 3) {
    Connect("a", Cpus(1));
    run = &Accept(MakePipeline({MakeJob("test", {}, shards)}));
    On(state, out, now, {kAlice, 1}, Watch{Of("fashion#1")});
  }
  RunUpdate Update() { return out.ToClient<RunUpdate>(kAlice, 1); }
  Run* run = nullptr;
};

}  // namespace

TEST_CASE("clients: a watcher hears everything first, then what changed, then the end") {
  Watched farm;
  CHECK(farm.out.empty());  // told at the end of the turn
  EndTurn(farm.state, farm.out, farm.now);
  const RunUpdate first = farm.Update();
  CHECK(first.jobs.size() == 3);
  CHECK(first.jobs[0].state == JobState::kAssigned);
  CHECK(first.run.jobs.total == 3);
  CHECK(first.run.jobs.running == 1);
  CHECK_FALSE(first.run_ended);
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());  // nothing changed

  farm.Pass(milliseconds(20));
  farm.Finish(farm.run->jobs[0]);
  EndTurn(farm.state, farm.out, farm.now);
  const RunUpdate second = farm.Update();
  REQUIRE(second.jobs.size() == 2);
  CHECK(second.jobs[0].state == JobState::kPassed);
  CHECK(second.jobs[1].state == JobState::kAssigned);
  CHECK(second.run.jobs.passed == 1);
  farm.out.Clear();
}

TEST_CASE("clients: a watcher is not told more often than every 20 ms, and the end at once") {
  Watched farm;
  farm.Plan();
  farm.Pass(milliseconds(19));
  farm.Finish(farm.run->jobs[0]);
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out->to_clients.empty());
  farm.out.Clear();
  farm.Finish(farm.run->jobs[1]);
  farm.Plan();
  REQUIRE(farm.Tell("a", farm.Report(farm.run->jobs[2])).has_value());
  EndTurn(farm.state, farm.out, farm.now);
  const RunUpdate last = farm.Update();
  CHECK(last.run_ended);
  CHECK(last.run.state == RunState::kPassed);
  CHECK(last.jobs.size() == 3);
  CHECK(farm.state.watchers.empty());
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: watching an ended run is answered whole and at once") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  farm.Plan();
  farm.Finish(run.jobs[0]);
  On(farm.state, farm.out, farm.now, {kAlice, 4}, Watch{Of("fashion#1")});
  EndTurn(farm.state, farm.out, farm.now);
  const auto update = farm.out.ToClient<RunUpdate>(kAlice, 4);
  CHECK(update.run_ended);
  CHECK(update.jobs.size() == 1);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: a watch asked for twice is one watch, told anew") {
  Watched farm;
  farm.Plan();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Watch{Of("fashion#1")});
  CHECK(farm.state.watchers.size() == 1);
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.Update().jobs.size() == 3);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: every change reaches a watcher, also where one update cannot hold them") {
  Watched farm(10001);
  farm.Plan();
  farm.Pass(milliseconds(20));
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Cancel{Of("fashion#1"), ""});
  farm.out.Clear();
  Job& running = farm.run->jobs[0];
  Finished message = farm.Report(running);
  message.outcome.kind = OutcomeKind::kKilled;
  REQUIRE(farm.Tell("a", message).has_value());
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  std::set<JobId> told;
  bool ended = false;
  while (!ended) {
    const RunUpdate update = farm.Update();
    CHECK(WireBytes(update) < kPageBytes + 4096);
    for (const JobView& job : update.jobs) CHECK(told.insert(job.id).second);
    ended = update.run_ended;
  }
  CHECK(told.size() == 10001);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: a watch ends with its client") {
  Watched farm;
  ForgetClient(farm.state, kAlice);
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out->to_clients.empty());
  farm.out.Clear();
}

TEST_CASE("clients: what state does not know is asked of history") {
  ControllerFarm farm;
  farm.state.pipelines.Put({PipelineId{7}, kDefaultProject, "old"});
  for (const ClientRequest& request :
       {ClientRequest{Watch{Of("old#1")}}, ClientRequest{ShowRun{Of("old#1"), 0, 10}}, ClientRequest{Why{Of("old#1")}},
        ClientRequest{GetMetrics{Of("old#1"), ""}}, ClientRequest{ListRuns{"", 10, RunId{}}}}) {
    DispatchClient(farm.state, farm.out, farm.now, {kAlice, 6}, request);
    const HistoryQuery query = farm.out.Asked();
    CHECK(query.request.index() == request.index());
    CHECK(query.asker == Asker{kAlice, 6});
    CHECK(query.pipeline == (std::holds_alternative<ListRuns>(request) ? PipelineId{} : PipelineId{7}));
    CHECK(farm.out.empty());
  }
  DispatchClient(farm.state, farm.out, farm.now, {kAlice, 6}, Watch{Of("older#1/job")});
  CHECK(farm.out.ToClient<Failure>(kAlice, 6).message == "there is no run older#1; `furrow runs` lists them");
}

TEST_CASE("clients: while turns wait for the disk looks are answered by history at once, and what goes on is not") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("test")}));
  farm.out.Clear();
  OnStalled(farm.state, farm.out, true, {});
  for (const ClientRequest& request :
       {ClientRequest{ShowRun{Of("fashion#1"), 0, 10}}, ClientRequest{Why{Of("fashion#1")}},
        ClientRequest{GetMetrics{Of("fashion#1"), ""}}, ClientRequest{ListRuns{"", 10, RunId{}}}}) {
    DispatchClient(farm.state, farm.out, farm.now, {kAlice, 6}, request);
    CHECK(farm.out.Asked().at_once);
  }
  farm.state.pipelines.Put({PipelineId{7}, kDefaultProject, "old"});
  for (const ClientRequest& request : {ClientRequest{Watch{Of("old#1")}}, ClientRequest{Retry{{}, Of("old#1")}}}) {
    DispatchClient(farm.state, farm.out, farm.now, {kAlice, 6}, request);
    CHECK_FALSE(farm.out.Asked().at_once);
  }
  farm.state.refusing = "the controller's disk is full";
  RunDetail detail;
  detail.run.state = RunState::kRunning;
  On(farm.state, farm.out, farm.now, HistoryAnswer{{kAlice, 6}, {detail}});
  CHECK(farm.out.ToClient<RunDetail>(kAlice, 6).run.stuck.ends_with("the controller's disk is full"));
}

TEST_CASE("clients: a list of runs brings what lives, newest first, within its limits") {
  ControllerFarm farm;
  for (int i = 0; i < 4; ++i) farm.Accept(MakePipeline({MakeJob("test")}));
  const auto listed = [&](const ListRuns& request) {
    DispatchClient(farm.state, farm.out, farm.now, {kAlice, 1}, request);
    std::vector<std::uint64_t> numbers;
    for (const RunSummary& run : farm.out.Asked().live) numbers.push_back(run.number);
    return numbers;
  };
  CHECK(listed({"", 2, RunId{}}) == std::vector<std::uint64_t>{4, 3});
  CHECK(listed({"fashion", 10, RunId{3}}) == std::vector<std::uint64_t>{2, 1});
  On(farm.state, farm.out, farm.now, {kAlice, 1}, ListRuns{"other", 10, RunId{}});
  CHECK(farm.out.ToClient<RunList>(kAlice, 1).runs.empty());
}

TEST_CASE("clients: a run is shown as the window of jobs that was asked for") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("train"), MakeJob("test", {"train"}, 5)}));
  const auto show = [&](const std::string& what, std::uint32_t first, std::uint32_t limit) {
    On(farm.state, farm.out, farm.now, {kAlice, 1}, ShowRun{Of(what), first, limit});
    return farm.out.ToClient<RunDetail>(kAlice, 1);
  };
  CHECK(show("fashion#1", 0, 100).jobs.size() == 6);
  const RunDetail window = show("fashion#1/test", 3, 10);
  CHECK(window.matching == 5);
  REQUIRE(window.jobs.size() == 2);
  CHECK(window.jobs[0].shard == 3);
  CHECK(window.jobs[0].waits_for == "needs train");
  CHECK(window.jobs[0].needs == std::vector<std::string>{"train"});
  CHECK(show("fashion#1", 100, 10).jobs.empty());
  On(farm.state, farm.out, farm.now, {kAlice, 2}, ShowRun{Of("fashion#1/nope"), 0, 1});
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).code == Errc::kNotFound);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: a job's view shows its newest attempt and where its log is") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  WaitCauses causes(farm.state);
  CHECK(ViewOf(causes, run, run.jobs[0]).log_attempt == AttemptRef{});
  farm.Plan();
  CHECK(ViewOf(causes, run, run.jobs[0]).log_attempt == run.jobs[0].attempt());
  farm.End(run.jobs[0], OutcomeKind::kLost);
  const JobView waiting = ViewOf(causes, run, run.jobs[0]);
  CHECK(waiting.state == JobState::kReady);
  CHECK(waiting.agent == "a");
  REQUIRE(waiting.outcome.has_value());
  CHECK(waiting.outcome->kind == OutcomeKind::kLost);
  CHECK(waiting.log_attempt == AttemptRef{run.jobs[0].id, Epoch{1}});
  CHECK(waiting.waits_for == "is about to be assigned");
}

TEST_CASE("clients: why tells of every state") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(2));
  Run& run = farm.Accept(MakePipeline({MakeJob("one"), MakeJob("two"), MakeJob("three"), MakeJob("four", {"one"})}));
  farm.Plan();
  farm.JobOf(run, "two").state = JobState::kRunning;
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Why{Of("fashion#1")});
  const auto reasons = farm.out.ToClient<WaitReasons>(kAlice, 1).reasons;
  REQUIRE(reasons.size() == 4);
  CHECK(reasons[0].job == "fashion#1/one");
  CHECK(reasons[0].reason == "is on agent a, which prepares it");
  CHECK(reasons[1].reason == "does not wait: it runs on agent a");
  CHECK(reasons[2].reason == "waits for 1 CPU: 1 agent that could take it is busy");
  CHECK(reasons[2].holders == std::vector<std::string>{"fashion#1/one on a", "fashion#1/two on a"});
  CHECK(reasons[3].reason == "needs one");
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Why{Of("fashion#1/nope")});
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).code == Errc::kNotFound);
  CHECK(farm.out.empty());
}

TEST_CASE("clients: agents are listed with what runs on them, and a ping counts") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(1));
  farm.Connect("b", Cpus(1));
  farm.Accept(MakePipeline({MakeJob("test")}));
  farm.Plan();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, ListAgents{});
  const auto list = farm.out.ToClient<AgentList>(kAlice, 1);
  REQUIRE(list.agents.size() == 2);
  CHECK(list.agents[0].connected);
  CHECK(list.agents[0].cpu_milli_used == 1000);
  REQUIRE(list.agents[0].jobs.size() == 1);
  CHECK(list.agents[0].jobs[0].job == "fashion#1/test");
  CHECK(list.agents[1].jobs.empty());
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Ping{});
  CHECK(farm.out.ToClient<Pong>(kAlice, 2) == Pong{"furrow-controller test", 2, 1});
  CHECK(farm.out.empty());
}

TEST_CASE("clients: agents are listed in pages, each of which fits its frame") {
  ControllerFarm farm;
  Offer offer = Cpus(1);
  for (int i = 0; i < 1000; ++i) offer.labels.push_back(std::string(1000, 'l') + std::to_string(i));
  for (int i = 0; i < 20; ++i) farm.Connect("agent-" + std::to_string(100 + i), offer);
  std::vector<std::string> names;
  std::string after;
  std::uint64_t asked = 0;
  for (bool more = true; more;) {
    On(farm.state, farm.out, farm.now, {kAlice, ++asked}, ListAgents{after, 15});
    const auto page = farm.out.ToClient<AgentList>(kAlice, asked);
    REQUIRE_FALSE(page.agents.empty());
    CHECK(Encode(asked, ClientReply{page}).has_value());
    for (const AgentView& agent : page.agents) names.push_back(agent.name);
    after = names.back();
    more = page.more;
  }
  CHECK(asked == 10);  // Each agent takes nearly a page, so that two end it.
  CHECK(names.size() == 20);
  CHECK(std::is_sorted(names.begin(), names.end()));
  On(farm.state, farm.out, farm.now, {kAlice, 90}, ListAgents{"agent-110", 2});
  const auto two = farm.out.ToClient<AgentList>(kAlice, 90);
  CHECK(two.agents.size() == 2);
  CHECK(two.agents[0].name == "agent-111");
  CHECK(two.more);
  On(farm.state, farm.out, farm.now, {kAlice, 91}, ListAgents{"agent-117", 2});
  CHECK_FALSE(farm.out.ToClient<AgentList>(kAlice, 91).more);
  // A client of before knows no pages and gets all of them.
  On(farm.state, farm.out, farm.now, {kAlice, 92}, ListAgents{});
  CHECK(farm.out.ToClient<AgentList>(kAlice, 92).agents.size() == 20);
}

TEST_CASE("clients: why says how many jobs its answer leaves out") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("many", {}, 1234)}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Why{Of("fashion#1")});
  const auto reasons = farm.out.ToClient<WaitReasons>(kAlice, 1).reasons;
  CHECK(reasons.size() == kMaxListedReasons);
  CHECK(reasons.back().left_out == 234);
  CHECK(reasons.front().left_out == 0);
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Why{Of("fashion#1/many/7")});
  CHECK(farm.out.ToClient<WaitReasons>(kAlice, 2).reasons.back().left_out == 0);
}

TEST_CASE("clients: who does not read is refused, loses no end of a run by it, and nobody else is") {
  ControllerFarm farm;
  Run& run = farm.Accept(MakePipeline({MakeJob("many", {}, 9000)}));
  const Asker mallory{kAlice + 7, 1, "mallory"};
  const auto show = [&](std::uint64_t number) {
    DispatchClient(farm.state, farm.out, farm.now, {mallory.peer, number, mallory.name},
                   ShowRun{Of("fashion#1"), 0, 10'000});
  };
  std::size_t refused = 0;
  for (std::uint64_t i = 1; i <= 100; ++i) show(i);
  for (const ClientSend& send : farm.out->to_clients) refused += std::holds_alternative<Failure>(send.message) ? 1 : 0;
  CHECK(refused > 90);
  DispatchClient(farm.state, farm.out, farm.now, {kAlice, 1, "alice"}, ShowRun{Of("fashion#1"), 0, 10});
  CHECK(std::holds_alternative<RunDetail>(farm.out->to_clients.back().message));
  farm.out.Clear();

  // The answers wait for a slow disk: a watch waits too, and still hears the end.
  DispatchClient(farm.state, farm.out, farm.now, mallory, Watch{Of("fashion#1")});
  farm.state.crowded.insert("mallory");
  On(farm.state, farm.out, farm.now, {kAlice, 2, "alice"}, Cancel{Of("fashion#1"), ""});
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(run.Ended());
  CHECK(farm.out->to_clients.empty());
  farm.state.crowded.clear();
  EndTurn(farm.state, farm.out, farm.now);
  REQUIRE_FALSE(farm.out->to_clients.empty());
  CHECK(std::get<RunUpdate>(farm.out->to_clients.back().message).run_ended);
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out->to_clients.empty());
  for (std::uint64_t i = 1; i <= 300; ++i)
    On(farm.state, farm.out, farm.now, {mallory.peer, i, "mallory"}, Watch{Of("fashion#1")});
  farm.out.Clear();
}

TEST_CASE("clients: one client asks history a bounded number of questions at once") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("test")}));
  std::uint64_t number = 0;
  const auto ask = [&](const std::string& who, int times) {
    for (int i = 0; i < times; ++i)
      DispatchClient(farm.state, farm.out, farm.now, {kAlice, ++number, who}, GetMetrics{Of("fashion#1"), ""});
    std::vector<HistoryQuery> asked = farm.out->history;
    farm.out.Clear();
    return asked;
  };
  const auto mine = ask("mallory", 1000);
  CHECK(mine.size() == 256);
  CHECK(ask("mallory", 1).empty());
  CHECK(ask("alice", 1).size() == 1);
  for (const HistoryQuery& query : mine) On(farm.state, farm.out, farm.now, HistoryAnswer{query.asker, {}});
  CHECK(ask("mallory", 1).size() == 1);
  CHECK(farm.state.asked_history.size() == 2);
}

TEST_CASE("clients: number 0 is the newest run of the pipeline") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("test")}));
  Run& second = farm.Accept(MakePipeline({MakeJob("test")}));
  CHECK(farm.state.FindRun(Selector{"fashion", 0, "", std::nullopt, ""}) == &second);
  CHECK(farm.state.FindRun(Selector{"other", 0, "", std::nullopt, ""}) == nullptr);
}

TEST_CASE("clients: a watcher is told of every job, in as many messages as it takes") {
  ControllerFarm farm;
  JobSpec many = MakeJob("many", {}, 25'000);
  Run& run = farm.Accept(MakePipeline({many}));
  On(farm.state, farm.out, farm.now, {kAlice, 7}, Watch{{run.record.name, run.record.number, "", {}, ""}});
  TellWatchers(farm.state, farm.out, farm.now);
  std::set<JobId> told;
  int updates = 0;
  for (const ClientSend& send : farm.out->to_clients) {
    REQUIRE(Encode(send.asker.number, send.message).has_value());
    const auto& update = std::get<RunUpdate>(send.message);
    for (const JobView& job : update.jobs) told.insert(job.id);
    CHECK(WireBytes(update) < kPageBytes + 4096);
    ++updates;
  }
  CHECK(told.size() == 25'000);
  CHECK(updates > 3);
  farm.out.Clear();
}

TEST_CASE("clients: jobs with thousands of metrics are shown in pages that fit a message") {
  ControllerFarm farm;
  JobSpec many = MakeJob("many", {}, 30);
  Run& run = farm.Accept(MakePipeline({many}));
  for (Job& job : run.jobs)
    for (std::size_t i = 0; i < kMaxJobMetrics; ++i)
      job.metrics.push_back({std::string(200, 'n') + std::to_string(i), 1});
  std::size_t shown = 0;
  for (std::uint32_t asked = 1; shown < 30; ++asked) {
    REQUIRE(asked <= 30);
    On(farm.state, farm.out, farm.now, {kAlice, asked},
       ShowRun{{run.record.name, run.record.number, "", {}, ""}, static_cast<std::uint32_t>(shown), 10'000});
    const auto detail = farm.out.ToClient<RunDetail>(kAlice, asked);
    CHECK(detail.matching == 30);
    CHECK(Encode(1, ClientReply{detail}).has_value());
    REQUIRE_FALSE(detail.jobs.empty());
    shown += detail.jobs.size();
  }
}
