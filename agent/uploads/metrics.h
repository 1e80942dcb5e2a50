// Reads the metrics that a job writes: a file of JSON lines, {"step": 10, "loss": 0.25, …}, that grows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_io.h"
#include "schemas/agent.h"

namespace furrow {

struct ParsedMetricLine {
  MetricLine line;    // without values: there is nothing to keep
  std::string wrong;  // what was left out of it, as the end of a sentence: "is no JSON object"; empty: nothing
};

// Every number but "step" is a value.
ParsedMetricLine ParseMetricLine(std::string_view line);

class MetricsReader {
 public:
  // Of the file's metrics the first `done` are passed over. An empty path: there are none.
  MetricsReader(std::string path, std::uint64_t done) : path_(std::move(path)), pass_over_(done), next_(done) {}

  // Whole lines that were written since the last call, as many as one message takes; with `last` the end of the file
  // ends a line too. Nothing while there is no file. `first()` is the index of the first one returned.
  static constexpr std::size_t kMaxLinesAtOnce = 1000;
  std::vector<MetricLine> Read(bool last);
  std::uint64_t first() const { return first_; }
  // Whether the last Read ended at its limit rather than at the end of the file.
  bool more() const { return more_; }
  // What of the file so far was left out, for people: of how many lines, and what is wrong with the first. Empty:
  // nothing.
  std::string LeftOut() const;

 private:
  void Take(std::string_view line, std::vector<MetricLine>& metrics);
  bool HasRoom(const std::vector<MetricLine>& metrics) const;
  void LeaveOut(const std::string& why);

  const std::string path_;
  FileHandle file_;
  std::uint64_t offset_ = 0;  // in the file, of the first byte that is not in pending_
  std::string pending_;       // read, not yet taken apart
  bool more_ = false;
  std::size_t bytes_ = 0;        // of the metrics that this Read returns
  bool too_long_ = false;        // within a line that is longer than allowed
  std::uint64_t pass_over_ = 0;  // metrics still to be passed over
  std::uint64_t next_ = 0;       // index of the next metric to be returned
  std::uint64_t first_ = 0;
  std::uint64_t line_ = 0;      // of the file, from 1
  std::uint64_t left_out_ = 0;  // lines so far that were left out
  std::string complaint_;       // about the first of them
  std::set<std::string, std::less<>> names_;
};

}  // namespace furrow
