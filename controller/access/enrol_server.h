// The enrol endpoint: a thread with a socket of its own to which any key may connect, and which understands a Probe and
// an enrolment, nothing else. It asks the loop about every proof and decides nothing; it alone changes the allowlist.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/transport/transport.h"
#include "controller/state/effects.h"

namespace furrow {

struct EnrolServerOptions {
  std::string address;
  std::uint16_t port = 0;  // 0: a free one
  KeyPair keys;
  std::string software;
  std::uint16_t control_port = 0;  // what it tells about the others
  std::uint16_t bulk_port = 0;
  std::filesystem::path allowlist;
};

class EnrolServer {
 public:
  // `on_event` is called on the endpoint's thread, and with AllowlistRead on any, now for the first time; it must not
  // block. Everything given outlives the server. Errors as Server::Bind. After Context::ServeAllowlist.
  static Result<std::unique_ptr<EnrolServer>> Start(Context& context, const Clock& clock, EnrolServerOptions options,
                                                    std::function<void(AccessEvent)> on_event);
  ~EnrolServer();

  void Post(AccessCommand command);  // any thread
  std::uint16_t port() const;

  struct Impl;

 private:
  explicit EnrolServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow
