// Whatever clients, agents, repositories and time do to a controller: every message and every record that it makes
// keeps the caps of its schema, so that the other side, or the next start, can read it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <typeinfo>

#include "common/enrol/proof.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/dispatcher.h"
#include "controller/store/record_codec.h"
#include "schemas/agent_arbitrary.h"
#include "schemas/client_arbitrary.h"
#include "schemas/enrol_arbitrary.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// How often each kind of record was stored: what never came up was not tested.
std::map<std::size_t, std::size_t> seen;

template <class Key, class Record>
void CheckRecord(const Erase<Record, Key>&) {}
template <class Record>
void CheckRecord(const Record& record) {
  ++seen[typeid(Record).hash_code()];
  const Result<std::string> value = EncodeValue(record);
  if (!value) FAIL(value.error().message);
  const Result<Record> read = DecodeValue<Record>(*value);
  if (!read) FAIL(read.error().message);
  CHECK(EncodeValue(*read).value() == *value);
}

void CheckRecord(const SharedSpec& spec) {
  CheckRecord(*spec.pipeline);
}
void CheckRecord(const SharedText&) {}

void CheckReadable(const Outbox& out) {
  for (const EventRecord& event : out.events) CheckRecord(event);
  for (const RecordChange& change : out.records) std::visit([](const auto& one) { CheckRecord(one); }, change);
  for (const AgentSend& send : out.to_agents) {
    const Result<std::string> frame = Encode(send.message);
    if (!frame) FAIL(frame.error().message);
    const Result<ToAgent> read = DecodeToAgent(*frame);
    if (!read) FAIL(read.error().message);
    CHECK(Encode(*read).value() == *frame);
  }
  for (const ClientSend& send : out.to_clients) {
    const Result<std::string> frame = Encode(send.asker.number, send.message);
    if (!frame) FAIL(frame.error().message);
    if (const auto read = DecodeClientReply(*frame); !read) FAIL(read.error().message);
  }
}

std::string SomePipeline(Arbitrary& any) {
  constexpr std::array<const char*, 5> kPipelines{
      "jobs: { a: { steps: [{ run: x }] } }",
      "name: p\njobs:\n  a: { shards: 50, artifacts: [x], retry: { max: 2, on: [failure, agent_lost] }, steps: [{ run: "
      "x }] }\n"
      "  b: { needs: [a], steps: [{ check: { loss: \"< 1\", other: \"> 2\" } }] }",
      "on: { push: {} }\njobs:\n  a: { allow_failure: true, steps: [{ run: x }] }\n  b: { needs: [a], steps: [{ run: y "
      "}] }",
      "jobs: { a: { resources: { gpus: 1 }, labels: [big], timeout: 1h, steps: [{ exec: [x, y] }] } }",
      "jobs: {",
  };
  return kPipelines[any.Pick(kPipelines.size())];
}

constexpr PeerId kReturned = 1'000'000;

// One farm that everything happens to.
class WildFarm {
 public:
  explicit WildFarm(std::uint64_t seed) : any_(seed) {
    farm_.state.settings.repository_poll = seconds(1);
    farm_.state.access.public_key = std::string(40, 'c');
    farm_.state.access.enrol_port = 7073;
    for (const char* name : kAgents) {
      farm_.Connect(name, Cpus(8));
      allowed_.push_back({{Role::kAgent, name}, name + std::string(39, 'k')});
    }
    On(farm_.state, farm_.out, farm_.now, AllowlistRead{allowed_});
  }
  ~WildFarm() { farm_.out.Clear(); }

  void Step() {
    switch (any_.Pick(9)) {
      case 0: AgentSpeaks(); break;
      case 1:
      case 2: JobHappens(); break;
      case 3: ClientAsks(); break;
      case 4: Submits(); break;
      case 5: GitAnswers(); break;
      case 6: SomebodyJoins(); break;
      case 7: farm_.Pass(milliseconds(any_.Pick(3000))); break;
      default: break;
    }
    OnTick(farm_.state, farm_.out, farm_.now);
    EndTurn(farm_.state, farm_.out, farm_.now);
    CheckReadable(*farm_.out.operator->());
    TakeOrders();
    farm_.out.Clear();
    farm_.state.CheckInvariants();
  }

 private:
  static constexpr std::array<const char*, 3> kAgents{"a", "b", "c"};

  Sender SomeAgent() {
    const char* name = kAgents[any_.Pick(kAgents.size())];
    const auto& session = farm_.state.agents.at(name).link.session;
    return {session ? session->peer : PeerId{77}, name};
  }

