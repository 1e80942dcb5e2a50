// Trees to and from the controller.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"
#include "controller/cli/farm/client.h"

namespace furrow::cli {

// Bytes sent of those to be sent.
using OnUploadProgress = std::function<void(std::uint64_t sent, std::uint64_t total)>;

struct UploadReport {
  Hash tree;                     // its name; zero for an empty tree, which needs no upload
  std::uint64_t sent_bytes = 0;  // of chunks that the controller lacked
};

// Brings the tree and those of its chunks that the controller lacks there; on return all of it is durable. Begins
// again where a connection breaks. kCorrupt: a file changed after the scan (from `chunks`); kUnavailable: no
// controller.
Result<UploadReport> UploadTree(FarmClient& farm, const Tree& tree, ChunkSource& chunks,
                                const OnUploadProgress& on_progress);

// kNotFound: the controller does not have it. What comes back is verified.
Result<Tree> FetchTree(FarmClient& farm, const Hash& name);

// Fetches the chunks of `tree` in the order in which they stand there, some ahead of the one that is read. For
// MaterialiseTree with one thread; `farm` and `tree` must outlive it.
std::unique_ptr<ChunkSource> FetchChunks(FarmClient& farm, const Tree& tree);

}  // namespace furrow::cli
