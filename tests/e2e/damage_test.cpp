// Files of a farm's state are damaged, cut, deleted: a start refuses with the file's name and a cure, or says what it
// lacks, and what is gone is never served as if it were whole. The database's own files have a test of their own,
// tests/controller/store/damaged_files_test.cpp.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

std::string Bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What may never be changed by a start that is refused.
std::map<std::string, std::string> Database(const Farm& farm) {
  std::map<std::string, std::string> files;
  if (!fs::exists(farm.State() + "/db")) return files;
  for (const auto& entry : fs::recursive_directory_iterator(farm.State() + "/db"))
    if (entry.is_regular_file() && entry.path().filename() != "controller.lock")
      files[entry.path().string()] = Bytes(entry.path());
  return files;
}

// A farm with three runs, whose state is put back before each damage.
class Damaged {
 public:
  Damaged() : farm({.agents = 1}) {
    farm.Write("work/furrow.yaml",
               "name: k\njobs:\n  long:\n    artifacts: [big, small]\n    steps:\n      - run: seq 1 20000; head -c "
               "200000 /dev/zero | tr '\\0' x > big; echo y > small\n  short: { steps: [{ run: echo hello }] }\n");
    for (int i = 0; i < 3; ++i) REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
    farm.StopAgent(1, SIGTERM);
    whole = Ask();
    farm.KillController();
    for (const std::string& large : {farm.AgentFolder(1), farm.State() + "/ballast"}) fs::remove_all(large);
    fs::copy(farm.State(), farm / "whole", fs::copy_options::recursive);
  }

  // The answers that a reader of the first run gets: 0 and the text, or a status and words.
  std::map<std::string, CliResult> Ask() {
    std::map<std::string, CliResult> answers;
    answers["runs"] = farm.Furrow({"--json", "runs"});
    for (const char* job : {"k#1/long", "k#1/short"}) answers[job] = farm.Furrow({"logs", job});
    fs::remove_all(farm / "got");
    answers["artifacts"] = farm.Furrow({"artifacts", "k#1/long", "--get", "*", "-o", farm / "got"});
    answers["artifacts"].out += farm.Read("got/big") + farm.Read("got/small");
    return answers;
  }

  // Damages the state and starts the controller on it. A start that is refused has to name the file.
  void Try(const std::string& name, const std::function<void()>& damage) {
    fs::remove_all(farm.State());
    fs::copy(farm / "whole", farm.State(), fs::copy_options::recursive);
    damage();
    const auto before = Database(farm);
    const auto controller =
        farm.Program({ProgramFolder() + "/furrow-controller", "--config", farm.State() + "/controller.yaml"});
    const auto ended = [&] {
      siginfo_t info{};
      return ::waitid(P_PID, static_cast<id_t>(controller->pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             info.si_pid != 0;
    };
    REQUIRE(Farm::Until([&] { return controller->err().find("ready on") != std::string::npos || ended(); }));
    if (ended()) {
      const std::string log = controller->Wait().err;
      CAPTURE(log);
      CHECK(log.find(name) != std::string::npos);
      CHECK((log.find("restore") != std::string::npos || log.find("elete") != std::string::npos ||
             log.find(":1: ") != std::string::npos));
      CHECK(Database(farm) == before);
      ++refused;
      return;
    }
    for (const auto& [what, answer] : Ask()) {
      CAPTURE(what);
      const CliResult& then = whole.at(what);
      if (what != "runs" && answer.status != 0)
        CHECK(answer.err.find("furrow: ") != std::string::npos);
      else
        CHECK(answer.out == then.out);
    }
    CliResult next = farm.Furrow({"run", farm / "work", "--detach"});
    if (next.status == 4) {  // Sources that are damaged are put aside, and sent again by who asks again.
      CHECK(next.err.find("is damaged") != std::string::npos);
      next = farm.Furrow({"run", farm / "work", "--detach"});
    }
    CHECK(next.status == 0);
    CHECK((next.out == "k#4\n" || next.out == "k#1004\n"));
    ++started;
  }

  Farm farm;
  std::map<std::string, CliResult> whole;
  int refused = 0, started = 0;
};

// FURROW_DAMAGE_PLACES: at how many places each file is damaged, beside its ends.
std::uint64_t Places() {
  const char* asked = std::getenv("FURROW_DAMAGE_PLACES");
  return asked != nullptr ? std::strtoull(asked, nullptr, 10) : 1;
}

}  // namespace

TEST_CASE("damage: a start refuses, or says what is gone; no log or artifact is served as whole, no number twice") {
  Damaged damaged;
  const Farm& farm = damaged.farm;
  std::vector<fs::path> files;
  std::set<std::string> kinds;
  for (const auto& entry : fs::recursive_directory_iterator(farm / "whole")) {
    const fs::path file = fs::relative(entry.path(), farm / "whole");
    const std::string top = file.begin()->string(), name = file.filename();
    if (!entry.is_regular_file() || fs::file_size(entry.path()) == 0) continue;
    const bool kept = top == "logs" || top == "blobs" || name.find(".key") != std::string::npos || top == "allowlist" ||
                      top == "farm.json" || name == "high-water";
    if (!kept) continue;
    // One of a kind is enough: the files of the first run, and every key.
    const std::string kind = top == "logs"    ? name.substr(0, 4)
                             : top == "blobs" ? (file.string().find("packs/") != std::string::npos ? "pack" : "chunk")
                                              : name;
    if (top == "logs" && *std::next(file.begin()) != "1") continue;
    if (!kinds.insert(kind).second && Places() == 1) continue;
    files.push_back(file);
  }
  CHECK(files.size() >= 10);
  for (const fs::path& file : files) {
    const std::string name = file.filename(), bytes = Bytes(fs::path(farm / "whole") / file);
    const fs::path at = fs::path(farm.State()) / file;
    CAPTURE(file.string());
    const auto write = [&](std::string other) { std::ofstream(at, std::ios::binary | std::ios::trunc) << other; };
    fs::permissions(fs::path(farm / "whole") / file, fs::perms::owner_write, fs::perm_options::add);
    damaged.Try(name, [&] { fs::remove(at); });
    damaged.Try(name, [&] { write(bytes.substr(0, bytes.size() / 2)); });
    for (std::uint64_t place = 0; place < Places(); ++place) {
      std::string other = bytes;
      char& one = other[bytes.size() * (2 * place + 1) / (2 * Places())];
      one = static_cast<char>(one ^ 1);
      CAPTURE(place);
      damaged.Try(name, [&] { write(other); });
    }
  }
  for (const char* folder : {"db/db", "db", "logs", "blobs", "mirrors"}) {
    CAPTURE(std::string(folder));
    damaged.Try("/db", [&] { fs::remove_all(farm.State() + "/" + std::string(folder)); });
  }
  CHECK(damaged.refused >= 8);
  CHECK(damaged.started >= 10);
  MESSAGE(damaged.refused, " starts refused, ", damaged.started, " went on");
}

}  // namespace furrow
