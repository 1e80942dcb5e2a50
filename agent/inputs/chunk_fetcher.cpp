#include "agent/inputs/chunk_fetcher.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/transport/transport.h"
#include "schemas/bulk.h"

namespace furrow {
namespace {

constexpr auto kPatience = std::chrono::seconds(5);  // time without any answer until requests are repeated
constexpr int kMaxFailures = 6;                      // The pauses double from 100 ms and last 3.1 s in all.

}  // namespace

void ChunkFetcher::Want(const Hash& hash, bool tree) {
  const auto [at, is_new] = wanted_.try_emplace(hash);
  if (!is_new) return;
  at->second.tree = tree;
  queue_.push_back(hash);
}

void ChunkFetcher::Forget(const Hash& hash) {
  const auto found = wanted_.find(hash);
  if (found == wanted_.end()) return;
  if (found->second.under_way) --under_way_;
  wanted_.erase(found);
}

void ChunkFetcher::End(const Hash& hash, Status status) {
  Forget(hash);
  done_.push_back({hash, std::move(status), stores_});
}

void ChunkFetcher::Again(const Hash& hash, Wanted& wanted, Time now, Error error) {
  if (++wanted.failures >= kMaxFailures) return End(hash, tl::unexpected(std::move(error)));
  wanted.partial.clear();
  wanted.not_before = now + std::chrono::milliseconds(100) * (1 << (wanted.failures - 1));
  if (std::exchange(wanted.under_way, false)) --under_way_;
  queue_.push_back(hash);
}

std::vector<ChunkFetcher::Fetched> ChunkFetcher::Turn(Time now) {
  while (auto frame = channel_.Receive()) {
    if (const auto reply = DecodeBulkReply(*frame))
      OnReply(*reply, now);
    else
      log::Warning("an answer on the bulk channel cannot be read: {}", reply.error().message);
  }
  if (under_way_ == 0) heard_ = now;
  const std::uint64_t connection = channel_.connections();
  if (std::exchange(connection_, connection) != connection || now - heard_ > kPatience) {
    // The requests may have been lost with the connection.
    for (auto& [hash, wanted] : wanted_) {
      if (!std::exchange(wanted.under_way, false)) continue;
      wanted.partial.clear();
      queue_.push_back(hash);
    }
    under_way_ = 0;
    heard_ = now;
  }
  if (channel_.link() == LinkState::kConnected) SendMore(now);
  return std::exchange(done_, {});
}

void ChunkFetcher::SendMore(Time now) {
  for (std::size_t left = queue_.size(); left > 0 && under_way_ < kBulkWindow; --left) {
    const Hash hash = queue_.front();
    queue_.pop_front();
    const auto found = wanted_.find(hash);
    if (found == wanted_.end() || found->second.under_way) continue;
    Wanted& wanted = found->second;
    if (wanted.not_before > now) {
      queue_.push_back(hash);
      continue;
    }
    if (channel_.Send(Encode(BulkRequest(ChunkGet{hash, wanted.tree})).value()) != SendResult::kSent) {
      queue_.push_front(hash);
      return;
    }
    wanted.under_way = true;
    ++under_way_;
  }
}

void ChunkFetcher::OnReply(const BulkReply& reply, Time now) {
  heard_ = now;
  if (const auto* data = std::get_if<ChunkData>(&reply)) return OnData(*data, now);
  const auto* error = std::get_if<BulkError>(&reply);
  if (error == nullptr) return;
  const auto found = wanted_.find(error->hash);
  if (found == wanted_.end()) {
    if (error->hash.IsZero()) log::Warning("the controller: {}", error->message);
    return;
  }
  Error why{error->code, "the controller cannot send " + error->hash.ToHex() + ": " + error->message};
  if (error->code == Errc::kUnavailable || error->code == Errc::kInternal)
    return Again(error->hash, found->second, now, std::move(why));
  End(error->hash, tl::unexpected(std::move(why)));
}

void ChunkFetcher::OnData(const ChunkData& data, Time now) {
  const auto found = wanted_.find(data.hash);
  if (found == wanted_.end()) return;
  Wanted& wanted = found->second;
  const std::uint64_t most = wanted.tree ? kMaxTreeBytes : kMaxPartBytes;
  if (data.offset == 0) wanted.partial.clear();
  if (data.total_bytes > most || data.offset != wanted.partial.size() ||
      data.bytes.size() > data.total_bytes - data.offset)
    return Again(data.hash, wanted, now,
                 {Errc::kCorrupt, "parts of " + data.hash.ToHex() + " do not follow each other"});
  Status stored;
  if (data.bytes.size() == data.total_bytes) {  // The bytes come in one part and need no copy.
    stored = store_->Put(data.hash, AsBytes(data.bytes));
  } else {
    wanted.partial += data.bytes;
    if (wanted.partial.size() < data.total_bytes) return;
    stored = store_->Put(data.hash, AsBytes(wanted.partial));
  }
  if (stored) return End(data.hash, {});
  if (stored.error().code == Errc::kCorrupt) return Again(data.hash, wanted, now, stored.error());
  End(data.hash, std::move(stored));
}

}  // namespace furrow
