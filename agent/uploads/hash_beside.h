// Hashes bytes in a thread of its own while the owner compresses the same bytes: one after the other, hashing and
// compressing would limit the rate of a log.
#pragma once

#include <cstddef>
#include <semaphore>
#include <span>

#include "common/base/hash.h"
#include "common/base/worker_pool.h"

namespace furrow {

// A HashBeside belongs to one thread.
class HashBeside {
 public:
  // Begins to add `bytes` to `sha`. Until Wait returns both must stay alive, and no other code may use `sha`.
  void Begin(Sha256& sha, std::span<const std::byte> bytes) {
    pool_.Run([this, &sha, bytes] {
      sha.Update(bytes);
      done_.release();
    });
  }
  void Wait() { done_.acquire(); }  // The owner calls Wait exactly once after each Begin.

 private:
  std::binary_semaphore done_{0};
  WorkerPool pool_{1};  // The pool is the last member, since its thread uses the others.
};

}  // namespace furrow
