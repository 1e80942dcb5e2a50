// LogStreams read logs from the controller, many at once, each in order and without a gap, also over broken
// connections.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "controller/cli/farm/client.h"

namespace furrow::cli {

struct LogWish {
  RunId run{};
  AttemptRef attempt;
  std::uint64_t offset = 0;      // raw bytes
  std::uint32_t tail_lines = 0;  // not 0: read only the last lines and ignore `offset`
  bool follow = false;           // read until the log is whole
};

// LogNews is what came of one stream.
struct LogNews {
  std::uint64_t name = 0;  // the name that Open gave the stream
  std::string bytes;
  bool ended = false;     // The stream is over: Open may open it again.
  std::uint64_t end = 0;  // if it ended: the raw offset
  Status status;          // if it ended: the log was read to its end, or why not
};

class LogStreams {
 public:
  explicit LogStreams(FarmClient& farm) : farm_(farm) {}

  void Open(std::uint64_t name, const LogWish& wish);
  void Close(std::uint64_t name);  // Next returns nothing of the stream any more.
  std::size_t count() const { return streams_.size(); }

  // Returns what came next, and asks again where a connection broke; nullopt: nothing has arrived. Never waits. The
  // caller calls Next until there is nothing, and may open and close streams in between.
  std::optional<LogNews> Next();

 private:
  struct Stream {
    LogWish wish;  // with the offset and tail_lines to ask for next
    std::uint64_t request = 0;
    bool asked = false;  // The request was sent on this connection.
  };

  void Ask(std::uint64_t name, Stream& stream);
  void AskAgain();
  std::optional<LogNews> Take(LogData& data);
  std::optional<LogNews> Take(const BulkError& error);
  LogNews End(std::uint64_t name, Status status);
  void EndAll(const BulkError& error);

  FarmClient& farm_;
  std::map<std::uint64_t, Stream> streams_;            // by name
  std::map<std::uint64_t, std::uint64_t> by_request_;  // request → name
  std::deque<LogNews> ended_;                          // ends that Next has yet to return
  std::uint64_t last_request_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace furrow::cli
