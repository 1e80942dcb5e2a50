#include "agent/runner/complaint_words.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "agent/runner/ending_words.h"
#include "agent/runner/program_file.h"
#include "common/base/git_lfs.h"

namespace furrow::runner {
namespace {

constexpr std::size_t kMostNameBytes = 200;

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string Quote(std::string_view name) {
  return "`" + std::string(name) + "`";
}

// Calls `say` with one line of the log after the other, the last first, until it has words.
template <class Say>
std::string OfLastLine(std::string_view log, const Say& say) {
  while (!log.empty()) {
    if (log.ends_with('\n')) log.remove_suffix(1);
    const std::size_t end = log.rfind('\n');
    const std::size_t begin = end == std::string_view::npos ? 0 : end + 1;
    if (std::string words = say(log.substr(begin)); !words.empty()) return words;
    log = log.substr(0, begin);
  }
  return {};
}

// Windows line ends make a shell look for a program, or an interpreter, whose name ends with CR.
bool HasCarriageReturn(std::string_view log) {
  constexpr std::array<std::string_view, 17> kSigns = {"^M: bad interpreter",
                                                       "\\r': ",
                                                       "\r': ",
                                                       "\\r’: ",
                                                       "\r’: ",
                                                       "\\r\": ",
                                                       "\\r''",
                                                       "\\r: ",
                                                       "\\015",
                                                       "?: not found\r",
                                                       "\r: not found",
                                                       "\r: command not found",
                                                       "\r: No such file",
                                                       "\r: bad interpreter",
                                                       "\r: invalid option",
                                                       "Illegal option -\r",
                                                       "invalid option name\n: "};
  return std::any_of(kSigns.begin(), kSigns.end(), [&](std::string_view sign) { return Has(log, sign); });
}

bool HasByteOrderMark(std::string_view log) {
  return Has(log, "\xef\xbb\xbf#!") || Has(log, "\\357\\273\\277#!");
}

std::string_view TrimQuotes(std::string_view name) {
  for (const auto& [open, close] : {std::pair{"'", "'"}, {"`", "'"}, {"\"", "\""}, {"‘", "’"}}) {
    const std::string_view left(open);
    const std::string_view right(close);
    if (name.size() > left.size() + right.size() && name.starts_with(left) && name.ends_with(right))
      return name.substr(left.size(), name.size() - left.size() - right.size());
  }
  return name;
}

// A Complaint is a line like "bash: line 3: deploy: command not found" in its parts.
struct Complaint {
  std::string_view by;    // who complains: "bash", or the script
  std::string_view name;  // what about: "deploy"; empty: the line is of another form
  bool by_shell = false;  // it counts the lines of a script, as shells do
};

// Takes a number of a line and the colon off: "line 3: " or "3: ".
bool TakeLineNumber(std::string_view& text) {
  std::string_view rest = text;
  if (rest.starts_with("line ")) rest.remove_prefix(5);
  const std::size_t digits = rest.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos || !rest.substr(digits).starts_with(": ")) return false;
  text = rest.substr(digits + 2);
  return true;
}

// Reads a line that ends with `end`.
Complaint Read(std::string_view line, std::string_view end) {
  if (!line.ends_with(end)) return {};
  line.remove_suffix(end.size());
  const std::size_t colon = line.find(": ");
  if (colon == std::string_view::npos) return {};
  Complaint complaint{line.substr(0, colon), line.substr(colon + 2)};
  complaint.by_shell = TakeLineNumber(complaint.name);
  for (const std::string_view before :
       {"exec: ", "failed to run command ", "failed to execute ", "can't execute ", "cannot run "})
    if (complaint.name.starts_with(before)) complaint.name.remove_prefix(before.size());
  complaint.name = TrimQuotes(complaint.name);
  if (complaint.name.size() > kMostNameBytes) complaint.name = {};
  return complaint;
}

// Returns whether a complaint about a file is one about a program. `cat: x: No such file or directory` is none.
bool OfProgram(const Complaint& complaint) {
  constexpr std::array<std::string_view, 21> kStarters = {
      "env",  "timeout", "nice",    "nohup", "xargs", "stdbuf", "setsid",  "chroot", "ionice", "taskset", "time",
      "sudo", "flock",   "unshare", "bash",  "sh",    "dash",   "setpriv", "zsh",    "ksh",    "numactl"};
  if (complaint.name.empty() || Has(complaint.name, ": ")) return false;
  const std::string_view by = complaint.by.substr(complaint.by.rfind('/') + 1);  // npos + 1 is 0
  return complaint.by_shell || std::find(kStarters.begin(), kStarters.end(), by) != kStarters.end();
}

// Says why the file of the workspace that a line names is not executed; empty: it does not tell, or is not found here.
std::string OfFile(std::string_view name, std::string_view workspace, int number) {
  if (!Has(name, "/")) return {};  // It was looked for on the job's PATH.
  const std::string why = WhyNotExecuted(
      name.starts_with('/') ? std::string(name) : std::string(workspace) + "/" + std::string(name), number);
  return why.empty() ? why : Quote(name) + " is not executed: " + why;
}

// Returns the part of a line after `mark`; empty: the line has none.
std::string_view After(std::string_view line, std::string_view mark) {
  const std::size_t at = line.find(mark);
  return at == std::string_view::npos ? std::string_view() : line.substr(at + mark.size());
}

// Says which library the loader of a program, or of a module of Python, did not find or take.
std::string OfLibrary(std::string_view line) {
  constexpr std::string_view kNotThere = ": cannot open shared object file";
  for (const std::string_view mark :
       {"error while loading shared libraries: ", "Error loading shared library ", "ImportError: ", "OSError: "}) {
    std::string_view rest = After(line, mark);
    if (rest.empty() || (mark.ends_with("Error: ") && !Has(rest, kNotThere))) continue;
    const std::string_view name = rest.substr(0, rest.find(": "));
    if (name.size() > kMostNameBytes) continue;
    if (Has(rest, "No such file or directory"))
      return "the shared library " + Quote(name) +
             " was not found on this agent: install the package that has it, or name its folder in LD_LIBRARY_PATH in "
             "`env` (`ldd PROGRAM` shows what is missing)";
    rest.remove_prefix(std::min(name.size() + 2, rest.size()));
    return "the shared library " + Quote(name) +
           " could not be loaded: " + std::string(rest.substr(0, kMostNameBytes)) +
           "; it is damaged, or of another kind of machine than the program";
  }
  if (Has(line, ": version `") && Has(line, "' not found"))
    return "a program or library was built on a newer system than this agent's, as the log says (" +
           std::string(After(line, ": version ").substr(0, 40)) +
           "): build it on one as old as this, or choose other machines with `labels`";
  if (Has(line, ": symbol lookup error: ") || Has(line, ": undefined symbol: "))
    return "a program and a shared library that it loads do not fit each other, as the log says (" +
           std::string(After(line, "undefined symbol: ").substr(0, 100)) +
           "): build both anew, or see in `ldd PROGRAM` which one it takes";
  return {};
}

// The same words stand for too many processes and for output that nobody takes.
std::string OfTryAgain(std::string_view line) {
  if (Has(line, "can't start new thread")) line = "fork: Resource temporarily unavailable";
  if (!Has(line, "Resource temporarily unavailable") && !Has(line, "BlockingIOError")) return {};
  for (const std::string_view sign : {"fork", "clone", "thread", "Cannot spawn", "spawn"})
    if (Has(line, sign))
      return "a process or thread could not be started, for their number is limited: `ulimit -u`, a container's limit "
             "(pids.max), or memory; start fewer at a time";
  for (const std::string_view sign : {"write", "stdout", "stderr", "output", "BlockingIOError", "print"})
    if (Has(line, sign))
      return "a write would have had to wait, and was told not to (EAGAIN): some programs (node, ssh) set O_NONBLOCK "
             "on "
             "an output that they share with others; give such a program one of its own, as in `PROGRAM 2>&1 | cat`";
  return {};
}

std::string OfFailure(std::string_view line) {
  std::string words = OfLibrary(line);
  return words.empty() ? OfTryAgain(line) : words;
}

// A shell takes the first line of a git-LFS pointer, "version https://…", for a command.
std::string OfLfsPointer(std::string_view line, std::string_view workspace) {
  for (const std::string_view end : {": command not found", ": not found"}) {
    const Complaint complaint = Read(line, end);
    if (!complaint.by_shell || complaint.name != "version") continue;
    const std::string script(complaint.by);
    if (IsLfsPointerFile(script.starts_with('/') ? script : std::string(workspace) + "/" + script))
      return Quote(script) + " " + kLfsPointer;
  }
  return {};
}

// Says what is wrong with the whole of a script, about whose lines shells complain in every way.
std::string OfScript(std::string_view log, std::string_view workspace) {
  if (HasCarriageReturn(log)) return kWindowsLineEnds;
  if (HasByteOrderMark(log)) return kByteOrderMark;
  return OfLastLine(log, [&](std::string_view line) { return OfLfsPointer(line, workspace); });
}

// "bash: ./x: /usr/bin/python: bad interpreter: No such file or directory", where the interpreter stands, too.
std::string OfBadInterpreter(std::string_view line, std::string_view workspace) {
  for (const int number : {ENOENT, EACCES}) {
    const Complaint complaint = Read(line, std::string(": bad interpreter: ") + std::strerror(number));
    if (complaint.name.empty()) continue;
    const std::string_view script = complaint.name.substr(0, complaint.name.find(": "));
    const std::string_view interpreter = complaint.name.substr(std::min(script.size() + 2, complaint.name.size()));
    if (std::string words = OfFile(script, workspace, number); !words.empty()) return words;
    return "the interpreter in the first line of " + Quote(script) + ", " + Quote(interpreter) +
           (number == ENOENT ? ", does not exist on this agent: install it, or begin the script with one that is there"
                             : ", is a folder or may not be executed");
  }
  return {};
}

std::string OfNoRequiredFile(std::string_view line, std::string_view workspace) {
  const Complaint complaint = Read(line, ": cannot execute: required file not found");
  if (complaint.name.empty()) return {};
  if (std::string words = OfFile(complaint.name, workspace, ENOENT); !words.empty()) return words;
  return "the interpreter in the first line of " + Quote(complaint.name) +
         ", or the loader that it names, does not exist on this agent: install it, or begin the script with an "
         "interpreter that is there, as in #!/usr/bin/env python3";
}

std::string NotFoundByLine(std::string_view line, std::string_view workspace) {
  if (std::string words = OfBadInterpreter(line, workspace); !words.empty()) return words;
  if (std::string words = OfNoRequiredFile(line, workspace); !words.empty()) return words;
  if (std::string words = OfFailure(line); !words.empty()) return words;
  constexpr std::string_view kZsh = "command not found: ";
  std::string_view name = After(line, kZsh);
  for (const std::string_view end : {": command not found", ": not found", ": No such file or directory"}) {
    const Complaint complaint = Read(line, end);
    if (complaint.name.empty() || Has(complaint.name, ": ")) continue;
    if (end.ends_with("directory") && !OfProgram(complaint)) continue;
    if (std::string words = OfFile(complaint.name, workspace, ENOENT); !words.empty()) return words;
    if (complaint.by.ends_with("env") && Has(complaint.name, " "))
      return "env takes " + Quote(complaint.name) +
             " for the name of one program: with arguments, a script begins with `#!/usr/bin/env -S`";
    name = complaint.name;
  }
  if (name.empty() || name.size() > kMostNameBytes) return {};
  return "the command " + Quote(name) +
         " was not found: is it installed on this agent and on PATH, or in the workspace as written?";
}

std::string NotExecutableByLine(std::string_view line, std::string_view workspace) {
  if (std::string words = OfBadInterpreter(line, workspace); !words.empty()) return words;
  if (Has(line, "Argument list too long"))
    return "the arguments and the environment of a command are too long: pass long lists in a file, or with xargs";
  const std::string_view format = ": Exec format error";
  Complaint complaint = Read(line, ": cannot execute binary file" + std::string(format));
  if (complaint.name.empty()) complaint = Read(line, ": cannot execute binary file");
  if (complaint.name.empty()) complaint = Read(line, format);
  if (!complaint.name.empty()) {
    if (std::string words = OfFile(complaint.name, workspace, ENOEXEC); !words.empty()) return words;
    return Quote(complaint.name) +
           " is a program for another kind of machine, a damaged one, or a script without a first line like #!/bin/sh";
  }
  complaint = Read(line, ": cannot execute: Is a directory");
  if (complaint.name.empty()) complaint = Read(line, ": Is a directory");
  if (OfProgram(complaint))
    return Quote(complaint.name) + " is a folder, and no folder can be executed: name a program in it";
  complaint = Read(line, ": Permission denied");
  if (!OfProgram(complaint)) return {};
  if (std::string words = OfFile(complaint.name, workspace, EACCES); !words.empty()) return words;
  return Quote(complaint.name) +
         " may not be executed: `git update-index --chmod=+x FILE`, or start it as `sh FILE`; a folder cannot be "
         "executed, nor a file on a file system that is mounted noexec";
}

}  // namespace

