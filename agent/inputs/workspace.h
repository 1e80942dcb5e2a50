// Prepares the workspaces of attempts, in a thread with a connection and a chunk cache of its own.
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
  ChannelOptions bulk;                      // The workspace, not the caller, sets max_frame_bytes and the queues.
  std::filesystem::path cache;              // folder of the chunk cache
  std::uint64_t cache_bytes = 10ull << 30;  // The cache is cut back to this size from time to time.
};

class Workspace {
 public:
  // Starts the thread, which calls `on_event`; `on_event` must not block. `context` must outlive the workspace.
  static Result<std::unique_ptr<Workspace>> Start(Context& context, const WorkspaceOptions& options,
                                                  std::function<void(WorkspaceEvent)> on_event);
  ~Workspace();  // Stops at once; the next process prepares unfinished workspaces anew.

  void Post(WorkspaceCommand command);  // Any thread may call Post.

  struct Impl;

 private:
  explicit Workspace(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
