#include "controller/cli/farm/client.h"

#include <netdb.h>

#include "common/base/open_files.h"
#include "common/pipeline/pipeline.h"
#include "schemas/bulk.h"
#include "schemas/client.h"

#include <algorithm>

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kLookAgain = milliseconds(500);  // between two reads of farm.json while the controller is away
// An earlier refusal may pass, because the controller may be about to read the allowlist.
constexpr auto kRefusalIsFinal = milliseconds(1000);
constexpr unsigned kFilesOfALine = 2;  // a socket, and what libzmq needs beside it
constexpr int kBulkQueue = 4 * static_cast<int>(kBulkWindow);

milliseconds Since(Clock::time_point then) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - then);
}

std::string Unreadable(const Error& error) {
  return "an answer of the controller cannot be read (" + error.message +
         "); `furrow doctor` compares its version with this one's";
}

// Returns why the name in "farm.example:7071" has no address; empty: it has one. libzmq tries such a name again and
// again and tells nobody.
std::string WhyNoAddress(const std::string& endpoint) {
  std::string host = endpoint.substr(0, endpoint.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed == 0) ::freeaddrinfo(found);
  return failed == 0 ? "" : ::gai_strerror(failed);
}

}  // namespace

struct FarmClient::Line {
  std::unique_ptr<Channel> channel;
  std::string where;
  std::uint64_t before = 0;  // connections of the channels that this one replaced

  std::uint64_t generation() const { return before + channel->connections(); }
};

Error ErrorOf(const Failure& failure) {
  Error error{failure.code == Errc::kUnavailable ? Errc::kRejected : failure.code, failure.message};
  if (!failure.diagnostics.empty()) error.message += '\n' + FormatDiagnostics(failure.file, failure.diagnostics);
  while (!error.message.empty() && error.message.back() == '\n') error.message.pop_back();
  return error;
}

FarmClient::FarmClient(Locate locate, FarmAddress address)
    : locate_(std::move(locate)), address_(std::move(address)), seen_(Clock::now()), looked_(seen_) {}
FarmClient::~FarmClient() = default;

Result<std::unique_ptr<FarmClient>> FarmClient::Open(Locate locate) {
  FURROW_ASSIGN(FarmAddress address, locate());
  std::unique_ptr<FarmClient> client(new FarmClient(std::move(locate), std::move(address)));
  FURROW_TRY(client->OpenLine(client->control_, client->address_.control, kMaxClientReplyFrame));
  return client;
}

Status FarmClient::OpenLine(std::unique_ptr<Line>& line, const std::string& where, std::size_t max_frame_bytes) {
  ChannelOptions options;
  options.address = where;
  options.keys = address_.keys;
  options.server_key = address_.server_key;
  options.max_frame_bytes = max_frame_bytes;
  options.send_queue = kBulkQueue;
  options.receive_queue = kBulkQueue;
  options.reconnect_min = milliseconds(20);
  options.reconnect_max = milliseconds(500);
  FURROW_ASSIGN(std::unique_ptr<Channel> channel, Channel::Connect(context_, options));
  const std::uint64_t before = line ? line->generation() : 0;
  line = std::make_unique<Line>(Line{std::move(channel), where, before});
  return {};
}

bool FarmClient::OpenBulk() {
  if (!bulk_) return OpenLine(bulk_, address_.bulk, kMaxBulkRequestFrame).has_value();
  return true;
}

// Looks for the farm again, because a farm that was started again may listen elsewhere and have another key.
void FarmClient::LookAgain() {
  looked_ = Clock::now();
  Result<FarmAddress> found = locate_();
  if (!found) return;
  const bool moved = found->server_key != address_.server_key || found->control != address_.control;
  const bool bulk_moved = moved || found->bulk != address_.bulk;
  address_ = std::move(*found);
  if (moved) static_cast<void>(OpenLine(control_, address_.control, kMaxClientReplyFrame));
  if (bulk_moved && bulk_) static_cast<void>(OpenLine(bulk_, address_.bulk, kMaxBulkRequestFrame));
}

std::uint64_t FarmClient::Send(const ClientRequest& request) {
  const std::uint64_t number = ++last_number_;
  if (const auto frame = Encode(number, request))
    static_cast<void>(control_->channel->Send(*frame));
  else
    unsent_.emplace_back(number, Failure{frame.error().code, frame.error().message, "", {}});
  return number;
}

std::optional<std::pair<std::uint64_t, ClientReply>> FarmClient::Receive() {
  if (!unsent_.empty()) {
    auto reply = std::move(unsent_.front());
    unsent_.pop_front();
    return reply;
  }
  const auto frame = control_->channel->Receive();
  if (!frame) return std::nullopt;
  auto reply = DecodeClientReply(*frame);
  if (!reply)
    return std::pair(std::uint64_t{0}, ClientReply(Failure{Errc::kInternal, Unreadable(reply.error()), "", {}}));
  return std::move(*reply);
}

