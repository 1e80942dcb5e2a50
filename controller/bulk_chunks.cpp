#include "controller/bulk_chunks.h"

#include <algorithm>
#include <utility>

#include "common/codec.h"
#include "common/hash.h"
#include "common/log.h"
#include "controller/blobs.h"

namespace furrow {
namespace {

constexpr std::uint64_t kBatchBytes = 64 << 20;  // synced together

BulkReply Refusal(std::uint64_t request, const Hash& hash, const Error& error) {
  return BulkError{request, {}, hash, error.code, error.message};
}

}  // namespace

void ChunkSession::Handle(const BulkRequest& request, std::vector<std::string>& replies) {
  if (const auto* get = std::get_if<ChunkGet>(&request)) return On(*get, replies);
  if (const auto* query = std::get_if<ChunkQuery>(&request)) replies.push_back(Encode(On(*query)));
  if (const auto* put = std::get_if<ChunkPut>(&request)) replies.push_back(Encode(On(*put)));
  if (const auto* part = std::get_if<TreePut>(&request)) replies.push_back(Encode(On(*part)));
}

void ChunkSession::Commit() {
  if (const Status committed = batch_.Commit(); !committed)
    log::Warning("received chunks could not be kept and must be sent again: {}", committed.error().message);
}

BulkReply ChunkSession::On(const ChunkQuery& query) {
  ChunksMissing answer{query.request, {}};
  for (std::uint32_t i = 0; i < query.hashes.size(); ++i) {
    if (!store_.Has(query.hashes[i])) answer.indexes.push_back(i);
  }
  return answer;
}

BulkReply ChunkSession::On(const ChunkPut& put) {
  if (put.bytes.empty() || put.bytes.size() > kMaxChunkBytes)
    return ChunkStored{put.hash, "a chunk has 1 byte to 1 MiB"};
  if (const Status stored = batch_.Put(put.hash, AsBytes(put.bytes)); !stored)
    return ChunkStored{put.hash, stored.error().message};
  if (batch_.Bytes() >= kBatchBytes) Commit();
  return ChunkStored{put.hash, {}};
}

BulkReply ChunkSession::On(const TreePut& part) {
  if (part.offset == 0) tree_ = Assembly{part.hash, part.total_bytes, {}};
  const bool fits = tree_ && tree_->hash == part.hash && tree_->total_bytes == part.total_bytes &&
                    part.total_bytes <= kMaxTreeBytes && tree_->bytes.size() == part.offset && !part.bytes.empty() &&
                    part.bytes.size() <= part.total_bytes - part.offset;
  if (!fits) {
    tree_.reset();
    return TreeCommitted{part.hash, "the parts of the tree's encoding do not follow each other; send it again", {}};
  }
  tree_->bytes += part.bytes;
  if (tree_->bytes.size() < tree_->total_bytes) return ChunkStored{part.hash, {}};
  TreeCommitted answer{part.hash, {}, {}};
  if (const Status committed = Commit(part.hash, answer.missing); !committed) answer.error = committed.error().message;
  tree_.reset();
  return answer;
}

Status ChunkSession::Commit(const Hash& tree, std::vector<Hash>& missing) {
  FURROW_TRY(batch_.Put(tree, AsBytes(tree_->bytes)));
  FURROW_TRY(batch_.Commit());
  FURROW_ASSIGN(TreeCommit commit, CommitTree(store_, tree));
  if (commit.missing.empty()) return {};
  missing = std::move(commit.missing);
  missing.resize(std::min(missing.size(), kMaxHashesPerMessage));
  return Fail(Errc::kUnavailable, "chunks of the tree are missing");
}

void ChunkSession::On(const ChunkGet& get, std::vector<std::string>& replies) {
  const auto bytes = store_.Get(get.hash);
  if (!bytes) return replies.push_back(Encode(Refusal(0, get.hash, bytes.error())));
  for (std::size_t offset = 0; offset == 0 || offset < bytes->size(); offset += kMaxChunkBytes) {
    replies.push_back(
        Encode(BulkReply(ChunkData{get.hash, bytes->size(), offset, bytes->substr(offset, kMaxChunkBytes)})));
  }
}

}  // namespace furrow
