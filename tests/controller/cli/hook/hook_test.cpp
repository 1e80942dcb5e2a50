// The hook in real repositories, called by real pushes, with a program in furrow's place that writes down its calls.
#include "controller/cli/hook/hook.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

struct Ran {
  int status = 0;
  std::string said;
};

class Repositories {
 public:
  Repositories() {
    std::string pattern = (fs::temp_directory_path() / "furrow hook XXXXXX").string();
    root = ::mkdtemp(pattern.data());
    MustRun(
        "git init -q --bare origin.git; git init -q -b main work; cd work; git remote add origin ../origin.git;"
        "git commit -q --allow-empty -m one");
    Script(root / "furrow",
           "{ echo \"$#\"; for word in \"$@\"; do echo \"$word\"; done; echo \"$FURROW_STATE|"
           "$FURROW_CONTROLLER|$FURROW_NOTE_ONLY\"; } >> '" +
               (root / "calls").string() + "'\ncat >> '" + (root / "stdin").string() +
               "'\necho 'run fashion#1' >&2\nexit 0\n");
    settings = {root / "origin.git", root / "furrow", "", ""};
  }
  ~Repositories() { fs::remove_all(root); }

  static void Script(const fs::path& file, const std::string& text) {
    std::ofstream(file) << "#!/bin/sh\n" << text;
    fs::permissions(file, fs::perms::owner_all);
  }
  Ran Run(const std::string& command) {
    const std::string whole = "cd '" + root.string() +
                              "' && unset FURROW_STATE FURROW_CONTROLLER; export GIT_CONFIG_GLOBAL=/dev/null"
                              " GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a"
                              " GIT_COMMITTER_EMAIL=a@b; set -e; { " +
                              command + "\n} 2>&1";
    std::FILE* out = ::popen(whole.c_str(), "r");
    REQUIRE(out != nullptr);
    Ran ran;
    char buffer[4096];
    while (const std::size_t got = std::fread(buffer, 1, sizeof(buffer), out)) ran.said.append(buffer, got);
    ran.status = WEXITSTATUS(::pclose(out));
    while (ran.said.ends_with('\n')) ran.said.pop_back();
    return ran;
  }
  std::string MustRun(const std::string& command) {
    const Ran ran = Run(command);
    INFO(command, "\n", ran.said);
    REQUIRE(ran.status == 0);
    return ran.said;
  }
  std::string Commit() { return MustRun("cd work; git commit -q --allow-empty -m more; git rev-parse HEAD"); }
  std::string Read(const fs::path& file) const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string Calls() const { return Read(root / "calls"); }

  fs::path root;
  HookSettings settings;
};

const std::string kZeros(40, '0');

}  // namespace

TEST_CASE("hook: a push calls furrow once for each ref and shows the pusher what it says") {
  Repositories here;
  const auto installed = InstallHook(here.settings);
  REQUIRE_MESSAGE(installed, installed.error().message);
  const fs::path hook = here.root / "origin.git/hooks/post-receive";
  CHECK(*installed == "installed " + hook.string());
  CHECK(here.MustRun("sh -n origin.git/hooks/post-receive").empty());
  const std::string first = here.MustRun("cd work; git rev-parse HEAD");
  const std::string second = here.Commit();
  const std::string said = here.MustRun("cd work; git push origin HEAD:main HEAD~:refs/heads/topic/x");
  CHECK(said.find("remote: run fashion#1") != std::string::npos);
  const std::string origin = fs::canonical(here.root / "origin.git").string();
  CHECK(here.Calls() == "5\ntrigger\n" + origin + "\nrefs/heads/main\n" + kZeros + "\n" + second + "\n||\n" +
                            "5\ntrigger\n" + origin + "\nrefs/heads/topic/x\n" + kZeros + "\n" + first + "\n||\n");
  CHECK(here.Read(here.root / "stdin").empty());
}

TEST_CASE("hook: a repository with a working copy is named by its folder") {
  Repositories here;
  here.settings.repository = here.root / "work";
  here.settings.state = "/var/it's here";
  REQUIRE(InstallHook(here.settings));
  here.MustRun("git clone -q work clone; cd clone; git commit -q --allow-empty -m x; git push -q origin HEAD:topic");
  CHECK(here.Calls().find("\n" + fs::canonical(here.root / "work").string() + "\nrefs/heads/topic\n") !=
        std::string::npos);
  CHECK(here.Calls().find("\n/var/it's here||\n") != std::string::npos);
}

