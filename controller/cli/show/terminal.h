// The terminal that the program stands in, if any.
#pragma once

#include <termios.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace furrow::cli {

struct Terminal {
  bool in = false;      // stdin is one
  bool out = false;     // stdout
  bool err = false;     // stderr
  bool colour = false;  // on stdout; off for NO_COLOR and dumb terminals
};
Terminal DetectTerminal();

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};
TerminalSize SizeOfTerminal();

// While it lives, a key that is pressed on stdin can be read at once, without Enter, and is not shown. Ctrl-C stays a
// signal. Nothing where stdin is no terminal.
class SingleKeys {
 public:
  SingleKeys();
  ~SingleKeys();
  SingleKeys(const SingleKeys&) = delete;
  SingleKeys& operator=(const SingleKeys&) = delete;

 private:
  std::optional<termios> before_;
};

// Everything to the descriptor, at once. A reader that is gone ends the program as SIGPIPE would.
void WriteOut(std::string_view text);
void WriteErr(std::string_view text);

// Makes log text harmless for a terminal: of its escape sequences only colours (SGR) pass, other control characters
// but newline and tab become visible. Sequences may be split between calls.
class LogCleaner {
 public:
  std::string Clean(std::string_view text);

 private:
  void Take(char c, std::string& out);

  std::string held_;  // the beginning of what may be an escape sequence or a line's end
};

}  // namespace furrow::cli
