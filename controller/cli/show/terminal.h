// This header describes the program's terminal, if there is one.
#pragma once

#include <termios.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace furrow::cli {

struct Terminal {
  bool in = false;      // stdin is a terminal
  bool out = false;     // stdout is a terminal
  bool err = false;     // stderr is a terminal
  bool colour = false;  // colours on stdout; off for NO_COLOR and dumb terminals
};
Terminal DetectTerminal();

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};
TerminalSize SizeOfTerminal();

// While a SingleKeys object lives, the program can read a key that is pressed on stdin at once, without Enter, and the
// key is not shown. Ctrl-C stays a signal. The object does nothing where stdin is no terminal.
class SingleKeys {
 public:
  SingleKeys();
  ~SingleKeys();
  SingleKeys(const SingleKeys&) = delete;
  SingleKeys& operator=(const SingleKeys&) = delete;

 private:
  std::optional<termios> before_;
};

// Both functions write the whole text to the descriptor at once. A reader that is gone ends the program as SIGPIPE
// would. What stdout does not take is told at the end, and is an error (common/base/program.h). Messages to a person go
// through Say there instead of WriteErr.
void WriteOut(std::string_view text);
void WriteErr(std::string_view text);

// A LogCleaner makes log text harmless for a terminal: of its escape sequences only colours (SGR) pass, and other
// control characters except newline and tab become visible. Bytes that are not UTF-8, and characters that turn the
// direction of what follows (U+202E), become '?'. Sequences may be split between calls.
class LogCleaner {
 public:
  std::string Clean(std::string_view text);

 private:
  void Take(char c, std::string& out);
  void TakeByte(char c, std::string& out);      // of a character beyond ASCII
  void TakeInEscape(char c, std::string& out);  // behind an ESC

  std::string held_;  // the beginning of a possible escape sequence, character or line end
};

// A ColourSpan knows which colours a cleaned text has switched on. It lets every piece that is written end without
// colours and the next one go on in them, so that the terminal is left as it was whenever the program ends.
class ColourSpan {
 public:
  // Returns `text` in the colours so far, and without colours behind it.
  std::string Wrap(std::string_view text);

 private:
  void Take(std::string_view sequence);  // without ESC [ and m

  std::string on_;  // the sequences since the last reset
};

}  // namespace furrow::cli
