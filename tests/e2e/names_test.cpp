// What a name that is not there, an output that is not taken and an odd environment do to each command.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "common/base/run_program.h"
#include "common/base/text.h"
#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr const char* kPipeline =
    "name: n\njobs:\n  a:\n    artifacts: [out.txt]\n    steps:\n"
    "      - run: |\n          echo printed; echo made > out.txt; echo '{\"loss\": 1}' >> $FURROW_METRICS\n";

// Every line that is said begins with the program's name.
void CheckSaid(const std::string& err) {
  CHECK_FALSE(err.empty());
  std::istringstream lines(err);
  for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.starts_with("furrow:"), line);
}

// Runs a shell command of which $FURROW is the program, in the farm's folder and with its state.
ProgramResult Shell(const Farm& farm, const std::string& command) {
  ProgramOptions options;
  options.folder = farm.Folder();
  options.variables = {{"FURROW", ProgramFolder() + "/furrow"}, {"FURROW_STATE", farm.State()}};
  options.limit = std::chrono::seconds(60);
  const auto ended = RunProgram({"bash", "-c", command}, options);
  REQUIRE(ended);
  return *ended;
}

struct Command {
  Words words;
  int status;
};

// Each command with a name that is not there, in each place where it takes one.
std::vector<Command> WithWrongNames() {
  std::vector<Command> commands{
      {{"run", "nosuch"}, 2},
      {{"run", "--file", "nosuch.yaml", "work"}, 2},
      {{"run", "--ref", "nosuch", "work"}, 2},
      {{"run", "--set", "nosuch", "work"}, 2},
      {{"retry", "nosuch"}, 4},
      {{"retry", "n#99"}, 4},
      {{"retry", "--failed", "nosuch#1"}, 4},
      {{"cancel", "nosuch"}, 4},
      {{"cancel", "n#99"}, 4},
      {{"cancel", "n#1"}, 4},  // ended already: nothing is cancelled
      {{"cancel", "n#1/a"}, 4},
      {{"cancel", "n#1/nosuch"}, 4},
      {{"check", "nosuch.yaml"}, 2},
      {{"check", "nosuch/furrow.yaml"}, 2},
      {{"trigger", "nosuch", "refs/heads/main", "0", "1"}, 2},
      {{"trigger", "work", "refs/heads/main", "0", "1"}, 4},
      {{"hook", "install", "nosuch"}, 2},
      {{"hook", "install", "work"}, 4},
      {{"runs", "nosuch"}, 4},
      {{"runs", "nosuch", "--limit", "1"}, 4},
      {{"drain", "nosuch"}, 4},
      {{"drain", "nosuch", "--wait"}, 4},
      {{"resume", "nosuch"}, 4},
      {{"metrics", "n#1", "nosuch"}, 4},
      {{"metrics", "n#1/a", "nosuch", "--plot"}, 4},
      {{"artifacts", "n#1", "--get", "nosuch"}, 4},
      {{"artifacts", "n#1/a", "--get", "*.nosuch"}, 4},
      {{"logs", "n#1", "--attempt", "9"}, 2},
      {{"enrol", "revoke", "deadbeef"}, 4},
      {{"enrol", "revoke", "nosuch"}, 2},
      {{"keys", "revoke", "nosuch"}, 4},
      {{"repos", "rm", "nosuch"}, 4},
      {{"repos", "rm", "/nosuch/a.git"}, 4},
      {{"repos", "nosuch"}, 2},
      {{"up", "--port", "nosuch"}, 2},
      {{"nosuch"}, 2},
      {{"enrol", "nosuch"}, 2},
  };
  for (const char* command : {"show", "logs", "artifacts", "metrics", "why"})
    for (const char* name : {"nosuch", "n#99", "n#1/nosuch", "n#1/a/9"}) commands.push_back({{command, name}, 4});
  for (const char* command : {"show", "logs"}) commands.push_back({{command, "-f", "n#1/nosuch"}, 4});
  return commands;
}

// Commands without a place for a name.
const std::set<std::string> kNameless{"agents", "doctor"};

}  // namespace