  Job* SomeJob() {
    std::vector<Job*> jobs;
    for (auto& [id, run] : farm_.state.runs)
      for (Job& job : run.jobs)
        if (job.OnAgent()) jobs.push_back(&job);
    return jobs.empty() ? nullptr : jobs[any_.Pick(jobs.size())];
  }

  // Any message, as it comes over the wire.
  void AgentSpeaks() {
    AgentMessage message;
    Fill(any_, message);
    const Sender from = SomeAgent();
    if (auto* first = std::get_if<Register>(&message)) {
      first->oldest_version = farm_.state.settings.protocol.oldest;
      first->newest_version = farm_.state.settings.protocol.newest;
    }
    std::visit(
        [&](auto& one) {
          if constexpr (requires { one.session; })
            if (const auto& session = farm_.state.agents.at(from.agent).link.session) one.session = session->id;
        },
        message);
    const auto frame = Encode(message);
    if (!frame) return;
    static_cast<void>(DispatchAgent(farm_.state, farm_.out, farm_.now, from, DecodeAgentMessage(*frame).value()));
  }

  // What an agent says of a job that it really has, with whatever in it.
  void JobHappens() {
    Job* job = SomeJob();
    if (job == nullptr) return;
    Agent& agent = farm_.state.agents.at(job->agent);
    if (!agent.link.session) {  // It comes back without its jobs, which may have much to say.
      static_cast<void>(On(farm_.state, farm_.out, farm_.now, {static_cast<PeerId>(kReturned + ++asked_), agent.name},
                           farm_.Registration(agent.name, Cpus(8))));
      return;
    }
    const Sender from{agent.link.session->peer, agent.name};
    const auto fill = [&](auto message) {
      Fill(any_, message);
      message.session = agent.link.session->id;
      message.attempt = job->attempt();
      return AgentMessage(std::move(message));
    };
    AgentMessage message;
    switch (any_.Pick(3)) {
      case 0: message = fill(Started{}); break;
      case 1: {
        message = fill(MetricsReport{});
        std::get<MetricsReport>(message).first = job->metrics_count;
        break;
      }
      default: {
        message = fill(Finished{});
        auto& report = std::get<Finished>(message);
        report.small_log.reset();
        report.log_length = 0;
        report.metrics_first = job->metrics_count;
        if (any_.Coin()) report.outcome = {};
      }
    }
    if (const auto frame = Encode(message))
      static_cast<void>(DispatchAgent(farm_.state, farm_.out, farm_.now, from, DecodeAgentMessage(*frame).value()));
  }

  void ClientAsks() {
    ClientRequest request;
    Fill(any_, request);
    const auto selector = [&](Selector& what) {
      if (farm_.state.runs.empty() || any_.Pick(4) == 0) return;
      const auto run =
          std::next(farm_.state.runs.begin(), static_cast<std::ptrdiff_t>(any_.Pick(farm_.state.runs.size())));
      what = {run->second.record.name, run->second.record.number, "", {}, ""};
    };
    std::visit(
        [&](auto& one) {
          if constexpr (requires { one.what.pipeline; }) selector(one.what);
          if constexpr (requires { one.run.pipeline; }) selector(one.run);
          if constexpr (requires { one.agent; }) one.agent = kAgents[any_.Pick(kAgents.size())];
        },
        request);
    Send(request);
  }

  void Submits() {
    Submit request;
    Fill(any_, request);
    request.text = SomePipeline(any_);
    request.default_name = "p";
    if (any_.Coin()) request.overrides.clear();
    Send(request);
    Trigger trigger;
    Fill(any_, trigger);
    trigger.ref = "refs/heads/" + trigger.ref.substr(0, 1000);
    Send(trigger);
  }

  void Send(const ClientRequest& request) {
    const auto frame = Encode(++asked_, request);
    if (!frame) return;
    const Asker asker{kAlice + static_cast<PeerId>(any_.Pick(3)), asked_, any_.Coin() ? "alice" : "bob"};
    DispatchClient(farm_.state, farm_.out, farm_.now, asker, DecodeClientRequest(*frame).value().second);
    farm_.PrepareFiles();
  }

  // What was ordered of git and of the allowlist, to be answered later.
  void TakeOrders() {
    for (RepositoryCommand& command : farm_.out->repositories) git_.push_back(std::move(command));
    for (AccessCommand& command : farm_.out->access) access_.push_back(std::move(command));
  }

