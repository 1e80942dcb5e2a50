// What each of our programs does before and after its own work, so that nothing that it was started with (closed
// streams, ignored signals, an empty argv, tight limits, a full stdout) makes it crash or end in silence.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

namespace furrow {

// What a program is called in front of its messages, and the least that it needs of the limits that ulimit sets. libzmq
// aborts the process where a limit stops it, so that less is refused in words before anything begins.
struct Program {
  const char* name;
  std::uint64_t files;   // open files (-n)
  std::uint64_t memory;  // bytes of address space (-v)
  unsigned threads;      // at once (-u)
};

// Calls `main` with a usable process around it and returns the exit status.
// - Descriptors 0 to 2 are open, so that no file of ours gets their numbers: what was closed is /dev/null, and writing
//   to a stdout that was closed fails.
// - No signal is blocked, and SIGCHLD, SIGTERM and SIGABRT have their default; what nohup ignores stays ignored.
//   SIGXFSZ is ignored.
// - argv[0] is there.
// - What `main` or a thread throws is told in words, with status 1.
// - If something could not be written to stdout, that is told, and a status of 0 becomes 1.
int RunMain(const Program& program, int argc, char** argv, int (*main)(int, char**));

// Tells RunMain that a write to stdout failed with this errno. Only the first one counts.
void NoteOutputError(int number);
// The errno of the first write to stdout that failed; 0: none has.
int OutputError();

// The umask that the program was started with. A program that has files for itself alone replaces its umask by 077
// (MakeFilesPrivate) and gives this one to what it starts for others.
mode_t InitialUmask();
void MakeFilesPrivate();

// Writes every line of `text` to stderr, with the program's name in front, safe for a terminal.
void Say(std::string_view text);

}  // namespace furrow