TEST_CASE("cli: a name that is not there is no success, in any command, and is told on stderr alone") {
  Farm farm;
  farm.Write("work/furrow.yaml", kPipeline);
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  std::set<std::string> tried = kNameless;
  for (const Command& command : WithWrongNames()) {
    std::string words;
    for (const std::string& word : command.words) words += " " + word;
    CAPTURE(words);
    tried.insert(command.words.front());
    for (const bool json : {false, true}) {
      Words all = command.words;
      if (json && all.size() > 1 && all[1] == "-f") continue;  // refused together
      if (json) all.insert(all.begin(), "--json");
      std::string line = "\"$FURROW\"";
      for (const std::string& word : all) line += " '" + word + "'";
      const ProgramResult ended = Shell(farm, line);
      CHECK(ended.status == command.status);
      CHECK(json == !ended.out.empty());
      if (json) CHECK(nlohmann::json::parse(ended.out).is_object());
      CheckSaid(ended.err);
    }
  }
  // A new command has to be tried here, too.
  std::istringstream help(farm.Furrow({"--help"}).out);
  bool commands = false;
  for (std::string line; std::getline(help, line);) {
    if (commands && line.starts_with("  ") && line[2] != ' ')
      CHECK_MESSAGE(tried.contains(line.substr(2, line.find(' ', 2) - 2)), line);
    commands = commands || line.starts_with("Subcommands:") || line.starts_with("SUBCOMMANDS:");
  }
  CHECK(commands);
}

TEST_CASE("cli: an argument without a character is refused, it does not stand for the default") {
  Farm farm;
  for (const char* words :
       {"runs ''", "show ''", "artifacts n --get ''", "metrics n ''", "run ''", "--state '' runs"}) {
    CAPTURE(words);
    const ProgramResult ended = Shell(farm, std::string("\"$FURROW\" ") + words);
    CHECK(ended.status == 2);
    CHECK(ended.err.find("is empty") != std::string::npos);
    CheckSaid(ended.err);
  }
}

TEST_CASE("cli: what stdout does not take is an error of every command that prints") {
  Farm farm;
  farm.Write("work/furrow.yaml", kPipeline);
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  for (const char* words : {"--help",
                            "--version",
                            "logs --help",
                            "runs",
                            "show n#1",
                            "logs n#1",
                            "logs -f n#1",
                            "artifacts n#1",
                            "artifacts n#1 --get out.txt -o got",
                            "metrics n#1",
                            "why n#1",
                            "agents",
                            "doctor",
                            "keys",
                            "enrol new",
                            "enrol list",
                            "check work/furrow.yaml",
                            "run --detach work",
                            "run work",
                            "drain agent-1",
                            "resume agent-1"}) {
    for (const char* json : {"", "--json "}) {
      if (*json != '\0' && std::string_view(words).starts_with("logs -f")) continue;
      for (const char* where : {">/dev/full", ">&-"}) {
        const std::string line = "\"$FURROW\" " + std::string(json) + words + " " + where;
        CAPTURE(line);
        const ProgramResult ended = Shell(farm, line);
        CHECK(ended.status == 1);
        CHECK(ended.err.find("furrow: cannot write to stdout: ") != std::string::npos);
      }
    }
  }
  CHECK(Shell(farm, "\"$FURROW\" runs | head -c 0; exit ${PIPESTATUS[0]}").err.empty());
}

