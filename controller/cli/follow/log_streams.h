// LogStreams read logs from the controller, many at once, each in order and without a gap, also over broken
// connections.
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
  std::uint64_t offset = 0;      // raw bytes
  std::uint32_t tail_lines = 0;  // not 0: read only the last lines and ignore `offset`
  bool follow = false;           // read until the log is whole
};

class LogStreams {
 public:
  struct Handlers {
    // Takes bytes of the stream that Open gave this name.
    std::function<void(std::uint64_t name, std::string_view bytes)> on_bytes;
    // Ends a stream: the log was read to its end (at raw offset `end`), or `status` says why not. Open may open the
    // stream again.
    std::function<void(std::uint64_t name, std::uint64_t end, Status status)> on_end;
  };

  LogStreams(FarmClient& farm, Handlers handlers) : farm_(farm), handlers_(std::move(handlers)) {}

  void Open(std::uint64_t name, const LogWish& wish);
  void Close(std::uint64_t name);  // No handler is called for the stream any more.
  std::size_t count() const { return streams_.size(); }
  bool Has(std::uint64_t name) const { return streams_.contains(name); }

  // Handles the messages that have arrived, and asks again where a connection broke. Never waits.
  void Turn();

 private:
  struct Stream {
    LogWish wish;  // with the offset and tail_lines to ask for next
    std::uint64_t request = 0;
    bool asked = false;  // The request was sent on this connection.
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
