#include "controller/cli/show/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/base/program.h"

namespace furrow::cli {
namespace {

constexpr std::size_t kLongestColour = 32;  // the longest SGR sequence, in bytes
constexpr char kC1Lead = '\xC2';            // begins U+0080 to U+009F in UTF-8

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
    if (c == '\033' || c == '\r' || c == kC1Lead)
      held_ = c;
    else
      out += IsControl(c) ? Visible(c) : std::string(1, c);
    return;
  }
  if (held_[0] == '\r') {  // A progress line that would be overwritten becomes a separate line.
    held_.clear();
    if (c != '\n') out += '\n';
    return Take(c, out);
  }
  if (held_[0] == kC1Lead) {
    held_.clear();
    const auto value = static_cast<unsigned char>(c);
    if (value >= 0x80 && value < 0xA0) {  // These are the 8-bit forms of escape sequences.
      out += '?';
      return;
    }
    out += kC1Lead;
    return Take(c, out);
  }
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

}  // namespace furrow::cli