std::string NotFoundInWords(std::string_view log, std::string_view workspace) {
  if (std::string words = OfScript(log, workspace); !words.empty()) return words;
  return OfLastLine(log, [&](std::string_view line) { return NotFoundByLine(line, workspace); });
}

std::string NotExecutableInWords(std::string_view log, std::string_view workspace) {
  if (std::string words = OfScript(log, workspace); !words.empty()) return words;
  return OfLastLine(log, [&](std::string_view line) { return NotExecutableByLine(line, workspace); });
}

std::string FailureInWords(std::string_view log, std::string_view workspace) {
  if (std::string words = OfScript(log, workspace); !words.empty()) return words;
  return OfLastLine(log, OfFailure);
}

bool SaysSignal(std::string_view log, int number) {
  const char* const description = ::sigdescr_np(number);
  if (description == nullptr || number == SIGPIPE) return false;  // Programs say "Broken pipe" of EPIPE, too.
  const std::string name = description;
  // "bash: line 1:  4242 Killed   sleep 9" or, by dash, "Killed" alone
  const std::string words = OfLastLine(log, [&](std::string_view line) {
    const std::size_t at = line.find(name);
    const bool alone = line == name || line == name + " (core dumped)";
    const bool by_bash = at != std::string_view::npos && at > 0 && line[at - 1] == ' ' && Has(line, ": line ");
    return alone || by_bash ? name : std::string();
  });
  return !words.empty();
}

}  // namespace furrow::runner