TEST_CASE("cli: no environment makes it crash, and it answers in most") {
  Farm farm;
  farm.Write("work/furrow.yaml", kPipeline);
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  for (const char* around :
       {"env -u HOME \"$@\"", "env HOME= \"$@\"", "env HOME=. \"$@\"", "env HOME=/proc/nonexistent \"$@\"",
        "env -u HOME XDG_CACHE_HOME= \"$@\"", "env TMPDIR=/proc/nonexistent \"$@\"", "env LANG=xx LC_ALL=tr_TR \"$@\"",
        "env -u TERM COLUMNS=0 \"$@\"", "env TERM=dumb COLUMNS=x LINES=-1 \"$@\"", "umask 0; \"$@\"", "\"$@\" <&-",
        "\"$@\" 2>&-", "ulimit -n 64; \"$@\"", "ulimit -Sn 8; \"$@\"", "trap '' PIPE CHLD TERM; \"$@\""}) {
    CAPTURE(around);
    farm.Write("around.sh", std::string(around) + "\n");
    for (const char* words : {"runs", "logs n#1/a", "run --detach work", "check work/furrow.yaml", "--json show n#1"}) {
      CAPTURE(words);
      const ProgramResult ended = Shell(farm, std::string("bash around.sh \"$FURROW\" ") + words);
      CHECK(ended.status == 0);
      CHECK_FALSE(ended.out.empty());
    }
  }
  // Here it cannot answer, and says why.
  for (const char* around : {"ulimit -n 7; \"$@\"", "ulimit -n 16; \"$@\"", "ulimit -n 20; \"$@\"",
                             "ulimit -n 27; \"$@\"", "ulimit -v 60000; \"$@\"", "ulimit -s 64; \"$@\"",
                             "mkdir gone; cd gone; rmdir ../gone; \"$@\" --state relative"}) {
    CAPTURE(around);
    farm.Write("around.sh", std::string(around) + "\n");
    const ProgramResult ended = Shell(farm, "bash around.sh \"$FURROW\" runs");
    CHECK(ended.status > 0);
    CHECK(ended.status < 126);
    CheckSaid(ended.err);
    CHECK((ended.err.find("open files") != std::string::npos) == (std::string_view(around).starts_with("ulimit -n")));
  }
  for (const char* words : {"run", "run .", "run --file furrow.yaml", "check", "check .", "hook install .",
                            "repos rm .", "artifacts n#1 --get x", "artifacts n#1 --get x -o got"}) {
    CAPTURE(words);
    const ProgramResult ended = Shell(farm, std::string("mkdir gone; cd gone; rmdir ../gone; \"$FURROW\" ") + words);
    CHECK(ended.status == 2);
    CHECK(ended.err.starts_with("furrow: the current folder is gone, so that there is no "));
  }
}

TEST_CASE("programs: what each is given is told harmless, behind the program's name, and a full stdout is an error") {
  const Farm farm;
  const std::string word = "a\x1b[2Jb\u202ec\xff\u200bd\ne";
  const std::vector<Words> cases = {{"furrow-torch", "train", "--spec", word},
                                    {"furrow-torch", word},
                                    {"furrow-torch", "evaluate", "--spec-json", word},
                                    {"furrow-runner", "--state", word},
                                    {"furrow-runner", word},
                                    {"furrow-agent", word},
                                    {"furrow-agent", "--config", word},
                                    {"furrow-agent", "check-metrics", word},
                                    {"furrow-controller", word},
                                    {"furrow-controller", "--config", word},
                                    {"furrow", word},
                                    {"furrow", "--" + word},
                                    {"furrow", "--state", word, "runs"},
                                    {"furrow", "check", word},
                                    {"furrow", "run", "--set", word},
                                    {"furrow", "artifacts", "n#1", "--get", word}};
  for (Words words : cases) {
    const std::string name = words[0];
    words[0] = ProgramFolder() + "/" + name;
    if (!fs::exists(words[0])) continue;  // built without Torch
    CAPTURE(name);
    const auto ended = RunProgram(words, {});
    REQUIRE(ended);
    CHECK(ended->status > 0);
    CHECK(ended->status < 126);
    CAPTURE(ended->err);
    CHECK(PlainLines(ended->err) == ended->err);
    std::istringstream lines(ended->err);
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.starts_with(name + ":"), line);
    for (const char* option : {"--help", "--version"}) {
      const auto full = RunProgram({"bash", "-c", "\"$0\" \"$1\" > /dev/full", words[0], option}, {});
      REQUIRE(full);
      CHECK(full->status == 1);
      CHECK(full->err == name + ": cannot write to stdout: No space left on device\n");
    }
  }
}