TEST_CASE("hook: one that tells another farm is replaced only where that is asked for") {
  Repositories here;
  const fs::path hook = here.root / "origin.git/hooks/post-receive";
  for (const bool by_state : {true, false}) {
    (by_state ? here.settings.state : here.settings.controller) = "/farm one";
    here.settings.force = true;
    REQUIRE(InstallHook(here.settings));
    here.settings.force = false;
    REQUIRE(InstallHook(here.settings));  // the same farm
    const std::string script = here.Read(hook);
    HookSettings other = here.settings;
    other.state = other.controller = "";
    (by_state ? other.state : other.controller) = "/farm two";
    const auto refused = InstallHook(other);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kRejected);
    CHECK(refused.error().message.find("'/farm one'") != std::string::npos);
    CHECK(refused.error().message.find("--force") != std::string::npos);
    CHECK(here.Read(hook) == script);
    other.force = true;
    REQUIRE(InstallHook(other));
    CHECK(here.Read(hook).find("/farm two") != std::string::npos);
    here.settings.state.clear();
  }
}

TEST_CASE("hook: a repository has one path, whatever leads to it") {
  Repositories here;
  here.MustRun("ln -s work link; git -C work worktree add -q ../linked -b linked; mkdir work/sub");
  const fs::path work = fs::canonical(here.root / "work"), origin = fs::canonical(here.root / "origin.git");
  for (const char* path : {"work", "work/", "work/.git", "link", "link/../work", "linked"})
    CHECK_MESSAGE(RepositoryOf(here.root / path).value() == work, path);
  CHECK(RepositoryOf(here.root / "origin.git").value() == origin);
  CHECK(RepositoryOf(here.root / "work/sub").error().code == Errc::kNotFound);
}

TEST_CASE("hook: installing again changes what is said, not what is kept") {
  Repositories here;
  const fs::path hooks = here.root / "origin.git/hooks";
  Repositories::Script(hooks / "post-receive", "echo before\n");
  const auto first = InstallHook(here.settings);
  REQUIRE(first);
  CHECK(first->find("is called first") != std::string::npos);
  const std::string kept = here.Read(hooks / "post-receive.before-furrow");
  CHECK(kept == "#!/bin/sh\necho before\n");
  const std::string script = here.Read(hooks / "post-receive");
  REQUIRE(InstallHook(here.settings));
  CHECK(here.Read(hooks / "post-receive") == script);
  here.settings.controller = "farm:7700";
  REQUIRE(InstallHook(here.settings));
  CHECK(here.Read(hooks / "post-receive").find("FURROW_CONTROLLER='farm:7700'") != std::string::npos);
  CHECK(here.Read(hooks / "post-receive.before-furrow") == kept);
  // Somebody put a hook of his own in our place: neither is thrown away.
  Repositories::Script(hooks / "post-receive", "echo other\n");
  const auto refused = InstallHook(here.settings);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::kRejected);
  CHECK(here.Read(hooks / "post-receive") == "#!/bin/sh\necho other\n");
  CHECK(here.Read(hooks / "post-receive.before-furrow") == kept);
}

TEST_CASE("hook: the hook that was there runs first, with the same input, and its status stays") {
  Repositories here;
  const fs::path hook = here.root / "origin.git/hooks/post-receive";
  Repositories::Script(hook, "cat > '" + (here.root / "seen").string() + "'\necho first >> '" +
                                 (here.root / "calls").string() + "'\nexit 7\n");
  REQUIRE(InstallHook(here.settings));
  const std::string commit = here.MustRun("cd work; git rev-parse HEAD");
  here.MustRun("cd work; git push -q origin HEAD:main HEAD:two");
  const std::string input = kZeros + " " + commit + " refs/heads/main\n" + kZeros + " " + commit + " refs/heads/two\n";
  CHECK(here.Read(here.root / "seen") == input);
  CHECK(here.Calls().starts_with("first\n5\ntrigger\n"));
  CHECK(here.Run("cd origin.git; printf '" + input + "' | hooks/post-receive").status == 7);
}

TEST_CASE("hook: a kept hook that reads nothing or may not run does no harm") {
  Repositories here;
  const fs::path hook = here.root / "origin.git/hooks/post-receive";
  Repositories::Script(hook, "exit 0\n");
  SUBCASE("reads nothing") {}
  SUBCASE("may not run") {
    fs::permissions(hook, fs::perms::owner_read | fs::perms::owner_write);
  }
  REQUIRE(InstallHook(here.settings));
  CHECK(here.MustRun("cd work; git push -q origin HEAD:main").find("run fashion#1") != std::string::npos);
}

TEST_CASE("hook: no push fails, whatever becomes of furrow") {
  Repositories here;
  SUBCASE("it fails") {
    Repositories::Script(here.root / "furrow", "exit 1\n");
  }
  SUBCASE("it dies") {
    Repositories::Script(here.root / "furrow", "kill -SEGV $$\n");
  }
  SUBCASE("it is gone") {
    fs::remove(here.root / "furrow");
  }
  REQUIRE(InstallHook(here.settings));
  CHECK(here.Run("cd work; git push -q origin HEAD:main").status == 0);
  CHECK(here.MustRun("git -C origin.git rev-parse main") == here.MustRun("git -C work rev-parse HEAD"));
}

