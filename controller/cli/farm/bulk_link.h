// A BulkLink waits for answers on the bulk channel. Only bulk_*.cpp use this header.
#pragma once

#include <chrono>

#include "controller/cli/farm/client.h"

namespace furrow::cli {

// A BulkLink is one conversation. After an error of Send or Next, broken() says whether a new conversation may succeed:
// the connection broke, and messages may be lost.
class BulkLink {
 public:
  explicit BulkLink(FarmClient& farm) : farm_(farm), generation_(farm.bulk_generation()) {}

  Status Send(const BulkRequest& request);
  Result<BulkReply> Next();
  bool broken() const { return broken_; }

 private:
  Status Pause(std::chrono::steady_clock::time_point since);

  FarmClient& farm_;
  std::uint64_t generation_;
  bool broken_ = false;
};

}  // namespace furrow::cli
