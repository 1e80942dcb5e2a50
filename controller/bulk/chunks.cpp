#include "controller/bulk/chunks.h"

#include <algorithm>
#include <utility>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "controller/bulk/encode_reply.h"
#include "controller/bulk/share_work.h"
#include "controller/bulk/trees.h"
#include "schemas/bulk.h"

namespace furrow {
namespace {

constexpr std::uint64_t kBatchBytes = 64 << 20;  // bytes synced together

BulkReply RefusalOf(std::uint64_t request, const Hash& hash, const Error& error) {
  return BulkError{request, {}, hash, error.code, error.message};
}

// A chunk that is not there, and one that the asker does not reach, are answered in the same words.
Error NotThere(const Hash& hash) {
  return {Errc::kNotFound, "chunk " + hash.ToHex() + " is not in the controller's store"};
}

}  // namespace

void ChunkSession::Handle(std::span<const BulkRequest> requests, const Reach& reach,
                          std::vector<std::string>& replies) {
  while (!requests.empty()) {
    const auto other = std::find_if_not(requests.begin(), requests.end(), [](const BulkRequest& request) {
      return std::holds_alternative<ChunkPut>(request);
    });
    const auto puts = static_cast<std::size_t>(other - requests.begin());
    Put(requests.first(puts), reach, replies);
    requests = requests.subspan(puts);
    if (requests.empty()) return;
    const BulkRequest& request = requests.front();
    if (const auto* get = std::get_if<ChunkGet>(&request)) On(*get, reach, replies);
    if (const auto* query = std::get_if<ChunkQuery>(&request)) replies.push_back(EncodeReply(On(*query, reach)));
    if (const auto* part = std::get_if<TreePut>(&request)) replies.push_back(EncodeReply(On(*part, reach)));
    requests = requests.subspan(1);
  }
}

void ChunkSession::Commit() {
  if (const Status committed = batch_.Commit(); !committed)
    log::Warning("received chunks could not be kept and must be sent again: {}", committed.error().message);
}

BulkReply ChunkSession::On(const ChunkQuery& query, const Reach& reach) {
  ChunksMissing answer{query.request, {}};
  for (std::uint32_t i = 0; i < query.hashes.size(); ++i) {
    if (!reach.MayStore() || !store_.Has(query.hashes[i])) answer.indexes.push_back(i);
  }
  return answer;
}

// Asks the disk itself: within the time between two looks of the loop an upload could fill what is left.
Status ChunkSession::MayTake() const {
  const DiskHealth health = disk_ != nullptr ? disk_->Check() : DiskHealth::kOk;
  if (health == DiskHealth::kOk) return {};
  return Fail(Errc::kUnavailable, std::string("no uploads are taken, for the controller's disk is ") +
                                      DiskHealthName(health) + "; they go on when there is space");
}

void ChunkSession::Put(std::span<const BulkRequest> puts, const Reach& reach, std::vector<std::string>& replies) {
  if (puts.empty()) return;
  if (const Status may = MayTake(); !may) {
    for (const BulkRequest& put : puts)
      replies.push_back(EncodeReply(RefusalOf(0, std::get<ChunkPut>(put).hash, may.error())));
    return;
  }
  std::vector<Status> stored(puts.size());
  ShareWork(helpers_, puts.size(), [&](std::size_t i) { stored[i] = Put(std::get<ChunkPut>(puts[i]), reach); });
  for (std::size_t i = 0; i < puts.size(); ++i) {
    const Hash& hash = std::get<ChunkPut>(puts[i]).hash;
    replies.push_back(EncodeReply(ChunkStored{hash, stored[i] ? std::string() : stored[i].error().message}));
  }
  if (batch_.Bytes() >= kBatchBytes) Commit();
}

Status ChunkSession::Put(const ChunkPut& put, const Reach& reach) {
  if (!reach.MayStore()) return Fail(Errc::kRejected, "this agent has no attempt to send chunks for");
  if (put.bytes.empty() || put.bytes.size() > kMaxPartBytes) return Fail(Errc::kInvalid, "a chunk has 1 byte to 1 MiB");
  return batch_.Put(put.hash, AsBytes(put.bytes));
}

BulkReply ChunkSession::On(const TreePut& part, const Reach& reach) {
  if (!store_.Has(part.hash)) {  // One that is there needs no space.
    if (const Status may = MayTake(); !may) {
      tree_.reset();
      return RefusalOf(0, part.hash, may.error());
    }
  }
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
  if (const Status committed = Commit(part.hash, reach, answer.missing); !committed)
    answer.error = committed.error().message;
  tree_.reset();
  return answer;
}

Status ChunkSession::Commit(const Hash& tree, const Reach& reach, std::vector<Hash>& missing) {
  if (reach.MayStore()) {
    FURROW_TRY(batch_.Put(tree, AsBytes(tree_->bytes)));
    FURROW_TRY(batch_.Commit());
    FURROW_ASSIGN(TreeCommit commit, CommitTree(store_, tree));
    if (commit.missing.empty()) return {};
    missing = std::move(commit.missing);
  } else {
    FURROW_TRY(MissAll(tree, missing));
  }
  missing.resize(std::min(missing.size(), kMaxHashesPerMessage));
  return Fail(Errc::kUnavailable, "chunks of the tree are missing");
}

// Finds every chunk of the tree missing, for a peer that may store nothing.
Status ChunkSession::MissAll(const Hash& tree, std::vector<Hash>& missing) const {
  if (HashOf(tree_->bytes) != tree) return Fail(Errc::kCorrupt, "the tree's encoding has another hash");
  FURROW_ASSIGN(const Tree decoded, DecodeTree(AsBytes(tree_->bytes)));
  for (const ChunkRef& chunk : decoded.UniqueChunks()) missing.push_back(chunk.hash);
  return {};
}

void ChunkSession::On(const ChunkGet& get, const Reach& reach, std::vector<std::string>& replies) {
  const Result<std::string> bytes =
      reach.Has(get.hash, tree_chunks_, last_tree_) ? store_.Get(get.hash) : tl::unexpected(NotThere(get.hash));
  if (!bytes) {
    const bool absent = bytes.error().code == Errc::kNotFound;
    return replies.push_back(EncodeReply(RefusalOf(0, get.hash, absent ? NotThere(get.hash) : bytes.error())));
  }
  for (std::size_t offset = 0; offset == 0 || offset < bytes->size(); offset += kMaxPartBytes) {
    replies.push_back(EncodeReply(ChunkData{get.hash, bytes->size(), offset, bytes->substr(offset, kMaxPartBytes)}));
  }
}

}  // namespace furrow
