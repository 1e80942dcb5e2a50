// Sends logs and artifacts of attempts to the controller and reads their metrics, in a thread with a connection of its
// own. The controller may be away for any time: everything without an acknowledgement stays on disk and is sent again,
// with bounded memory.
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
  ChannelOptions bulk;          // The uploader, not the caller, sets max_frame_bytes and the queues.
  std::filesystem::path state;  // folder for the cache of hashes
};

class Uploader {
 public:
  // Starts the thread. The uploader's threads call `on_event`, which must not block. `context` must outlive the
  // uploader.
  static Result<std::unique_ptr<Uploader>> Start(Context& context, const UploaderOptions& options,
                                                 std::function<void(UploadEvent)> on_event);
  ~Uploader();

  void Post(UploadCommand command);  // Any thread may call Post.

  // Reads a whole small log in 15 µs, without Follow and FinishLog; any thread may call it. kInvalid: `length` is more
  // than kSmallLogBytes. kCorrupt: the file is shorter.
  static Result<LogInline> ReadInline(AttemptRef attempt, const std::string& spool, std::uint64_t length);

  struct Impl;

 private:
  explicit Uploader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
