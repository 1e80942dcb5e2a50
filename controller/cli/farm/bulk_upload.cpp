// This file implements UploadTree and BulkLink, with which uploads and downloads wait for answers.
#include <algorithm>
#include <string>

#include "common/chunks/chunker.h"
#include "controller/cli/farm/bulk_client.h"
#include "controller/cli/farm/bulk_link.h"

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kConnectPatience = std::chrono::seconds(30);  // The controller may be starting again.
constexpr auto kAnswerPatience = std::chrono::seconds(120);  // A slow disk may be syncing gigabytes.
constexpr int kMostRounds = 5;

class Upload {
 public:
  Upload(FarmClient& farm, ChunkSource& chunks, const OnUploadProgress& on_progress)
      : link_(farm), chunks_(chunks), on_progress_(on_progress) {}

  bool broken() const { return link_.broken(); }

  // Sends the tree first: where nothing has changed the upload is complete. Then sends the missing chunks, and the tree
  // again.
  Status Run(const Tree& tree, const EncodedTree& encoded, std::uint64_t& sent_bytes) {
    for (int round = 0; round < kMostRounds; ++round) {
      FURROW_ASSIGN(const TreeCommitted answer, PutTree(encoded));
      if (answer.error.empty()) return {};
      if (answer.missing.empty())
        return Fail(Errc::kRejected, "the controller could not keep the sources: " + answer.error);
      FURROW_ASSIGN(const std::vector<ChunkRef> missing, Missing(tree.UniqueChunks()));
      FURROW_TRY(PutChunks(missing, sent_bytes));
    }
    return Fail(Errc::kRejected, "the controller keeps losing chunks that it was sent; is its disk full or failing?");
  }

 private:
  Result<TreeCommitted> PutTree(const EncodedTree& encoded) {
    std::uint32_t unanswered = 0;
    for (std::size_t offset = 0; offset < encoded.bytes.size(); offset += kMaxChunkBytes) {
      while (unanswered >= kBulkWindow) {
        FURROW_TRY(link_.Next());
        --unanswered;
      }
      FURROW_TRY(link_.Send(
          TreePut{encoded.name, encoded.bytes.size(), offset, encoded.bytes.substr(offset, kMaxChunkBytes)}));
      ++unanswered;
    }
    for (;;) {
      FURROW_ASSIGN(BulkReply reply, link_.Next());
      if (auto* committed = std::get_if<TreeCommitted>(&reply); committed != nullptr && committed->hash == encoded.name)
        return std::move(*committed);
      FURROW_TRY(Refusal(reply));
    }
  }

  static Status Refusal(const BulkReply& reply) {
    if (const auto* error = std::get_if<BulkError>(&reply)) return Fail(Errc::kRejected, error->message);
    return {};
  }

  Result<std::vector<ChunkRef>> Missing(const std::vector<ChunkRef>& all) {
    std::vector<ChunkRef> missing;
    for (std::size_t first = 0; first < all.size(); first += kMaxHashesPerMessage) {
      ChunkQuery query{++last_query_, {}};
      const std::size_t last = std::min(all.size(), first + kMaxHashesPerMessage);
      for (std::size_t i = first; i < last; ++i) query.hashes.push_back(all[i].hash);
      FURROW_TRY(link_.Send(query));
      for (;;) {
        FURROW_ASSIGN(const BulkReply reply, link_.Next());
        FURROW_TRY(Refusal(reply));
        const auto* answer = std::get_if<ChunksMissing>(&reply);
        if (answer == nullptr || answer->request != query.request) continue;
        for (const std::uint32_t index : answer->indexes)
          if (first + index < last) missing.push_back(all[first + index]);
        break;
      }
    }
    return missing;
  }

  Status PutChunks(const std::vector<ChunkRef>& missing, std::uint64_t& sent_bytes) {
    std::uint64_t total = 0, sent = 0;
    for (const ChunkRef& chunk : missing) total += chunk.size;
    std::uint32_t unanswered = 0;
    const auto take_answer = [&]() -> Status {
      FURROW_ASSIGN(const BulkReply reply, link_.Next());
      FURROW_TRY(Refusal(reply));
      const auto* stored = std::get_if<ChunkStored>(&reply);
      if (stored == nullptr) return {};
      --unanswered;
      if (!stored->error.empty())
        return Fail(Errc::kRejected, "the controller could not keep the sources: " + stored->error);
      return {};
    };
    ChunkPut put;
    for (const ChunkRef& chunk : missing) {
      while (unanswered >= kBulkWindow) FURROW_TRY(take_answer());
      put.hash = chunk.hash;
      put.bytes.resize(chunk.size);
      FURROW_TRY(chunks_.Read(chunk, std::as_writable_bytes(std::span(put.bytes))));
      FURROW_TRY(link_.Send(put));
      ++unanswered;
      sent += chunk.size;
      sent_bytes += chunk.size;
      if (on_progress_) on_progress_(sent, total);
    }
    while (unanswered > 0) FURROW_TRY(take_answer());
    return {};
  }

  BulkLink link_;
  ChunkSource& chunks_;
  const OnUploadProgress& on_progress_;
  std::uint64_t last_query_ = 0;
};

}  // namespace

Status BulkLink::Pause(Clock::time_point since) {
  const std::uint64_t now = farm_.bulk_generation();
  if (generation_ == 0) generation_ = now;
  if (now != generation_) {
    broken_ = true;
    return Fail(Errc::kUnavailable, "the connection to the controller broke");
  }
  const auto waited = Clock::now() - since;
  if ((generation_ == 0 || farm_.AwayFor() > kConnectPatience) && waited > kConnectPatience)
    return tl::unexpected(farm_.Away());
  if (waited > kAnswerPatience)
    return Fail(Errc::kUnavailable, "the controller's bulk port takes nothing any more; see the controller's log");
  farm_.Wait(milliseconds(200));
  return {};
}

Status BulkLink::Send(const BulkRequest& request) {
  const Clock::time_point since = Clock::now();
  while (!farm_.SendBulk(request)) FURROW_TRY(Pause(since));
  return {};
}

Result<BulkReply> BulkLink::Next() {
  const Clock::time_point since = Clock::now();
  for (;;) {
    if (auto reply = farm_.ReceiveBulk()) return std::move(*reply);
    FURROW_TRY(Pause(since));
  }
}

Result<UploadReport> UploadTree(FarmClient& farm, const Tree& tree, ChunkSource& chunks,
                                const OnUploadProgress& on_progress) {
  UploadReport report;
  if (tree.entries.empty()) return report;
  FURROW_ASSIGN(const EncodedTree encoded, EncodeTree(tree));
  report.tree = encoded.name;
  for (;;) {
    Upload upload(farm, chunks, on_progress);
    const Status done = upload.Run(tree, encoded, report.sent_bytes);
    if (done) return report;
    if (!upload.broken()) return tl::unexpected(done.error());
  }
}

}  // namespace furrow::cli
