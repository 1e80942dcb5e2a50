// A FarmClient is a client's two connections to the controller. They come back by themselves when the controller does,
// also at another address (farm.json is read again); requests without an answer are then sent again. One thread uses
// the class.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "common/base/error.h"
#include "common/transport/transport.h"
#include "controller/cli/farm/address.h"
#include "schemas/bulk.h"
#include "schemas/client.h"

namespace furrow::cli {

struct AskPatience {
  std::chrono::milliseconds connect{3'000};  // time without any connection
  std::chrono::milliseconds answer{60'000};  // time for the whole request
};

class FarmClient {
 public:
  using Locate = std::function<Result<FarmAddress>()>;

  // Returns at once; the first Ask shows whether the controller is there. Fails as `locate` does.
  static Result<std::unique_ptr<FarmClient>> Open(Locate locate);
  ~FarmClient();

  // Sends a request and waits for its answer. A request that is lost with a connection is sent again, so every request
  // may arrive twice. kUnavailable: there is no controller, or no answer; the message names the address and the remedy.
  // A Failure comes back as an error, with its diagnostics as lines of the message; a Failure of kUnavailable comes
  // back as kRejected, see exit_status.h.
  Result<ClientReply> AskAny(const ClientRequest& request, AskPatience patience);
  template <class Reply>
  Result<Reply> Ask(const ClientRequest& request, AskPatience patience = {}) {
    FURROW_ASSIGN(ClientReply reply, AskAny(request, patience));
    if (auto* wanted = std::get_if<Reply>(&reply)) return std::move(*wanted);
    return Fail(Errc::kInternal,
                "the controller's answer is of another kind than the question: is it another version?");
  }

  // Send, Receive, SendBulk and ReceiveBulk serve the follower of a run and never wait.
  std::uint64_t Send(const ClientRequest& request);  // Returns the number that the answers carry.
  // Returns the next answer. An unreadable answer becomes a Failure to request 0, a request that cannot be sent a
  // Failure to its own number.
  std::optional<std::pair<std::uint64_t, ClientReply>> Receive();
  bool SendBulk(const BulkRequest& request);  // false: the queue is full; try again after Wait
  // Returns the next answer. An unreadable answer becomes a BulkError about no request.
  std::optional<BulkReply> ReceiveBulk();

  // Both functions count the connections so far; 0: none yet. The controller may forget requests that were sent under
  // an earlier count.
  std::uint64_t control_generation();
  std::uint64_t bulk_generation();

  // Returns for how long there has been no control connection; zero while there is one.
  std::chrono::milliseconds AwayFor();
  bool Refused();
  // Returns the error for a person about a controller that is away or refuses this client.
  Error Away();

  // Waits for a message, a change of the connections, one of `fds` readable, or the timeout. May return early.
  void Wait(std::chrono::milliseconds timeout, std::initializer_list<int> fds = {});

 private:
  struct Line;

  FarmClient(Locate locate, FarmAddress address);
  Status OpenLine(std::unique_ptr<Line>& line, const std::string& where, std::size_t max_frame_bytes);
  void LookAgain();
  bool OpenBulk();

  Locate locate_;
  FarmAddress address_;
  Context context_;
  std::unique_ptr<Line> control_;
  std::unique_ptr<Line> bulk_;  // opened when first used
  std::uint64_t last_number_ = 0;
  std::deque<std::pair<std::uint64_t, ClientReply>> unsent_;  // failures of requests that were never sent
  std::chrono::steady_clock::time_point seen_;                // when a control connection was last there
  std::chrono::steady_clock::time_point looked_;              // when the address was last looked up
};

// Converts a Failure into the error that AskAny returns.
Error ErrorOf(const Failure& failure);

}  // namespace furrow::cli