TEST_CASE("cli: a word that means nothing is named, with the nearest one or where all are listed") {
  Farm farm;
  const std::pair<const char*, const char*> cases[] = {
      {"--frob", "there is no option --frob; `furrow --help` lists them all"},
      {"-x", "there is no option -x; `furrow --help` lists them all"},
      {"--jsno runs", "there is no option --jsno of runs; is --json meant?"},
      {"--stat=x runs", "there is no option --stat of runs; is --state meant?"},
      {"runs --limt 3", "there is no option --limt of runs; is --limit meant?"},
      {"hook --frob", "there is no option --frob of hook; `furrow hook --help`"},
      {"hook instal .", "there is no command hook instal; is install meant?"},
      {"enrol frob", "there is no command enrol frob; `furrow enrol --help`"},
      {"repos frob", "there is no command repos frob; `furrow repos --help` lists them all"},
      {"rnus", "there is no command rnus; is runs meant?"},
      {"run a b", "furrow run takes no further word, such as b; `furrow run --help`"},
      {"runs --limit 010", "--limit: 010 has a zero before it; write 10"},
      {"runs --limit 0x3", "--limit: 0x3 is no whole number"},
      {"logs n#1 --tail 3.5", "--tail: 3.5 is no whole number"},
      {"up --agents x", "--agents: x is no whole number"},
      {"hook", "a command is missing behind furrow hook; `furrow hook --help`"},
      {"", "a command is missing behind furrow; `furrow --help`"}};
  for (const auto& one : cases) {
    const auto& words = one.first;  // a lambda cannot take a part of a binding
    const auto& said = one.second;
    CAPTURE(words);
    const ProgramResult ended = Shell(farm, std::string("\"$FURROW\" ") + words);
    CHECK(ended.status == 2);
    CHECK_MESSAGE(ended.err.find(std::string("furrow: ") + said) != std::string::npos, ended.err);
    CheckSaid(ended.err);
  }
}

TEST_CASE("cli: a controller's name without an address is told as such") {
  Farm farm;
  const auto key = nlohmann::json::parse(farm.Read("state/farm.json"))["key"].get<std::string>();
  farm.Write("home/.config/furrow/controller.pub", key + "\n");
  const ProgramResult ended = Shell(farm,
                                    "unset FURROW_STATE; HOME=\"$PWD/home\" FURROW_CONTROLLER=no-such.invalid:7071 "
                                    "\"$FURROW\" runs");
  CHECK(ended.status == 3);
  CHECK(ended.err.starts_with(
      "furrow: cannot reach the controller at no-such.invalid:7071 (FURROW_CONTROLLER): no address "
      "is known for this name ("));
}

TEST_CASE("cli: the current folder never stands for the home folder, whose keys are the user's own") {
  Farm farm;
  const auto address = nlohmann::json::parse(farm.Read("state/farm.json"));
  const std::string control = address["control"];
  farm.Write("repository/.config/furrow/controller.pub", address["key"].get<std::string>() + "\n");
  for (const char* home : {"-u HOME", "HOME=", "HOME=.", "HOME=repository"}) {
    CAPTURE(home);
    const ProgramResult ended = Shell(farm, std::string("cd repository; env -u FURROW_STATE ") + home +
                                                " FURROW_CONTROLLER=" + control + " \"$FURROW\" runs");
    CHECK(ended.status == 2);
    CHECK(ended.err.find("furrow: there is no public key /") != std::string::npos);
    CHECK_FALSE(fs::exists(farm / "repository/.config/furrow/client.key"));
  }
}

TEST_CASE("cli: text of others reaches no terminal as it is, and JSON exactly") {
  Farm farm;
  const std::string hostile = "ev\u202eil \x1b[2J";
  farm.Write("work/furrow.yaml",
             "name: n\njobs:\n  a:\n    artifacts: [out]\n    steps:\n      - run: |\n"
             "          mkdir out; : > out/$'ev\\u202eil \\e[2J'\n");
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  const auto harmless = [](const std::string& text) {
    return text.find('\x1b') == std::string::npos && text.find("\u202e") == std::string::npos;
  };
  const CliResult listed = farm.Furrow({"artifacts", "n#1"});
  CHECK(listed.out.find("out/ev?il ?[2J") != std::string::npos);
  const CliResult json = farm.Furrow({"--json", "artifacts", "n#1"});
  CHECK(harmless(json.out));
  CHECK(nlohmann::json::parse(json.out)["artifacts"].back()["path"] == "out/" + hostile);
  CHECK(harmless(farm.Furrow({"artifacts", "n#1", "--get", "out", "-o", farm / "got"}).out));
  CHECK(fs::exists(farm / ("got/out/" + hostile)));
  for (const Words& words :
       {Words{"show", hostile}, Words{"logs", "n#1/" + hostile}, Words{"runs", hostile}, Words{"drain", hostile},
        Words{"artifacts", "n#1", "--get", hostile}, Words{"run", hostile}, Words{"check", hostile},
        Words{"metrics", "n#1", hostile}, Words{hostile}, Words{"keys", "revoke", hostile},
        Words{"run", "--set", hostile, farm / "work"}}) {
    CAPTURE(words.front());
    const CliResult refused = farm.Furrow(words);
    CHECK(refused.status != 0);
    CHECK(harmless(refused.out + refused.err));
  }
}

