// The file a job's metrics go to: one JSON object a line, each line written whole as it happens.
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
  MetricsLine& Add(std::string_view name, double value);  // shortest text that reads back the same
  std::string Text() const { return text_ + "}"; }

 private:
  void Name(std::string_view name);
  std::string text_ = "{";
};

// Owns the open file. Not for more than one thread.
class MetricsFile {
 public:
  // Opens `path` for appending, making it if it is not there; an empty path: lines go nowhere.
  static Result<MetricsFile> Open(const std::string& path);
  MetricsFile(MetricsFile&& other) noexcept;
  MetricsFile& operator=(MetricsFile&&) = delete;
  ~MetricsFile();

  // Appends one line; a reader sees all of it or nothing.
  Status Write(const MetricsLine& line);

 private:
  MetricsFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;  // -1: nowhere
};

}  // namespace furrow::steps
