// Says of a file that is no program for this machine what it is instead, by its first bytes, and what to do.
#pragma once

#include <string>

namespace furrow::runner {

inline constexpr const char* kWindowsLineEnds =
    "a script has Windows line ends (CRLF), and its lines end with a character that no program is named with: `sed -i "
    "'s/\\r$//' FILE`, and `*.sh text eol=lf` in .gitattributes";

inline constexpr const char* kByteOrderMark =
    "a script begins with a byte order mark (BOM), before which no system sees its #! line: save it without one, as "
    "`sed -i '1s/^\\xef\\xbb\\xbf//' FILE` does";

// Returns why execve, which failed with `number`, does not execute the file `path`, and what to do; empty: the file
// itself does not tell, or is not there.
std::string WhyNotExecuted(const std::string& path, int number);

// Returns whether the file is what git has in place of a file of git-LFS that was not fetched.
bool IsLfsPointerFile(const std::string& path);

}  // namespace furrow::runner