TEST_CASE(
    "daemons: whatever the umask and the folder were, what they make is their user's alone; jobs have the umask") {
  TempFolder folder;
  for (const char* part : {"agents/agent-1/cache", "daemons"})
    fs::create_directories(fs::path(folder / "state") / part);
  fs::permissions(folder / "state", fs::perms::all);
  folder.Write(
      "work/furrow.yaml",
      "name: n\njobs:\n  a:\n    artifacts: [made]\n    steps:\n      - run: umask; touch made; stat -c %a made "
      "furrow.yaml\n");
  const std::string furrow = ProgramFolder() + "/furrow --state " + (folder / "state");
  const std::string script = "umask 0; cd " + folder.Path() + "\n" + furrow + " up --port 0 > up.out 2>&1 & up=$!\n" +
                             "for i in $(seq 600); do grep -q ready up.out && break; sleep 0.05; done\n" +
                             "(umask 022; " + furrow + " run work; " + furrow +
                             " artifacts n --get made -o got; stat -c %a got got/made)\n" +
                             "find state -perm /077 ! -type l ! -path '*/work/*/*'\n" + "kill -INT $up; wait $up\n";
  const auto ended = RunProgram({"bash", "-c", script});
  REQUIRE(ended);
  INFO(ended->err);
  CHECK(ended->out == "a: 0000\na: 666\na: 666\ngot/made\n755\n644\n");
}

TEST_CASE("daemons: every form of address that may be listened on serves clients and machines that join") {
  for (const std::string listen : {"127.0.0.1", "127.0.0.9", "0.0.0.0", "[::1]", "[::]"}) {
    CAPTURE(listen);
    if (listen[0] == '[' && !fs::exists("/proc/net/if_inet6")) continue;  // a machine without IPv6
    TempFolder folder;
    folder.Write("c.yaml", "listen: \"" + listen + "\"\nports: { control: 0, bulk: 0, enrol: 0 }\nstate: state\n");
    folder.Write("a.yaml", "state: agent\n");
    const std::string bin = ProgramFolder() + "/";
    const std::string host = listen[0] == '[' ? "[::1]" : listen == "0.0.0.0" ? "127.0.0.1" : listen;
    const auto ended =
        RunProgram({"bash", "-c",
                    "cd " + folder.Path() + "; " + bin + "furrow-controller --config c.yaml 2> c.log & c=$!\n" +
                        "trap 'kill $c $a; wait' EXIT\n" +
                        "for i in $(seq 600); do grep -q ready c.log && break; sleep 0.05; done\nset -e\n" + bin +
                        "furrow --state state runs\n" + bin + "furrow --state state enrol new --address " + host +
                        " > line\n" + bin + "furrow-agent --config a.yaml enrol --file line --name joined\n" + bin +
                        "furrow-agent --config a.yaml & a=$!\n" + "for i in $(seq 600); do " + bin +
                        "furrow --state state agents | grep -q connected && break; sleep 0.05; done\n" + bin +
                        "furrow --state state agents\n"});
    REQUIRE(ended);
    INFO(ended->err);
    CHECK(ended->status == 0);
    CHECK(ended->out.find("no runs yet") != std::string::npos);
    CHECK(ended->out.find("joined  connected") != std::string::npos);
  }
}

}  // namespace furrow
