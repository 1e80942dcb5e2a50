// Writes a job's metrics to a file: one JSON object in a line, each line written whole and at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow::steps {

// Builds {"step":100,"loss":0.31}. Names must need no escaping; numbers must be finite.
class MetricsLine {
 public:
  MetricsLine& Add(std::string_view name, std::int64_t value);
  MetricsLine& Add(std::string_view name, double value);  // writes the shortest text that reads back as the same number
  std::string Text() const { return text_ + "}"; }

 private:
  void Name(std::string_view name);
  std::string text_ = "{";
};

// Owns the open file. Only one thread may use the object.
class MetricsFile {
 public:
  // Opens `path` for appending and makes a missing file. With an empty path the lines are dropped.
  static Result<MetricsFile> Open(const std::string& path);
  MetricsFile(MetricsFile&& other) noexcept;
  MetricsFile& operator=(MetricsFile&&) = delete;
  ~MetricsFile();

  // Appends one line; a reader sees the whole line or nothing.
  Status Write(const MetricsLine& line);

 private:
  MetricsFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;  // -1: no file
};

}  // namespace furrow::steps
