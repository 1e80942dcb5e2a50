// Makes the inputs of attempts present: a thread with a connection and a chunk cache of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "agent/state/effects.h"
#include "common/base/error.h"
#include "common/transport/transport.h"

namespace furrow {

struct WorkspaceOptions {
  ChannelOptions bulk;                      // max_frame_bytes and queues are set here, not by the caller
  std::filesystem::path cache;              // folder of the chunk cache
  std::uint64_t cache_bytes = 10ull << 30;  // it is cut back to this from time to time
};

class Workspace {
 public:
  // `on_event` is called on the workspace's thread and must not block. `context` must outlive this.
  static Result<std::unique_ptr<Workspace>> Start(Context& context, const WorkspaceOptions& options,
                                                  std::function<void(WorkspaceEvent)> on_event);
  ~Workspace();  // stops where it is; what is half prepared is prepared anew by the next process

  void Post(WorkspaceCommand command);  // any thread

  // What Prepare does where there are no trees: 10 µs, any thread. Errors name the folder.
  static Status MakeEmpty(const std::string& dir);

  struct Impl;

 private:
  explicit Workspace(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
