// Says what the last lines of a job's output complain about, with the next thing to do: what shells, loaders and the C
// library print when a program cannot be found, executed or served.
#pragma once

#include <string>
#include <string_view>

namespace furrow::runner {

// Each returns a sentence or two; empty: no line complains of that. `workspace` is the folder where a file that is
// named may be looked at.
std::string NotFoundInWords(std::string_view log, std::string_view workspace);       // of a step that ended with 127
std::string NotExecutableInWords(std::string_view log, std::string_view workspace);  // of one that ended with 126
std::string FailureInWords(std::string_view log, std::string_view workspace);        // of any other that failed

// Returns whether a shell says in the log that signal `number` has ended a program.
bool SaysSignal(std::string_view log, int number);

}  // namespace furrow::runner
