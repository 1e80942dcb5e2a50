// Uploads artifacts to the controller: scans the workspace, asks which chunks are missing, sends these and commits the
// tree. A few threads work, each with a connection of its own and one attempt at a time, so that a large artifact does
// not hold up a small one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "agent/state/effects.h"
#include "common/base/error.h"
#include "common/chunks/hash_cache.h"
#include "common/transport/transport.h"

namespace furrow {

class ArtifactUploader {
 public:
  // Starts the threads, which connect when there is something to send and call `on_event`, which must not call this
  // class: its lock is held meanwhile, lest a Cancel come in between. `cache_file` keeps the hashes of unchanged files.
  ArtifactUploader(Context& context, const ChannelOptions& bulk, const std::string& cache_file,
                   std::function<void(UploadEvent)> on_event);
  ~ArtifactUploader();

  // Any thread may call Post and Cancel. After Cancel no event about the attempt follows.
  void Post(Collect order);
  void Cancel(AttemptRef attempt);

 private:
  class Sender;
  void Work();
  bool Wanted(AttemptRef attempt);
  UploadEvent Bring(const Collect& order, std::unique_ptr<Channel>& channel);

  Context& context_;
  const ChannelOptions bulk_;
  const std::function<void(UploadEvent)> on_event_;
  const std::unique_ptr<HashCache> cache_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Collect> queue_;
  std::unordered_set<AttemptRef> wanted_;  // attempts that are posted and not cancelled
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace furrow
