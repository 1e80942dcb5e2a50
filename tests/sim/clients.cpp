#include <algorithm>
#include <cstdio>

#include "common/base/hash.h"
#include "common/wire/job_state.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/dispatcher.h"
#include "controller/reactor/reactor.h"
#include "controller/reactor/transitions.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr PeerId kClient = 1'000'000'000;
const std::string kRepository = "/srv/sim.git";
const std::string kRefusing = "no new work is accepted: ";  // as On(Submit) and On(Trigger) begin

// What every commit of the repository holds.
constexpr const char* kFile = R"(name: pushed
on: { push: {} }
jobs:
  build:
    retry: { max: 100, on: [agent_lost] }
    steps: [{ exec: [/bin/true] }]
)";

}  // namespace

// ---- requests: repeated until they are answered ----------------------------------------------------------------

void World::Submit(Pipeline pipeline) {
  const std::uint64_t number = ++requests_;
  furrow::Submit submit;
  submit.request = Uuid{seed_, number};
  unanswered_[number] = submit;
  pipelines_[number] = std::move(pipeline);
  Ask(number);
}

void World::CancelNewest(const std::string& job) {
  if (disk_.runs().empty()) return;
  const RunRecord& run = disk_.runs().rbegin()->second;
  const std::uint64_t number = ++requests_;
  unanswered_[number] = Cancel{{run.name, run.number, job, std::nullopt, ""}, "by the simulator"};
  Ask(number);
}

void World::Ask(std::uint64_t number) {
  const auto it = unanswered_.find(number);
  if (it == unanswered_.end()) return;
  At(Between(milliseconds(1), milliseconds(10)), [this, number, request = it->second] {
    if (!controller_ || Happens(weather_.loss) || !unanswered_.contains(number)) return;
    Deliver(number, request);
    ControllerTurn();
  });
  At(seconds(2), [this, number] { Ask(number); });
}

void World::Deliver(std::uint64_t number, const ClientRequest& request) {
  DispatchClient(controller_->state, controller_->out, Clock(), {kClient, number}, request);
}

// Plays the thread that parses pipeline files. The text of a pipeline is the parser's business; here the parsed
// pipeline is at hand.
void World::PrepareFileOf(const PrepareSubmission& submission) {
  const SubmissionPrepared event{
      submission.asker, submission.request, {ShareSpec(pipelines_.at(submission.asker.number)), {}, {}}};
  At(Between(milliseconds(0), milliseconds(50)), [this, event, life = controller_life_] {
    if (!controller_ || controller_life_ != life) return;
    On(controller_->state, controller_->out, Clock(), event);
    ControllerTurn();
  });
}

void World::TakeAnswer(const ClientSend& send) {
  if (const auto* update = std::get_if<RunUpdate>(&send.message)) {  // of a living connection: none is lost
    unanswered_.erase(send.asker.number);
    for (auto& [run, watching] : watching_)
      if (watching.number == send.asker.number) TakeUpdate(watching, *update);
    return;
  }
  if (Happens(weather_.loss)) return;
  const auto it = unanswered_.find(send.asker.number);
  if (it == unanswered_.end()) return;
  const ClientRequest request = it->second;
  const auto* failure = std::get_if<Failure>(&send.message);
  if (failure != nullptr && failure->message.starts_with(kRefusing)) return;  // it is asked again; a hook notes it
  unanswered_.erase(it);
  if (const auto* trigger = std::get_if<Trigger>(&request)) {  // a failure that may pass is noted, too
    for (Pushed& push : pushed_)
      if (push.commit == trigger->new_commit) push.told = push.noticed = true;
  }
  const auto* submitted = std::get_if<Submitted>(&send.message);
  if (submitted == nullptr || Raw(submitted->run) == 0) return;
  if (!disk_.runs().contains(submitted->run)) Breach("a submission was answered before its run was durable");
  if (const auto* submit = std::get_if<furrow::Submit>(&request)) {
    const auto [known, fresh] = acknowledged_.emplace(submit->request, submitted->run);
    if (!fresh && known->second != submitted->run) Breach("one request became two runs");
    WatchRun(submitted->run);
  }
}

// ---- watching ----------------------------------------------------------------------------------------------------

void World::WatchRun(RunId run) {
  const RunRecord& record = disk_.runs().at(run);
  Watching& watching = watching_[run];
  watching.run = run;
  watching.number = ++requests_;
  unanswered_[watching.number] = Watch{{record.name, record.number, "", std::nullopt, ""}};
  Ask(watching.number);
}

