// Reads the metrics that a job writes: a file of JSON lines, {"step": 10, "loss": 0.25, …}, that grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_io.h"
#include "schemas/agent.h"

namespace furrow {

// One line. Every number but "step" is a value; nullopt: no JSON object, or none with a value.
std::optional<MetricLine> ParseMetricLine(std::string_view line);

class MetricsReader {
 public:
  // Of the file's metrics the first `done` are passed over. An empty path: there are none.
  MetricsReader(std::string path, std::uint64_t done) : path_(std::move(path)), pass_over_(done), next_(done) {}

  // Whole lines that were written since the last call, at most kMaxLinesAtOnce metrics; with `last` the end of the
  // file ends a line too. Nothing while there is no file. `first()` is the index of the first one returned.
  static constexpr std::size_t kMaxLinesAtOnce = 1000;
  std::vector<MetricLine> Read(bool last);
  std::uint64_t first() const { return first_; }
  std::uint64_t skipped() const { return skipped_; }  // lines so far that were no metrics

 private:
  const std::string path_;
  FileHandle file_;
  std::uint64_t offset_ = 0;     // in the file, of the first byte that is not in pending_
  std::string pending_;          // read, not yet taken apart
  bool too_long_ = false;        // within a line that is longer than allowed
  std::uint64_t pass_over_ = 0;  // metrics still to be passed over
  std::uint64_t next_ = 0;       // index of the next metric to be returned
  std::uint64_t first_ = 0;
  std::uint64_t skipped_ = 0;
};

}  // namespace furrow
