#include "controller/cli/show/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "common/base/program.h"

namespace furrow::cli {
namespace {

constexpr std::size_t kLongestColour = 32;  // the longest SGR sequence, in bytes
constexpr std::size_t kMostColours = 256;   // bytes of the sequences that are on at once

void Write(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote > 0) {
      text.remove_prefix(static_cast<std::size_t>(wrote));
    } else if (errno == EAGAIN) {  // Another program made the terminal non-blocking.
      pollfd writable{fd, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      if (errno == EPIPE) std::_Exit(128 + SIGPIPE);
      if (fd == STDOUT_FILENO) NoteOutputError(errno);
      return;
    }
  }
}

// Returns the visible form of a control character.
std::string Visible(char c) {
  const auto value = static_cast<unsigned char>(c);
  if (value == 0x7F) return "^?";
  return {'^', static_cast<char>(value + 0x40)};
}

bool IsControl(char c) {
  const auto value = static_cast<unsigned char>(c);
  return (value < 0x20 && c != '\n' && c != '\t') || value == 0x7F;
}

// Returns whether a character beyond ASCII, as UTF-8 of the right length, only shows something.
bool IsHarmless(std::string_view bytes) {
  const auto bits = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(bytes[i]) & 0x3F); };
  char32_t c = 0;
  if (bytes.size() == 2) c = (static_cast<unsigned char>(bytes[0]) & 0x1Fu) << 6 | bits(1);
  if (bytes.size() == 3) c = (static_cast<unsigned char>(bytes[0]) & 0x0Fu) << 12 | bits(1) << 6 | bits(2);
  if (bytes.size() == 4)
    c = (static_cast<unsigned char>(bytes[0]) & 0x07u) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3);
  const bool overlong = (bytes.size() == 3 && c < 0x800) || (bytes.size() == 4 && c < 0x10000);
  const bool no_character = overlong || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF;
  const bool control = c < 0xA0 || c == 0x2028 || c == 0x2029;
  const bool turns =
      c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return !no_character && !control && !turns;
}

}  // namespace

Terminal DetectTerminal() {
  Terminal terminal{::isatty(STDIN_FILENO) == 1, ::isatty(STDOUT_FILENO) == 1, ::isatty(STDERR_FILENO) == 1, false};
  const char* kind = std::getenv("TERM");
  const char* no_colour = std::getenv("NO_COLOR");
  terminal.colour = terminal.out && kind != nullptr && std::string_view(kind) != "dumb" &&
                    (no_colour == nullptr || *no_colour == '\0');
  return terminal;
}

SingleKeys::SingleKeys() {
  termios now{};
  if (::tcgetattr(STDIN_FILENO, &now) != 0) return;
  before_ = now;
  now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  now.c_cc[VMIN] = 1;
  now.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

SingleKeys::~SingleKeys() {
  if (before_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

TerminalSize SizeOfTerminal() {
  winsize size{};
  for (const int fd : {STDERR_FILENO, STDOUT_FILENO})
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
      return {size.ws_col, std::max<std::size_t>(size.ws_row, 4)};
  return {};
}

void WriteOut(std::string_view text) {
  Write(STDOUT_FILENO, text);
}
void WriteErr(std::string_view text) {
  Write(STDERR_FILENO, text);
}

std::string LogCleaner::Clean(std::string_view text) {
  std::string out;
  for (const char c : text) Take(c, out);
  return out;
}

void LogCleaner::Take(char c, std::string& out) {
  if (held_.empty()) {
    if (c == '\033' || c == '\r')
      held_ = c;
    else if (static_cast<unsigned char>(c) >= 0x80)
      TakeByte(c, out);
    else
      out += IsControl(c) ? Visible(c) : std::string(1, c);
    return;
  }
  if (held_[0] == '\033') return TakeInEscape(c, out);
  if (held_[0] != '\r') return TakeByte(c, out);
  held_.clear();
  if (c != '\n') out += '\n';  // A progress line that would be overwritten becomes a separate line.
  Take(c, out);
}

void LogCleaner::TakeByte(char c, std::string& out) {
  const auto value = static_cast<unsigned char>(c);
  const bool follows = value >= 0x80 && value < 0xC0;
  if (held_.empty()) {
    if (value >= 0xC2 && value <= 0xF4)
      held_ = c;
    else
      out += '?';
    return;
  }
  if (!follows) {
    held_.clear();
    out += '?';
    return Take(c, out);
  }
  held_ += c;
  const auto lead = static_cast<unsigned char>(held_[0]);
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (held_.size() < length) return;
  out += IsHarmless(held_) ? std::exchange(held_, {}) : (held_.clear(), std::string("?"));
}

void LogCleaner::TakeInEscape(char c, std::string& out) {
  const bool opened = held_.size() > 1;
  const bool inside = (c >= '0' && c <= '9') || c == ';' || c == ':';
  if ((!opened && c == '[') || (opened && inside && held_.size() < kLongestColour)) {
    held_ += c;
  } else if (opened && c == 'm') {
    out += held_ + c;
    held_.clear();
  } else {
    out += "^[" + held_.substr(1);  // A sequence other than a colour is shown, not executed.
    held_.clear();
    Take(c, out);
  }
}

void ColourSpan::Take(std::string_view sequence) {
  // A sequence resets what was before it if one of its parameters is 0 or empty. The parameters behind 38, 48 and 58
  // belong to these: 5 and a number, or 2 and three numbers.
  int skip = 0;
  bool reset = false;
  bool on = false;
  std::string_view before;
  for (std::string_view rest = sequence;;) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view one = rest.substr(0, end);
    if (skip > 0) {
      --skip;
    } else if ((before == "38" || before == "48" || before == "58") && (one == "5" || one == "2")) {
      skip = one == "5" ? 1 : 3;
    } else if (one.find_first_not_of('0') == std::string_view::npos) {
      reset = true;
      on = false;
    } else {
      on = true;
    }
    before = one;
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  if (reset) on_.clear();
  if (on && on_.size() < kMostColours) on_ += "\033[" + std::string(sequence) + "m";
}

std::string ColourSpan::Wrap(std::string_view text) {
  std::string out = on_;
  for (std::size_t at = text.find("\033["); at != std::string_view::npos; at = text.find("\033[", at + 1)) {
    const std::size_t end = text.find('m', at);
    if (end == std::string_view::npos) break;
    Take(text.substr(at + 2, end - at - 2));
  }
  out += text;
  if (!on_.empty()) out += "\033[0m";
  return out;
}

}  // namespace furrow::cli
