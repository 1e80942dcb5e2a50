// Reads the metrics that a job writes into a growing file of JSON lines: {"step": 10, "loss": 0.25, …}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/file_io.h"
#include "schemas/agent.h"

namespace furrow {

struct ParsedMetricLine {
  MetricLine line;    // A line without values is not kept.
  std::string wrong;  // why a part was left out, as the end of a sentence: "is no JSON object"; empty: all is kept
};

// Parses one line of the metrics file: every number but "step" is a value.
ParsedMetricLine ParseMetricLine(std::string_view line);

class MetricsReader {
 public:
  // Skips the first `done` metrics of the file. With an empty path there are no metrics.
  MetricsReader(std::string path, std::uint64_t done) : path_(std::move(path)), pass_over_(done), next_(done) {}

  // Returns the whole lines that were written since the last call, as many as one message takes; none if there is no
  // file. With `last` the end of the file ends a line, too. `first()` returns the index of the first returned line.
  // A file that was written anew, or that another took the place of, is read from its begin; of the lines that it had
  // before, those up to the first change do not count again, but with `last` the newest value of each metric is the
  // file's, even if it has been counted before.
  // Nothing is read behind the line with which an attempt would report more than it may.
  static constexpr std::size_t kMaxLinesAtOnce = 1000;
  std::vector<MetricLine> Read(bool last);
  std::uint64_t first() const { return first_; }
  // Returns whether the last Read ended at its limit rather than at the end of the file.
  bool more() const { return more_; }
  // Tells people of how many lines so far a part was left out, and the fault of the first such line, and where the
  // quota of the attempt cut the file, and what there is in place of a file. Empty: all is kept.
  std::string LeftOut() const;

 private:
  void Take(std::string_view line, std::vector<MetricLine>& metrics);
  bool HasRoom(const std::vector<MetricLine>& metrics) const;
  bool Ended() const { return beyond_quota_ != 0; }
  void LeaveOut(const std::string& why, std::string_view line);
  bool OpenCurrent();
  bool EndsAsRead(int fd) const;
  void BeginAgain();
  void PassOverHole();
  bool IsRepeated(std::string_view text);
  void Note(const MetricLine& line);
  void Keep(MetricLine line, std::vector<MetricLine>& metrics);
  void CountNewest(std::vector<MetricLine>& metrics);

  const std::string path_;
  FileHandle file_;
  std::uint64_t offset_ = 0;  // offset in the file up to which bytes were read into pending_
  std::string mark_;          // the last bytes before the offset
  std::string pending_;       // bytes that are read and not yet parsed
  bool more_ = false;
  std::size_t bytes_ = 0;        // bytes of the metrics that this Read returns
  bool too_long_ = false;        // The line at offset_ is longer than allowed.
  std::uint64_t pass_over_ = 0;  // number of metrics that are still to skip
  std::uint64_t next_ = 0;       // index of the next metric to return
  std::uint64_t first_ = 0;
  std::uint64_t line_ = 0;      // number of the line in the file, from 1
  std::uint64_t left_out_ = 0;  // number of lines so far that were left out in whole or in part
  std::string complaint_;       // fault of the first such line
  std::uint64_t kept_ = 0;      // number of lines so far that were kept, and their bytes on the wire
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t beyond_quota_ = 0;  // number of the line that was more than an attempt may report; 0: none yet
  struct Newest {
    double value = 0;
    std::int64_t step = 0;
  };
  std::map<std::string, double, std::less<>> counted_;  // the newest value of each metric that was kept
  std::map<std::string, Newest, std::less<>> in_file_;  // the newest values of a file that was written anew
  std::string no_file_;                                 // why the path cannot be read now; empty: it can
  bool rewritten_ = false;                              // The file is not the one that was there first.
  std::vector<std::size_t> seen_;                       // hashes of the file's lines so far
  std::vector<std::size_t> before_;                     // of those before the file was rewritten
  bool repeats_ = false;                                // So far a rewritten file has the lines that it had before.
};

}  // namespace furrow
