#include "common/base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/text.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "common/base/line_limit.h"

namespace furrow::log {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kInfo: return spdlog::level::info;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Prefixes a line with "<6>" and so on, from which journald learns the line's priority (sd-daemon(3)).
class PriorityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string_view prefix = "<6>";
    if (message.level <= spdlog::level::debug) prefix = "<7>";
    if (message.level == spdlog::level::warn) prefix = "<4>";
    if (message.level >= spdlog::level::err) prefix = "<3>";
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PriorityFlag>(); }
};

std::unique_ptr<spdlog::formatter> MakeFormatter(bool journal) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (journal) {
    formatter->add_flag<PriorityFlag>('*').set_pattern("%*%v");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%-7l%$ %n: %v");
  }
  return formatter;
}

// Every child inherits JOURNAL_STREAM, so the variable counts only if stderr still is that very stream.
bool StderrIsJournal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (stream == nullptr || fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

// Writes to another sink, which may be replaced while threads log.
class SwitchSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit SwitchSink(spdlog::sink_ptr to) : to_(std::move(to)) {}

  void Switch(spdlog::sink_ptr to) {
    std::lock_guard lock(mutex_);
    to_ = std::move(to);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override { to_->log(message); }
  void flush_() override { to_->flush(); }

 private:
  spdlog::sink_ptr to_;
};

spdlog::sink_ptr MakeStderrSink() {
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  sink->set_formatter(MakeFormatter(StderrIsJournal()));
  return sink;
}

// Holds a logger and the sink that it writes to.
struct Output {
  std::shared_ptr<SwitchSink> sink;
  spdlog::logger logger;

  Output(std::string program, spdlog::sink_ptr to)
      : sink(std::make_shared<SwitchSink>(std::move(to))), logger(std::move(program), sink) {
    logger.set_level(spdlog::level::trace);  // Enabled filters before a text is made
    logger.flush_on(spdlog::level::trace);   // a line must not wait in a buffer when the process is killed
  }
};

std::unique_ptr<Output>& TheOutput() {
  // The output is never destroyed, because threads may still log while the process exits.
  static auto& output = *new std::unique_ptr<Output>(std::make_unique<Output>("furrow", MakeStderrSink()));
  return output;
}

std::atomic<Level> current_level{Level::kInfo};

constexpr unsigned kSameLines = 5;

// The limit and its lock live as long as the output.
struct Limit {
  std::mutex mutex;
  LineLimit lines;
  std::atomic<LineLimit::Time> due{LineLimit::Time::max()};
};
Limit& TheLimit() {
  static auto& limit = *new Limit;
  return limit;
}

// Says whether the line is to be written; without a subject, the line itself is what counts.
bool Admits(const void* site, std::optional<std::string_view> subject, std::string_view text) {
  Limit& limit = TheLimit();
  std::lock_guard lock(limit.mutex);
  const bool admitted = limit.lines.Admits(std::chrono::steady_clock::now(), site, subject.value_or(text), text,
                                           subject ? 1 : kSameLines);
  limit.due = limit.lines.NextDue();
  return admitted;
}

// Makes the file with its folders. spdlog makes them too, but lets every user read the file.
Status TouchFile(const std::string& path) {
  std::error_code error;
  const auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return tl::unexpected(ErrnoError("cannot make the log's folder " + folder.string(), error.value()));
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open the log " + path, errno));
  close(fd);
  return {};
}

Result<spdlog::sink_ptr> OpenSink(const std::string& file) {
  if (file.empty()) return MakeStderrSink();
  FURROW_TRY(TouchFile(file));
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    sink->set_formatter(MakeFormatter(/*journal=*/false));
    return sink;
  } catch (const std::exception& e) {
    return Fail(Errc::kUnavailable, "cannot open the log " + file + ": " + e.what());
  }
}

void AppendEscaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, Utf8CharacterSize(text)));
    text.remove_prefix(character.size());
    if (character == "\n") {
      out += "\n    ";
    } else if (PlainLines(character) == character) {
      out += character;
    } else {
      for (const char c : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace

Status SetUp(const Settings& settings) {
  FURROW_ASSIGN(spdlog::sink_ptr sink, OpenSink(settings.file));
  TheOutput() = std::make_unique<Output>(settings.program, std::move(sink));
  SetLevel(settings.level);
  return {};
}

Status Redirect(const std::string& file) {
  FURROW_ASSIGN(spdlog::sink_ptr sink, OpenSink(file));
  TheOutput()->sink->Switch(std::move(sink));
  return {};
}

void SetLevel(Level level) {
  current_level.store(level, std::memory_order_relaxed);
}

bool Enabled(Level level) {
  return level >= current_level.load(std::memory_order_relaxed);
}

Result<Level> ParseLevel(std::string_view word) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (word == LevelName(level)) return level;
  }
  return Fail(Errc::kInvalid, fmt::format("no log level '{}': use debug, info, warning or error", word));
}

const char* LevelName(Level level) {
  switch (level) {
    case Level::kDebug: return "debug";
    case Level::kInfo: return "info";
    case Level::kWarning: return "warning";
    case Level::kError: return "error";
  }
  return "error";
}

void TellKeptBack(bool all) {
  Limit& limit = TheLimit();
  const auto now = std::chrono::steady_clock::now();
  if (!all && now < limit.due.load()) return;
  try {
    std::vector<std::string> lines;
    {
      std::lock_guard lock(limit.mutex);
      lines = limit.lines.TakeCounts(now, all);
      limit.due = limit.lines.NextDue();
    }
    for (const std::string& line : lines)
      TheOutput()->logger.log(ToSpdlog(Level::kWarning), spdlog::string_view_t(line));
  } catch (const std::exception&) {
    // Memory ran out: the numbers are lost.
  }
}

namespace {

void WriteLimited(Level level, std::optional<std::string_view> subject, fmt::string_view format,
                  fmt::format_args arguments) {
  TellKeptBack();
  try {
    std::string text;
    AppendEscaped(text, fmt::vformat(format, arguments));
    if (level >= Level::kWarning && !Admits(format.data(), subject, text)) return;
    TheOutput()->logger.log(ToSpdlog(level), spdlog::string_view_t(text));
  } catch (const std::exception&) {
    // Memory ran out, or an argument's formatter threw: the line is lost, and the caller goes on.
  }
}

}  // namespace

void Write(Level level, fmt::string_view format, fmt::format_args arguments) {
  WriteLimited(level, std::nullopt, format, arguments);
}

void WriteOf(std::string_view subject, fmt::string_view format, fmt::format_args arguments) {
  WriteLimited(Level::kWarning, subject, format, arguments);
}

}  // namespace furrow::log
