// Brings logs, metrics and artifacts of attempts away from this machine: a thread with a connection of its
// own. The controller may be away for as long as it likes; everything that is not acknowledged stays on disk
// and is sent again, with bounded memory.
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

struct UploaderOptions {
  ChannelOptions bulk;          // max_frame_bytes and queues are set here, not by the caller
  std::filesystem::path state;  // folder for the cache of hashes
};

class Uploader {
 public:
  // `on_event` is called on the uploader's threads and must not block. `context` must outlive this.
  static Result<std::unique_ptr<Uploader>> Start(Context& context, const UploaderOptions& options,
                                                 std::function<void(UploadEvent)> on_event);
  ~Uploader();

  void Post(UploadCommand command);  // any thread

  // What FinishLog does for an attempt that was never followed: 15 µs, any thread. kInvalid: `length` is more
  // than kSmallLogBytes; kCorrupt: the file is shorter.
  static Result<LogInline> ReadInline(AttemptRef attempt, const std::string& spool, std::uint64_t length);

  struct Impl;

 private:
  explicit Uploader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