  void GitAnswers() {
    if (git_.empty()) return;
    const RepositoryCommand command = std::move(git_.back());
    git_.pop_back();
    const bool fails = any_.Pick(4) == 0;
    const Error error{any_.Coin() ? Errc::kUnavailable : Errc::kInvalid, any_.Wild()};
    if (const auto* import = std::get_if<ImportCommit>(&command)) {
      ImportedCommit commit{import->request.repository,
                            import->request.commit,
                            {},
                            any_.Wild(),
                            any_.Wild(),
                            SomePipeline(any_),
                            true,
                            {any_.Wild()},
                            any_.Coin(),
                            {any_.Wild()},
                            any_.Wild(),
                            any_.Coin() ? "1:2" : ""};
      if (any_.Pick(5) == 0) commit.pipeline_text = any_.Wild();
      PreparedPipeline file = PrepareFile(commit.pipeline_text, DefaultNameOf(commit.repository));
      CommitImported event{import->ticket, std::move(commit), std::move(file)};
      if (fails) event.commit = tl::unexpected(error);
      On(farm_.state, farm_.out, farm_.now, event);
      return;
    }
    RefsListed event;
    event.repository = std::get<LookAtRefs>(command).repository;
    event.left_out = any_.Wild();
    event.identity = any_.Coin() ? "1:2" : "";
    event.hooked = any_.Coin();
    std::map<std::string, std::string> refs;
    for (std::size_t i = any_.Pick(4); i > 0; --i) refs["refs/heads/" + any_.Text(1, 1000, "")] = std::string(40, 'a');
    event.refs = std::move(refs);
    if (fails) event.refs = tl::unexpected(error);
    On(farm_.state, farm_.out, farm_.now, event);
  }

  // Proofs are right mostly; what the allowlist's file says is not.
  void SomebodyJoins() {
    if (any_.Coin()) {
      if (secrets_.empty() || any_.Pick(3) == 0) {
        secrets_.push_back(MakeEnrolSecret());
        Send(NewEnrolment{EnrolmentId{secrets_.size()},
                          VerifyKeyOf(secrets_.back()),
                          {any_.Coin() ? "a100" : "x y"},
                          3,
                          std::chrono::hours(1)});
      }
      const std::size_t which = any_.Pick(secrets_.size());
      EnrolAsked asked{++asked_, std::string(39, 'k') + static_cast<char>('a' + any_.Pick(20)), {}};
      Fill(any_, asked.prove);
      asked.prove.enrolment = EnrolmentId{which + 1};
      if (any_.Coin()) asked.prove.name = "agent-" + std::to_string(any_.Pick(5));
      const EnrolClaim claim{asked.prove.enrolment, farm_.state.access.public_key, asked.key, asked.prove.name,
                             asked.prove.challenge};
      if (any_.Pick(5) != 0) asked.prove.proof = ProveEnrolment(secrets_[which], claim);
      On(farm_.state, farm_.out, farm_.now, asked);
    }
    if (access_.empty()) return;
    const AccessCommand command = std::move(access_.back());
    access_.pop_back();
    const bool works = any_.Coin();
    const Status status = works ? Status{} : Status(Fail(Errc::kInternal, any_.Wild()));
    if (const auto* drop = std::get_if<DropKey>(&command))
      On(farm_.state, farm_.out, farm_.now, KeyDropped{drop->ticket, status});
    if (const auto* admitted = std::get_if<AdmitKey>(&command)) {
      if (works) allowed_.push_back(admitted->key);
      On(farm_.state, farm_.out, farm_.now, AllowlistRead{allowed_});
      On(farm_.state, farm_.out, farm_.now, KeyAdmitted{admitted->enrolment, admitted->key, status});
    }
  }

  ControllerFarm farm_;
  Arbitrary any_;
  std::uint64_t asked_ = 0;
  std::vector<RepositoryCommand> git_;
  std::vector<AccessCommand> access_;
  std::vector<EnrolSecret> secrets_;
  std::vector<AllowedKey> allowed_;
};

}  // namespace

TEST_CASE("readable: whatever happens to a controller, what it sends and stores can be read") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    WildFarm farm(seed);
    for (int step = 0; step < 60; ++step) farm.Step();
  }
  // Runs, jobs, metrics, agents, triggers, repositories, enrolments and keys; seals come from the bulk channel.
  CHECK(seen.size() == 13);
  for (const auto& [kind, count] : seen) CHECK(count > 20);
}
