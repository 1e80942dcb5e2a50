#include "agent/torch/metrics_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace furrow::steps {

void MetricsLine::Name(std::string_view name) {
  if (text_.size() > 1) text_ += ',';
  text_.append("\"").append(name).append("\":");
}

MetricsLine& MetricsLine::Add(std::string_view name, std::int64_t value) {
  Name(name);
  text_ += std::to_string(value);
  return *this;
}

MetricsLine& MetricsLine::Add(std::string_view name, double value) {
  Name(name);
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  text_.append(digits, end);
  return *this;
}

Result<MetricsFile> MetricsFile::Open(const std::string& path) {
  if (path.empty()) return MetricsFile(path, -1);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return tl::unexpected(ErrnoError("metrics file " + path + " (FURROW_METRICS)", errno));
  return MetricsFile(path, fd);
}

MetricsFile::MetricsFile(MetricsFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

MetricsFile::~MetricsFile() {
  if (fd_ >= 0) close(fd_);
}

Status MetricsFile::Write(const MetricsLine& line) {
  if (fd_ < 0) return {};
  const std::string text = line.Text() + "\n";
  ssize_t written;
  do written = write(fd_, text.data(), text.size());
  while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(text.size())) return {};
  return tl::unexpected(ErrnoError("metrics file " + path_ + " (FURROW_METRICS)", written < 0 ? errno : ENOSPC));
}

}  // namespace furrow::steps
