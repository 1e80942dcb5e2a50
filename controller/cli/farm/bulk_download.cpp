// This file implements FetchTree and FetchChunks.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/base/hash.h"
#include "controller/cli/farm/bulk_client.h"
#include "controller/cli/farm/bulk_link.h"

namespace furrow::cli {
namespace {

constexpr std::size_t kAhead = 32;                // chunks asked for at a time
constexpr std::size_t kMostHeldBytes = 64 << 20;  // bytes of chunks that came early or are used again later
constexpr std::uint64_t kLargeFileBytes = 4 << 20;

Status Verified(const Hash& name, std::string_view bytes) {
  if (HashOf(bytes) == name) return {};
  return Fail(Errc::kCorrupt, "what the controller sent as " + name.ToHex().substr(0, 12) + " is damaged");
}

// Fetches one blob, of up to kMaxTreeBytes, in one conversation.
Result<std::string> FetchBlob(BulkLink& link, const Hash& name) {
  FURROW_TRY(link.Send(ChunkGet{name, true}));
  std::string bytes;
  for (;;) {
    FURROW_ASSIGN(const BulkReply reply, link.Next());
    if (const auto* error = std::get_if<BulkError>(&reply);
        error != nullptr && (error->hash == name || error->hash.IsZero()))
      return Fail(error->code == Errc::kUnavailable ? Errc::kRejected : error->code, error->message);
    const auto* data = std::get_if<ChunkData>(&reply);
    if (data == nullptr || data->hash != name) continue;
    if (data->offset != bytes.size() || data->total_bytes > kMaxTreeBytes)
      return Fail(Errc::kCorrupt, "the controller sent a tree in the wrong order");
    bytes += data->bytes;
    if (bytes.size() >= data->total_bytes) return bytes;
  }
}

class FetchedChunks final : public ChunkSource {
 public:
  FetchedChunks(FarmClient& farm, const Tree& tree) : farm_(farm), link_(std::make_unique<BulkLink>(farm)) {
    // MaterialiseTree fills large files last. An order that differs from the reader's costs only time.
    for (const bool large : {false, true})
      for (const TreeEntry& entry : tree.entries)
        if ((entry.size >= kLargeFileBytes) == large)
          for (const ChunkRef& chunk : entry.chunks)
            if (uses_[chunk.hash]++ == 0) order_.push_back(chunk);
  }

  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override {
    while (!held_.contains(chunk.hash)) {
      Status got = Fetch(chunk);
      if (got) continue;
      if (!link_->broken()) return got;
      link_ = std::make_unique<BulkLink>(farm_);
      std::unordered_set<Hash> lost = std::exchange(asked_, {});
      for (const Hash& hash : lost) FURROW_TRY(Request(hash));
    }
    const auto found = held_.find(chunk.hash);
    if (found->second.size() != out.size()) return Fail(Errc::kCorrupt, "a chunk has another size than its tree says");
    std::memcpy(out.data(), found->second.data(), out.size());
    std::size_t& uses = uses_[chunk.hash];
    if (uses > 0) --uses;
    if (uses == 0 || held_bytes_ > kMostHeldBytes) {
      held_bytes_ -= found->second.size();
      held_.erase(found);
    }
    return {};
  }

 private:
  Status Request(const Hash& hash) {
    FURROW_TRY(link_->Send(ChunkGet{hash, false}));
    asked_.insert(hash);
    return {};
  }

  // Asks for `wanted` and the chunks behind it, and takes one answer.
  Status Fetch(const ChunkRef& wanted) {
    if (!asked_.contains(wanted.hash) && (next_ >= order_.size() || order_[next_].hash != wanted.hash))
      FURROW_TRY(Request(wanted.hash));  // The chunk was dropped before, or is read out of order.
    while (next_ < order_.size() && asked_.size() < kAhead && held_bytes_ < kMostHeldBytes) {
      const Hash& hash = order_[next_++].hash;
      if (!asked_.contains(hash) && !held_.contains(hash)) FURROW_TRY(Request(hash));
    }
    FURROW_ASSIGN(BulkReply reply, link_->Next());
    if (const auto* error = std::get_if<BulkError>(&reply);
        error != nullptr && (asked_.contains(error->hash) || error->hash.IsZero()))
      return Fail(error->code == Errc::kUnavailable ? Errc::kRejected : error->code, error->message);
    auto* data = std::get_if<ChunkData>(&reply);
    if (data == nullptr || asked_.erase(data->hash) == 0) return {};
    FURROW_TRY(Verified(data->hash, data->bytes));
    held_bytes_ += data->bytes.size();
    held_[data->hash] = std::move(data->bytes);
    return {};
  }

  FarmClient& farm_;
  std::unique_ptr<BulkLink> link_;
  std::vector<ChunkRef> order_;  // each chunk once, in the order of first use
  std::size_t next_ = 0;         // the next index of order_ to ask for
  std::unordered_map<Hash, std::size_t> uses_;
  std::unordered_set<Hash> asked_;
  std::unordered_map<Hash, std::string> held_;
  std::size_t held_bytes_ = 0;
};

}  // namespace

Result<Tree> FetchTree(FarmClient& farm, const Hash& name) {
  for (;;) {
    BulkLink link(farm);
    Result<std::string> bytes = FetchBlob(link, name);
    if (!bytes && link.broken()) continue;
    if (!bytes) return tl::unexpected(std::move(bytes).error());
    FURROW_TRY(Verified(name, *bytes));
    return DecodeTree(AsBytes(*bytes));
  }
}

std::unique_ptr<ChunkSource> FetchChunks(FarmClient& farm, const Tree& tree) {
  return std::make_unique<FetchedChunks>(farm, tree);
}

}  // namespace furrow::cli
