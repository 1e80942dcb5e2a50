// A bench's connections to a running farm: what a client is, with nothing between it and the wire that could cost time.
// Whatever fails ends the program with a message: a bench has nothing to recover.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/transport/transport.h"
#include "schemas/bulk.h"
#include "schemas/client.h"

namespace furrow::bench {

[[noreturn]] void Die(const std::string& why);

template <class T>
T Must(Result<T> result) {
  if (!result) Die(result.error().message);
  return std::move(*result);
}

using Clock = std::chrono::steady_clock;
double SecondsSince(Clock::time_point begin);

// A new submission of this furrow.yaml, without sources.
Submit MakeSubmit(const std::string& pipeline_text);

class FarmLink {
 public:
  // The farm that runs in this state folder, as its local client. Returns when the controller has answered.
  explicit FarmLink(const std::filesystem::path& state);

  std::uint64_t Send(const ClientRequest& request);
  // The next answer, whichever request it is for; waits for it.
  std::pair<std::uint64_t, ClientReply> Next();
  // The next answer to this request; others are dropped, a Failure ends the program.
  ClientReply NextOf(std::uint64_t request);

  // Submits and watches until the run has ended and that is durable.
  RunSummary Run(const Submit& submit);

  void SendBulk(const BulkRequest& request);
  BulkReply NextBulk();

  Context& context() { return context_; }
  const ChannelOptions& bulk_options() const { return bulk_options_; }

 private:
  Context context_;
  ChannelOptions bulk_options_;
  std::unique_ptr<Channel> control_;
  std::unique_ptr<Channel> bulk_;
  Poller poller_;
  std::uint64_t last_ = 0;
};

}  // namespace furrow::bench
