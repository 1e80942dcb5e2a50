// Hashes in a thread of its own what its owner compresses meanwhile: one after the other they would be a log's limit.
#pragma once

#include <cstddef>
#include <semaphore>
#include <span>

#include "common/base/hash.h"
#include "common/base/worker_pool.h"

namespace furrow {

// Belongs to one thread.
class HashBeside {
 public:
  // Begins to add `bytes` to `sha`. Until Wait has returned both must stay and nobody else may use `sha`.
  void Begin(Sha256& sha, std::span<const std::byte> bytes) {
    pool_.Run([this, &sha, bytes] {
      sha.Update(bytes);
      done_.release();
    });
  }
  void Wait() { done_.acquire(); }  // exactly once after each Begin

 private:
  std::binary_semaphore done_{0};
  WorkerPool pool_{1};  // last: its thread uses the above
};

}  // namespace furrow
