// The enrol endpoint is a thread with its own socket to which any key may connect; it understands only a Probe and an
// enrolment. The endpoint asks the loop about every proof and decides nothing; no other part of the controller changes
// the allowlist while it runs.
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
  std::uint16_t port = 0;  // 0: any free port
  KeyPair keys;
  std::string software;
  std::uint16_t control_port = 0;  // the ports of the other endpoints, which a ProbeAnswer names
  std::uint16_t bulk_port = 0;
  std::filesystem::path allowlist;
};

class EnrolServer {
 public:
  // The endpoint's thread calls `on_event`; with AllowlistRead any thread does, first inside Start. `on_event` must not
  // block. All arguments outlive the server. Context::ServeAllowlist comes before Start. Fails as Server::Bind does.
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
