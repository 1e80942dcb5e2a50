#include "controller/views/repositories.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace furrow {
namespace {

constexpr Duration kLongestInterval = std::chrono::hours(1);
constexpr std::size_t kMostListed = 10'000;

WallTime After(WallTime time, Duration span) {
  return WallTime{static_cast<std::int64_t>(time) +
                  std::chrono::duration_cast<std::chrono::milliseconds>(span).count()};
}

}  // namespace

Duration LookInterval(const State& state, const Repository& repository) {
  const Duration poll = state.settings.repository_poll;
  Duration interval = poll;
  for (std::uint32_t i = 1; i < repository.failures && interval < kLongestInterval; ++i) interval *= 2;
  return std::max(poll, std::min(interval, kLongestInterval));
}

RepositoryList ListOfRepositories(const State& state, Now now) {
  RepositoryList list;
  std::size_t bytes = 0;
  for (const auto& [name, repository] : state.repositories) {
    if (list.repositories.size() == kMostListed) break;
    RepositoryView& view = list.repositories.emplace_back();
    view.repository = name;
    for (const auto& [ref, commit] : repository.record.refs)
      if (ref.starts_with("refs/heads/")) ++view.branches;
    view.hooked = repository.hooked;
    view.looked = repository.read;
    const Duration interval = LookInterval(state, repository);
    if (interval != Duration::max())
      view.next_look = After(now.wall, std::max(repository.looked + interval - now.mono, Duration::zero()));
    view.last_push = repository.record.last_push;
    view.problem = repository.problem;
    bytes += WireBytes(view);
    if (bytes > kMaxClientReplyFrame / 2) break;
  }
  for (const auto& [ticket, push] : state.pushes) {
    const std::string& name = push.record.repository;
    const auto found = std::find_if(list.repositories.begin(), list.repositories.end(),
                                    [&name](const RepositoryView& view) { return view.repository == name; });
    if (found != list.repositories.end()) ++found->pushes_waiting;
  }
  return list;
}

}  // namespace furrow
