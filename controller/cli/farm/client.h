// A client's two connections to the controller. They come back by themselves when the controller does, also at
// another address (farm.json is read again); what was asked and not answered is then asked again.
// One thread.
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
  std::chrono::milliseconds connect{3'000};  // without any connection
  std::chrono::milliseconds answer{60'000};  // in all
};

class FarmClient {
 public:
  using Locate = std::function<Result<FarmAddress>()>;

  // Returns at once; whether the controller is there shows at the first Ask. Errors as `locate`'s.
  static Result<std::unique_ptr<FarmClient>> Open(Locate locate);
  ~FarmClient();

  // Sends a request and waits for its answer; a request that is lost with a connection is sent again, so it must be
  // one that may arrive twice (all do). kUnavailable: no controller, or no answer; the message names the address and
  // what to do. A Failure comes back as an error, its diagnostics as lines of the message; one that says
  // kUnavailable as kRejected, see exit_status.h.
  Result<ClientReply> AskAny(const ClientRequest& request, AskPatience patience);
  template <class Reply>
  Result<Reply> Ask(const ClientRequest& request, AskPatience patience = {}) {
    FURROW_ASSIGN(ClientReply reply, AskAny(request, patience));
    if (auto* wanted = std::get_if<Reply>(&reply)) return std::move(*wanted);
    return Fail(Errc::kInternal,
                "the controller's answer is of another kind than the question: is it another version?");
  }

  // The parts that following a run is made of: nothing waits here.
  std::uint64_t Send(const ClientRequest& request);  // the number that its answers carry
  // An answer that cannot be read comes as a Failure to request 0, a request that cannot be sent as one to itself.
  std::optional<std::pair<std::uint64_t, ClientReply>> Receive();
  bool SendBulk(const BulkRequest& request);  // false: the queue is full, try again after Wait
  // An answer that cannot be read comes as a BulkError about nothing.
  std::optional<BulkReply> ReceiveBulk();

  // Count the connections there have been, 0: none yet. What was asked under another number may be forgotten.
  std::uint64_t control_generation();
  std::uint64_t bulk_generation();

  // For how long there has been no control connection; zero while there is one.
  std::chrono::milliseconds AwayFor();
  bool Refused();
  // What to tell a person about a controller that is not there or refuses us.
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
  std::deque<std::pair<std::uint64_t, ClientReply>> unsent_;  // what Receive says of requests that could not be sent
  std::chrono::steady_clock::time_point seen_;                // when there was a control connection last
  std::chrono::steady_clock::time_point looked_;              // for the address
};

// A Failure as AskAny returns it.
Error ErrorOf(const Failure& failure);

}  // namespace furrow::cli
