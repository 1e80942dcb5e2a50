// Reads logs from the controller, many at once, each in order and without a gap, also over broken connections.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>

#include "common/base/ids.h"
#include "controller/cli/farm/client.h"

namespace furrow::cli {

struct LogWish {
  RunId run{};
  AttemptRef attempt;
  std::uint64_t offset = 0;      // in raw bytes
  std::uint32_t tail_lines = 0;  // not 0: only the last lines, instead of `offset`
  bool follow = false;           // until the log is whole
};

class LogStreams {
 public:
  struct Handlers {
    // Bytes of the stream that Open gave this name.
    std::function<void(std::uint64_t name, std::string_view bytes)> on_bytes;
    // The stream is over: read to its end (at raw offset `end`), or why not. It can be opened again.
    std::function<void(std::uint64_t name, std::uint64_t end, Status status)> on_end;
  };

  LogStreams(FarmClient& farm, Handlers handlers) : farm_(farm), handlers_(std::move(handlers)) {}

  void Open(std::uint64_t name, const LogWish& wish);
  void Close(std::uint64_t name);  // no handler is called for it any more
  std::size_t count() const { return streams_.size(); }
  bool Has(std::uint64_t name) const { return streams_.contains(name); }

  // Takes in what has arrived, asks again where a connection broke. Does not wait.
  void Turn();

 private:
  struct Stream {
    LogWish wish;  // offset and tail_lines as to be asked again
    std::uint64_t request = 0;
    bool asked = false;  // on this connection
  };

  void Ask(std::uint64_t name, Stream& stream);
  void On(const LogData& data);
  void On(const BulkError& error);
  void EndAll(const BulkError& error);

  FarmClient& farm_;
  const Handlers handlers_;
  std::map<std::uint64_t, Stream> streams_;            // by name
  std::map<std::uint64_t, std::uint64_t> by_request_;  // request → name
  std::uint64_t last_request_ = 0;
  std::uint64_t generation_ = 0;
};

}  // namespace furrow::cli
