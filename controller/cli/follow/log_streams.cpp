#include "controller/cli/follow/log_streams.h"

#include <algorithm>

namespace furrow::cli {
namespace {

constexpr std::uint64_t kCredit = 2 << 20;  // bytes that may be under way for one stream

}  // namespace

void LogStreams::Open(std::uint64_t name, const LogWish& wish) {
  Close(name);
  if (generation_ == 0) generation_ = farm_.bulk_generation();
  Stream& stream = streams_[name];
  stream.wish = wish;
  Ask(name, stream);
}

void LogStreams::Close(std::uint64_t name) {
  const auto found = streams_.find(name);
  if (found == streams_.end()) return;
  if (found->second.asked) static_cast<void>(farm_.SendBulk(LogMore{found->second.request, 0}));
  by_request_.erase(found->second.request);
  streams_.erase(found);
}

void LogStreams::Ask(std::uint64_t name, Stream& stream) {
  by_request_.erase(stream.request);
  stream.request = ++last_request_;  // A new number makes On ignore messages under way for the old one.
  by_request_[stream.request] = name;
  const LogWish& wish = stream.wish;
  stream.asked = farm_.SendBulk(
      LogRead{stream.request, wish.run, wish.attempt, wish.offset, wish.tail_lines, wish.follow, kCredit});
}

void LogStreams::On(const LogData& data) {
  const auto found = by_request_.find(data.request);
  if (found == by_request_.end()) return;
  const std::uint64_t name = found->second;
  Stream& stream = streams_.at(name);
  std::string_view bytes = data.bytes;
  if (stream.wish.tail_lines != 0 && (!bytes.empty() || data.end)) {
    stream.wish.tail_lines = 0;
    stream.wish.offset = data.offset;
  }
  if (!bytes.empty()) {
    if (data.offset > stream.wish.offset) return Ask(name, stream);  // Bytes behind a gap are never taken.
    bytes.remove_prefix(std::min<std::uint64_t>(stream.wish.offset - data.offset, bytes.size()));
    stream.wish.offset += bytes.size();
    if (!data.end) static_cast<void>(farm_.SendBulk(LogMore{data.request, data.bytes.size()}));
    if (!bytes.empty()) handlers_.on_bytes(name, bytes);
  }
  if (!data.end || !streams_.contains(name)) return;
  const std::uint64_t end = stream.wish.offset;
  by_request_.erase(data.request);
  streams_.erase(name);
  handlers_.on_end(name, end, {});
}

void LogStreams::On(const BulkError& error) {
  if (error.request == 0) return EndAll(error);
  const auto found = by_request_.find(error.request);
  if (found == by_request_.end()) return;
  const std::uint64_t name = found->second;
  const std::uint64_t end = streams_.at(name).wish.offset;
  by_request_.erase(found);
  streams_.erase(name);
  handlers_.on_end(name, end, Fail(error.code, error.message));
}

// Ends all streams: a message between the two sides was not understood, so no stream can be trusted to go on.
void LogStreams::EndAll(const BulkError& error) {
  by_request_.clear();
  for (const auto& [name, stream] : std::exchange(streams_, {}))
    handlers_.on_end(name, stream.wish.offset, Fail(error.code, error.message));
}

void LogStreams::Turn() {
  while (const auto reply = farm_.ReceiveBulk()) {
    if (const auto* data = std::get_if<LogData>(&*reply)) On(*data);
    if (const auto* error = std::get_if<BulkError>(&*reply)) On(*error);
  }
  const std::uint64_t now = farm_.bulk_generation();
  const bool again = now != generation_ && generation_ != 0;
  generation_ = now;
  for (auto& [name, stream] : streams_)
    if (again || !stream.asked) Ask(name, stream);
}

}  // namespace furrow::cli
