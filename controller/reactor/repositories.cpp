#include "controller/reactor/repositories.h"

#include <algorithm>
#include <utility>

#include "controller/reactor/answer.h"
#include "controller/reactor/events.h"
#include "controller/reactor/pipelines.h"
#include "controller/views/repositories.h"

namespace furrow {

void LookAt(Outbox& out, Now now, Repository& repository) {
  repository.looked = now.mono;
  repository.looking = true;
  repository.moved = false;
  out.repositories.emplace_back(LookAtRefs{repository.record.repository});
}

void LookAtRepositories(State& state, Outbox& out, Now now) {
  for (auto& [name, repository] : state.repositories)
    if (!repository.looking && now.mono - repository.looked >= LookInterval(state, repository))
      LookAt(out, now, repository);
}

void NoteLook(Outbox& out, Now now, Repository& repository, const RefsListed& look) {
  const std::string& name = repository.record.repository;
  std::string problem;
  if (!look.refs) {
    ++repository.failures;
    repository.hooked = false;
    problem = look.refs.error().message;
    repository.gone = look.refs.error().code == Errc::kNotFound;
    if (repository.gone) problem += "; `furrow repos rm " + name + "`, if it is gone for good";
  } else {
    repository.failures = 0;
    repository.gone = false;
    repository.read = now.wall;
    repository.hooked = look.hooked;
    problem = look.left_out;
    if (repository.record.hooked && !look.hooked)
      problem = "its hook is gone, so that pushes are found by looking alone; `furrow hook install " + name +
                "` brings it back" + (problem.empty() ? "" : "; " + problem);
  }
  if (problem != repository.problem && !problem.empty() && problem != look.left_out)
    out.warnings.push_back(name + ": " + problem + (look.refs ? "" : "; it is looked at again, less and less often"));
  if (problem.empty() && !repository.problem.empty())
    out.warnings.push_back("the repository " + name + " is well again");
  repository.problem = std::move(problem);
}

namespace {

// Gives a repository that was at `from` all that is known of it at `to`.
void Rename(State& state, Outbox& out, Now now, const std::string& from, const std::string& to) {
  auto moved = state.repositories.extract(from);
  moved.key() = to;
  Repository& repository = moved.mapped();
  repository.record.repository = to;
  repository.gone = false;
  repository.failures = 0;
  repository.problem.clear();
  repository.looking = false;  // What is asked about the old path is of no use.
  if (const auto there = state.repositories.find(to); there != state.repositories.end()) {
    // A push was told at the new path already. What it brought is newer.
    for (const auto& [ref, commit] : there->second.record.refs) repository.record.refs[ref] = commit;
    repository.looking = there->second.looking;
    repository.moved = there->second.moved;
    for (const Asker& asker : there->second.asked_by) repository.asked_by.push_back(asker);
    state.repositories.erase(there);
  }
  out.records.emplace_back(EraseRepository{from});
  out.records.emplace_back(repository.record);
  if (!repository.looking) LookAt(out, now, repository);
  state.repositories.insert(std::move(moved));
  for (auto& [ticket, push] : state.pushes) {
    if (push.record.repository != from) continue;
    push.record.repository = to;
    out.records.emplace_back(push.record);
  }
  MovePipelines(state, out, from, to);
  out.warnings.push_back("the repository " + from + " is " + to +
                         " now, which is watched with all that is known of it");
}

}  // namespace

std::string KnownPath(const State& state, const std::string& path) {
  if (state.repositories.contains(path)) return path;
  std::string known = path;
  while (known.size() > 1 && known.ends_with('/')) known.pop_back();
  if (known.starts_with('/') && known.ends_with("/.git")) known.resize(known.size() - 5);
  return known.empty() ? path : known;
}

std::string SameRepository(const State& state, const std::string& name, const std::string& identity) {
  if (identity.empty()) return "";
  for (const auto& [other, repository] : state.repositories)
    if (other != name && repository.record.identity == identity) return other;
  return "";
}

std::string Unite(State& state, Outbox& out, Now now, const std::string& name, const std::string& same) {
  if (state.repositories.at(same).gone) {
    Rename(state, out, now, same, name);
    return name;
  }
  state.repositories.at(same).alias = name;
  if (state.repositories.erase(name) == 0) return same;
  out.records.emplace_back(EraseRepository{name});
  out.warnings.push_back("the repository " + name + " is " + same + " by another path; that one is watched");
  return same;
}

void FollowAlias(State& state, Outbox& out, Now now, const std::string& name) {
  const std::string alias = std::exchange(state.repositories.at(name).alias, {});
  if (!alias.empty()) Rename(state, out, now, name, alias);
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const WatchRepository& request) {
  const std::string path = KnownPath(state, request.repository);
  Repository& repository = state.repositories[path];
  if (repository.record.repository.empty()) {
    repository.record.repository = path;
    out.records.emplace_back(repository.record);
  }
  if (!repository.looking) LookAt(out, now, repository);
  if (std::find(repository.asked_by.begin(), repository.asked_by.end(), asker) == repository.asked_by.end())
    repository.asked_by.push_back(asker);
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const ListRepositories&) {
  AnswerAtOnce(out, asker, ListOfRepositories(state, now));
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const ForgetRepository& request) {
  const auto found = state.repositories.find(KnownPath(state, request.repository));
  if (found == state.repositories.end())
    return Refuse(out, asker, Errc::kNotFound,
                  "no repository " + request.repository + " is watched; `furrow repos` lists them");
  const std::string name = found->first;
  for (const Asker& waiting : found->second.asked_by)
    Answer(out, waiting, Failure{Errc::kRejected, "the repository was forgotten meanwhile", name, {}});
  const bool hooked = found->second.record.hooked;
  state.repositories.erase(found);
  out.records.emplace_back(EraseRepository{name});
  for (auto push = state.pushes.begin(); push != state.pushes.end();) {
    if (push->second.record.repository != name) {
      ++push;
      continue;
    }
    for (const Asker& waiting : push->second.asked_by)
      Answer(out, waiting, Failure{Errc::kRejected, "the repository was forgotten meanwhile", name, {}});
    out.records.emplace_back(ErasePush{push->second.record.request});
    push = state.pushes.erase(push);
  }
  EventRecord& event = Tell(out, now, EventKind::kRepositoryForgotten, kDefaultProject);
  event.by = asker.name;
  event.subject = name;
  Answer(out, asker,
         Done{name + " is not watched any more" +
              (hooked ? "; its hook still tells of pushes, which makes it known again: delete hooks/post-receive there"
                      : "")});
}

}  // namespace furrow
