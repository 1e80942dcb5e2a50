#include "controller/cli/follow/log_streams.h"

#include <algorithm>
#include <utility>

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
  std::erase_if(ended_, [name](const LogNews& news) { return news.name == name; });
  const auto found = streams_.find(name);
  if (found == streams_.end()) return;
  if (found->second.asked) static_cast<void>(farm_.SendBulk(LogMore{found->second.request, 0}));
  by_request_.erase(found->second.request);
  streams_.erase(found);
}

void LogStreams::Ask(std::uint64_t name, Stream& stream) {
  by_request_.erase(stream.request);
  stream.request = ++last_request_;  // A new number makes Take ignore messages under way for the old one.
  by_request_[stream.request] = name;
  const LogWish& wish = stream.wish;
  stream.asked = farm_.SendBulk(
      LogRead{stream.request, wish.run, wish.attempt, wish.offset, wish.tail_lines, wish.follow, kCredit});
}

std::optional<LogNews> LogStreams::Take(LogData& data) {
  const auto found = by_request_.find(data.request);
  if (found == by_request_.end()) return std::nullopt;
  const std::uint64_t name = found->second;
  Stream& stream = streams_.at(name);
  const std::uint64_t size = data.bytes.size();
  if (stream.wish.tail_lines != 0 && (size != 0 || data.end)) {
    stream.wish.tail_lines = 0;
    stream.wish.offset = data.offset;
  }
  if (size != 0) {
    if (data.offset > stream.wish.offset) {  // Bytes behind a gap are never taken.
      Ask(name, stream);
      return std::nullopt;
    }
    data.bytes.erase(0, stream.wish.offset - data.offset);
    stream.wish.offset += data.bytes.size();
    if (!data.end) static_cast<void>(farm_.SendBulk(LogMore{data.request, size}));
  }
  if (!data.end && data.bytes.empty()) return std::nullopt;
  LogNews news;
  news.name = name;
  if (data.end) news = End(name, {});
  news.bytes = std::move(data.bytes);
  return news;
}

std::optional<LogNews> LogStreams::Take(const BulkError& error) {
  if (error.request == 0) {
    EndAll(error);
    return std::nullopt;
  }
  const auto found = by_request_.find(error.request);
  if (found == by_request_.end()) return std::nullopt;
  return End(found->second, Fail(error.code, error.message));
}

LogNews LogStreams::End(std::uint64_t name, Status status) {
  const auto stream = streams_.extract(name);
  by_request_.erase(stream.mapped().request);
  return {name, {}, true, stream.mapped().wish.offset, std::move(status)};
}

// Ends all streams: a message between the two sides was not understood, so no stream can be trusted to go on.
void LogStreams::EndAll(const BulkError& error) {
  while (!streams_.empty()) ended_.push_back(End(streams_.begin()->first, Fail(error.code, error.message)));
}

std::optional<LogNews> LogStreams::Next() {
  for (;;) {
    if (!ended_.empty()) {
      LogNews news = std::move(ended_.front());
      ended_.pop_front();
      return news;
    }
    auto reply = farm_.ReceiveBulk();
    if (!reply) break;
    std::optional<LogNews> news;
    if (auto* data = std::get_if<LogData>(&*reply)) news = Take(*data);
    if (const auto* error = std::get_if<BulkError>(&*reply)) news = Take(*error);
    if (news) return news;
  }
  AskAgain();
  return std::nullopt;
}

void LogStreams::AskAgain() {
  const std::uint64_t now = farm_.bulk_generation();
  const bool again = now != generation_ && generation_ != 0;
  generation_ = now;
  for (auto& [name, stream] : streams_)
    if (again || !stream.asked) Ask(name, stream);
}

}  // namespace furrow::cli