void World::TakeUpdate(Watching& watching, const RunUpdate& update) {
  for (const JobView& view : update.jobs) {
    const auto seen = watching.seen.find(view.id);
    if (disk_.Damaged(view.id)) {
      watching.seen[view.id] = view;
      continue;
    }
    if (seen != watching.seen.end() && IsTerminal(seen->second.state) && view.state != seen->second.state)
      Breach("a watcher was told that a job ended, and then that it did not");
    if (seen != watching.seen.end() && view.epoch < seen->second.epoch) Breach("a watcher saw an epoch go back");
    const auto stored = disk_.jobs().find(view.id);
    if (IsTerminal(view.state) && (stored == disk_.jobs().end() || stored->second.state != view.state))
      Breach("a watcher was told of an end that is not on record");
    watching.seen[view.id] = view;
  }
  if (!update.run_ended) return;
  watching.ended = true;
  if (disk_.runs().at(watching.run).state != update.run.state) Breach("a watcher was told a wrong end of a run");
  if (watching.seen.size() != update.run.jobs.total) Breach("a watcher was not told of every job");
  for (const auto& [id, view] : watching.seen)
    if (!IsTerminal(view.state)) Breach("a watcher was not told how a job ended");
}

void World::AnswerFromHistory(const HistoryQuery& query) {
  const auto* watch = std::get_if<Watch>(&query.request);
  if (watch == nullptr) return;
  for (const auto& [id, run] : disk_.runs()) {
    if (run.name != watch->run.pipeline || run.number != watch->run.number) continue;
    RunUpdate update;
    update.run.state = run.state;
    update.run_ended = true;
    for (const auto& [job_id, job] : disk_.jobs()) {
      if (job.run != id) continue;
      JobView view;
      view.id = job_id;
      view.state = job.state;
      view.epoch = job.epoch;
      update.jobs.push_back(view);
    }
    update.run.jobs.total = static_cast<std::uint32_t>(update.jobs.size());
    TakeAnswer({query.asker, update});
  }
}

// ---- the git repository ------------------------------------------------------------------------------------------

void World::Push(const std::string& branch) {
  if (pushed_.empty()) {  // `furrow hook install`
    unanswered_[++requests_] = WatchRepository{kRepository};
    Ask(requests_);
  }
  char commit[41];
  std::snprintf(commit, sizeof(commit), "%040llx", static_cast<unsigned long long>(pushed_.size()) + 1);
  const std::string ref = "refs/heads/" + branch;
  std::string& tip = refs_[ref];
  const std::string old = tip.empty() ? std::string(40, '0') : tip;
  tip = commit;
  pushed_.push_back({ref, commit, disk_.Looked(kRepository), false});
  if (Happens(weather_.git_trouble)) return;  // the hook does not reach us: a look must find it
  const std::uint64_t number = ++requests_;
  unanswered_[number] = Trigger{Uuid{seed_, number}, kRepository, ref, old, commit};
  Ask(number);
}

void World::Git(const RepositoryCommand& command) {
  const auto tell = [this](Duration delay, std::function<void(State&, Outbox&)> event) {
    At(delay, [this, life = controller_life_, event = std::move(event)] {
      if (!controller_ || controller_life_ != life) return;
      event(controller_->state, controller_->out);
      ControllerTurn();
    });
  };
  const bool trouble = Happens(weather_.git_trouble);
  const Duration takes = trouble ? Between(milliseconds(1), seconds(25)) : Between(milliseconds(1), milliseconds(200));
  const Error failure{Errc::kUnavailable, "git has trouble"};
  const bool fails = trouble && Happens(0.5);
  if (const auto* import = std::get_if<ImportCommit>(&command)) {
    ImportedCommit commit;
    commit.commit = import->request.commit;
    commit.tree = HashOf(commit.commit);
    commit.pipeline_text = kFile;
    commit.has_pipeline = true;
    Result<ImportedCommit> result = commit;
    if (fails) result = tl::unexpected<Error>(failure);
    tell(takes, [this, ticket = import->ticket, result](State& state, Outbox& out) {
      PreparedPipeline file;
      if (result) file = PrepareFile(result->pipeline_text, DefaultNameOf(kRepository));
      On(state, out, Clock(), CommitImported{ticket, result, file});
    });
    return;
  }
  // It reads the refs at one moment, and says what it read at a later one.
  const std::string name = std::get<LookAtRefs>(command).repository;
  At(takes, [this, tell, name, fails, failure, life = controller_life_] {
    if (controller_life_ != life) return;
    Result<std::map<std::string, std::string>> refs = refs_;
    if (fails) refs = tl::unexpected<Error>(failure);
    const Duration later = Happens(weather_.git_trouble) ? Between(milliseconds(1), seconds(15)) : milliseconds(1);
    tell(later, [this, name, refs](State& state, Outbox& out) { On(state, out, Clock(), RefsListed{name, refs}); });
  });
}

}  // namespace furrow::sim