TEST_CASE("hook: after one call found the farm away the others only note") {
  Repositories here;
  Repositories::Script(here.root / "furrow",
                       "echo \"note=$FURROW_NOTE_ONLY\" >> '" + (here.root / "calls").string() + "'\nexit 3\n");
  REQUIRE(InstallHook(here.settings));
  here.MustRun("cd work; git push -q origin HEAD:main HEAD:two HEAD:three");
  CHECK(here.Calls() == "note=\nnote=1\nnote=1\n");
}

TEST_CASE("hook: core.hooksPath counts, from where hooks run") {
  Repositories here;
  here.MustRun("git -C origin.git config core.hooksPath ours");
  const auto installed = InstallHook(here.settings);
  REQUIRE(installed);
  CHECK(fs::exists(here.root / "origin.git/ours/post-receive"));
  CHECK(installed->find("every repository that uses this folder") != std::string::npos);
  here.MustRun("cd work; git push -q origin HEAD:main");
  CHECK(here.Calls().starts_with("5\ntrigger\n"));
}

TEST_CASE("hook: what is no repository, or no program, is refused") {
  Repositories here;
  here.settings.repository = here.root;
  CHECK(InstallHook(here.settings).error().code == Errc::kNotFound);
  here.settings.repository = here.root / "work";
  here.settings.program = "furrow";
  CHECK(InstallHook(here.settings).error().code == Errc::kInvalid);
  CHECK_FALSE(fs::exists(here.root / "work/.git/hooks/post-receive"));
}

TEST_CASE("hook: the git folder is found from everywhere that names a repository") {
  Repositories here;
  here.MustRun("git -C work worktree add -q ../linked");
  const fs::path root = fs::canonical(here.root);
  CHECK(GitDirOf(here.root / "origin.git") == root / "origin.git");
  CHECK(GitDirOf(here.root / "work") == root / "work/.git");
  CHECK(GitDirOf(here.root / "work/.git") == root / "work/.git");
  CHECK(GitDirOf(here.root / "linked") == root / "work/.git/worktrees/linked");
  CHECK(GitDirOf(here.root).error().code == Errc::kNotFound);
}

TEST_CASE("pending: pushes are taken once, in order, one for each ref") {
  Repositories here;
  const fs::path git = here.root / "origin.git";
  CHECK(TakePending(git)->empty());
  CHECK_FALSE(fs::exists(git / "furrow"));
  REQUIRE(NotePending(git, {"refs/heads/main", "a", "b"}));
  REQUIRE(NotePending(git, {"refs/heads/two", "x", "y"}));
  REQUIRE(NotePending(git, {"refs/heads/main", "b", "c"}));
  CHECK(TakePending(git) == std::vector<PendingPush>{{"refs/heads/main", "a", "c"}, {"refs/heads/two", "x", "y"}});
  CHECK(TakePending(git)->empty());
}

TEST_CASE("pending: a push noted again after a newer one stays the older") {
  Repositories here;
  const fs::path git = here.root / "origin.git";
  REQUIRE(NotePending(git, {"refs/heads/main", "b", "c"}));
  REQUIRE(NotePending(git, {"refs/heads/main", "a", "b"}));
  CHECK(TakePending(git) == std::vector<PendingPush>{{"refs/heads/main", "a", "c"}});
  REQUIRE(NotePending(git, {"refs/heads/main", "a", "b"}));
  REQUIRE(NotePending(git, {"refs/heads/main", "b", "a"}));
  CHECK(TakePending(git) == std::vector<PendingPush>{{"refs/heads/main", "a", "a"}});
}

TEST_CASE("pending: what is no ref is refused and a torn line is passed over") {
  Repositories here;
  const fs::path git = here.root / "origin.git";
  CHECK(NotePending(git, {"refs/heads/a b", "a", "b"}).error().code == Errc::kInvalid);
  CHECK(NotePending(git, {"", "a", "b"}).error().code == Errc::kInvalid);
  REQUIRE(NotePending(git, {"refs/heads/main", "a", "b"}));
  std::ofstream(git / "furrow/pending", std::ios::app) << "torn";
  CHECK(TakePending(git)->size() == 1);
}

TEST_CASE("pending: many at once lose nothing and take nothing twice") {
  Repositories here;
  const fs::path git = here.root / "origin.git";
  std::vector<std::vector<PendingPush>> taken(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&git, &mine = taken[static_cast<std::size_t>(t)], t] {
      for (int i = 0; i < 20; ++i) {
        (void)NotePending(git, {"refs/heads/" + std::to_string(t) + "-" + std::to_string(i), "a", "b"});
        if (i % 7 != 6) continue;
        const auto some = TakePending(git);
        if (some) mine.insert(mine.end(), some->begin(), some->end());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::size_t count = TakePending(git)->size();
  for (const auto& mine : taken) count += mine.size();
  CHECK(count == 60);
}

}  // namespace furrow::cli
