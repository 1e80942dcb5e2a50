#include "tests/bench/farm_link.h"

#include <cstdio>
#include <cstdlib>
#include <variant>

#include "common/daemon/farm_file.h"
#include "common/wire/selector.h"

namespace furrow::bench {
namespace {

constexpr auto kPatience = std::chrono::minutes(5);  // without any answer

// The next frame of a channel, waiting.
std::string NextFrame(Channel& channel, Poller& poller) {
  const auto begin = Clock::now();
  for (;;) {
    if (std::optional<std::string> frame = channel.Receive()) return std::move(*frame);
    if (Clock::now() - begin > kPatience) Die("no answer from the controller in five minutes");
    poller.Wait(std::chrono::seconds(1));
  }
}

}  // namespace

void Die(const std::string& why) {
  std::fprintf(stderr, "farm_bench: %s\n", why.c_str());
  std::exit(1);
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Submit MakeSubmit(const std::string& pipeline_text) {
  Submit submit;
  submit.request = Uuid::Random();
  submit.file = "furrow.yaml";
  submit.text = pipeline_text;
  submit.default_name = "bench";
  return submit;
}

FarmLink::FarmLink(const std::filesystem::path& state) {
  const FarmFile farm = Must(ReadFarmFile(state));
  ChannelOptions options;
  options.address = farm.control;
  options.keys = Must(LoadOrMakeKeyPair(LocalClientKey(state)));
  options.server_key = farm.public_key;
  options.max_frame_bytes = kMaxClientReplyFrame;
  control_ = Must(Channel::Connect(context_, options));
  bulk_options_ = options;
  bulk_options_.address = farm.bulk;
  bulk_options_.max_frame_bytes = kMaxBulkRequestFrame;
  bulk_ = Must(Channel::Connect(context_, bulk_options_));
  poller_.Add(*control_);
  poller_.Add(*bulk_);
  NextOf(Send(Ping{}));
}

std::uint64_t FarmLink::Send(const ClientRequest& request) {
  if (control_->Send(Encode(++last_, request).value()) != SendResult::kSent) Die("the controller does not read");
  return last_;
}

std::pair<std::uint64_t, ClientReply> FarmLink::Next() {
  return Must(DecodeClientReply(NextFrame(*control_, poller_)));
}

ClientReply FarmLink::NextOf(std::uint64_t request) {
  for (;;) {
    auto [number, reply] = Next();
    if (number != request) continue;
    if (const auto* failure = std::get_if<Failure>(&reply)) {
      std::string why = failure->message;
      for (const Diagnostic& one : failure->diagnostics) why += "\n  " + one.message;
      Die(why);
    }
    return std::move(reply);
  }
}

RunSummary FarmLink::Run(const Submit& submit) {
  const ClientReply accepted = NextOf(Send(submit));
  const std::uint64_t watch = Send(Watch{Must(ParseSelector(std::get<Submitted>(accepted).name))});
  for (;;) {
    const ClientReply reply = NextOf(watch);
    const auto& update = std::get<RunUpdate>(reply);
    if (update.run_ended) return update.run;
  }
}

void FarmLink::SendBulk(const BulkRequest& request) {
  if (bulk_->Send(Encode(request).value()) != SendResult::kSent) Die("the controller does not read its bulk channel");
}

BulkReply FarmLink::NextBulk() {
  return Must(DecodeBulkReply(NextFrame(*bulk_, poller_)));
}

}  // namespace furrow::bench
