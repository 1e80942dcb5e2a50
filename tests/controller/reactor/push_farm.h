// A farm whose repository is pushed to.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "controller/parse/prepare.h"
#include "controller/reactor/pushes.h"
#include "tests/support/controller_farm.h"

namespace furrow::testing {

inline const std::string kRepository = "/srv/git/fashion.git";
inline const std::string kMain = "refs/heads/main";
inline const std::string kZero(40, '0');
inline const std::string kA(40, 'a');
inline const std::string kB(40, 'b');

inline constexpr const char* kFile = R"(on: { push: { branches: [main] } }
jobs:
  train:
    steps: [{ run: "true" }]
)";

using Refs = std::map<std::string, std::string>;

inline CommitImported Imported(std::uint64_t ticket, Result<ImportedCommit> commit) {
  PreparedPipeline file;
  if (commit && commit->has_pipeline) file = PrepareFile(commit->pipeline_text, DefaultNameOf(kRepository));
  return {ticket, std::move(commit), std::move(file)};
}

struct Pushes : ControllerFarm {
  void Tell(std::uint64_t id, const std::string& ref, const std::string& old, const std::string& now_there,
            std::uint64_t number = 1) {
    On(state, out, now, {kAlice, number}, Trigger{Uuid{7, id}, kRepository, ref, old, now_there});
  }
  ImportedCommit Commit(const std::string& commit, const std::string& text = kFile) const {
    ImportedCommit imported;
    imported.repository = kRepository;
    imported.commit = commit;
    imported.tree = HashOf(commit);
    imported.title = "Wider layers";
    imported.author = "Ada";
    imported.pipeline_text = text;
    imported.has_pipeline = !text.empty();
    return imported;
  }
  // A push that was told; its import is asked for. Returns the ticket.
  std::uint64_t Told(std::uint64_t id, const std::string& old, const std::string& now_there) {
    Tell(id, kMain, old, now_there, id);
    CHECK(out.Stored<RepositoryRecord>().refs.at(kMain) == now_there);
    CHECK(out.Stored<TriggerRecord>().new_commit == now_there);
    const auto import = out.Git<ImportCommit>();
    CHECK(import.request.commit == now_there);
    CHECK(out.empty());
    return import.ticket;
  }
  // The first look at the repository is over.
  void Watched(const Refs& refs) {
    On(state, out, now, {kAlice, 50}, WatchRepository{kRepository});
    out.Clear();
    On(state, out, now, RefsListed{kRepository, refs});
    out.Clear();
  }
  // The import fails without having stored anything, and is to be tried again.
  void Fails(std::uint64_t ticket, Errc code) {
    On(state, out, now, Imported(ticket, Fail(code, "trouble")));
    CHECK(out.Warning().find("; it is tried again in ") != std::string::npos);
    out->to_clients.clear();
  }
  // The push is imported again after the pause, not before, and that is the try with this number.
  void Waits(Duration pause, std::uint64_t ticket, std::uint32_t tries) {
    Pass(pause - milliseconds(1));
    TryPushesAgain(state, out, now);
    CHECK(out.empty());
    Pass(milliseconds(1));
    TryPushesAgain(state, out, now);
    CHECK(out.Stored<TriggerRecord>().tries == tries);
    CHECK(out.Git<ImportCommit>().ticket == ticket);
    CHECK(out.empty());
    TryPushesAgain(state, out, now);
    CHECK(out.empty());
  }
  void LookAgain() {
    Pass(state.settings.repository_poll);
    OnTick(state, out, now);
    CHECK(out.Git<LookAtRefs>().repository == kRepository);
  }
};

}  // namespace furrow::testing
