// These functions bring trees to and from the controller.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"
#include "controller/cli/farm/client.h"

namespace furrow::cli {

// Reports the bytes sent and the bytes to send.
using OnUploadProgress = std::function<void(std::uint64_t sent, std::uint64_t total)>;

struct UploadReport {
  Hash tree;                     // the tree's name; zero for an empty tree, which needs no upload
  std::uint64_t sent_bytes = 0;  // bytes of chunks that the controller lacked
};

// Uploads the tree and the chunks that the controller lacks; on return all of it is durable. Begins again where a
// connection breaks. kCorrupt: a file changed after the scan (from `chunks`); kUnavailable: there is no controller.
Result<UploadReport> UploadTree(FarmClient& farm, const Tree& tree, ChunkSource& chunks,
                                const OnUploadProgress& on_progress);

// Fetches and verifies a tree. kNotFound: the controller does not have the tree.
Result<Tree> FetchTree(FarmClient& farm, const Hash& name);

// Fetches the chunks of `tree` in the order of its entries, some ahead of the current one. The source is for
// MaterialiseTree with one thread; `farm` and `tree` must outlive it.
std::unique_ptr<ChunkSource> FetchChunks(FarmClient& farm, const Tree& tree);

}  // namespace furrow::cli