bool FarmClient::SendBulk(const BulkRequest& request) {
  return OpenBulk() && bulk_->channel->Send(Encode(request).value()) == SendResult::kSent;
}

std::optional<BulkReply> FarmClient::ReceiveBulk() {
  if (!OpenBulk()) return std::nullopt;
  const auto frame = bulk_->channel->Receive();
  if (!frame) return std::nullopt;
  auto reply = DecodeBulkReply(*frame);
  if (!reply) return BulkError{0, {}, {}, Errc::kInternal, Unreadable(reply.error())};
  return std::move(*reply);
}

std::uint64_t FarmClient::control_generation() {
  return control_->generation();
}
std::uint64_t FarmClient::bulk_generation() {
  return OpenBulk() ? bulk_->generation() : 0;
}

milliseconds FarmClient::AwayFor() {
  if (control_->channel->link() == LinkState::kConnected) {
    seen_ = Clock::now();
    return milliseconds(0);
  }
  return std::max(Since(seen_), milliseconds(1));
}

bool FarmClient::Refused() {
  return control_->channel->link() == LinkState::kRefused;
}

Error FarmClient::Away() {
  if (!CanOpenFiles(kFilesOfALine))
    return {Errc::kInternal,
            "cannot connect to the controller: too many files are open for the limit here (ulimit -n)"};
  if (const std::string why = WhyNoAddress(address_.control); !why.empty())
    return {Errc::kUnavailable, "cannot reach the controller at " + address_.control + " (" + address_.origin +
                                    "): no address is known for this name (" + why +
                                    "). Mend the name, or write the machine's address"};
  if (Refused())
    return {Errc::kRejected, "the controller at " + address_.control +
                                 " refuses this client's key, or is not the one of " + address_.origin +
                                 ". The line that lets this client in, for the controller's " +
                                 "allowlist: client NAME " + address_.keys.public_key};
  return {Errc::kUnavailable, "cannot reach the controller at " + address_.control + " (" + address_.origin +
                                  "): nothing answers there. Start it (furrow up), or name another farm with --state " +
                                  "or FURROW_CONTROLLER"};
}

void FarmClient::Wait(milliseconds timeout, std::initializer_list<int> fds) {
  const bool away = AwayFor() != milliseconds(0);
  if (away && Since(looked_) >= kLookAgain) LookAgain();
  Poller poller;
  poller.Add(*control_->channel);
  if (bulk_) poller.Add(*bulk_->channel);
  for (const int fd : fds)
    if (fd >= 0) poller.AddFd(fd);
  poller.Wait(away ? std::min(timeout, kLookAgain) : timeout);
}

Result<ClientReply> FarmClient::AskAny(const ClientRequest& request, AskPatience patience) {
  if (const auto frame = Encode(0, request); !frame) return tl::unexpected(frame.error());
  const Clock::time_point start = Clock::now();
  std::uint64_t generation = control_generation();
  bool refused = false;
  const std::uint64_t number = Send(request);
  for (;;) {
    while (auto reply = Receive()) {
      const auto* failure = std::get_if<Failure>(&reply->second);
      // Number 0 means that the controller could not even read the number.
      if (reply->first != number && !(reply->first == 0 && failure != nullptr)) continue;
      if (failure != nullptr) return tl::unexpected(ErrorOf(*failure));
      return std::move(reply->second);
    }
    const milliseconds away = AwayFor();
    refused = refused || Refused();
    if (const std::uint64_t now = control_generation(); now != generation) {
      // Requests queued before the first connection arrive with it, unless a refusal dropped them.
      if (generation != 0 || refused) static_cast<void>(control_->channel->Send(Encode(number, request).value()));
      generation = now;
      refused = false;
    }
    const milliseconds asked = Since(start);
    if (away > (Refused() ? std::min(kRefusalIsFinal, patience.connect) : patience.connect) ||
        (away != milliseconds(0) && asked > patience.answer))
      return tl::unexpected(Away());
    if (asked > patience.answer)
      return Fail(Errc::kUnavailable, "the controller at " + address_.control + " did not answer within " +
                                          std::to_string(patience.answer.count() / 1000) + " s; see its log");
    const milliseconds left =
        std::min(patience.answer - asked, away != milliseconds(0) ? patience.connect - away : patience.answer);
    Wait(std::clamp(left + milliseconds(1), milliseconds(1), kLookAgain));
  }
}

}  // namespace furrow::cli
