// Which farm the command line means, and what is needed to talk to it.
#pragma once

#include <filesystem>
#include <string>

#include "common/base/error.h"
#include "common/daemon/farm_file.h"
#include "common/transport/transport.h"

namespace furrow::cli {

struct FarmAddress {
  std::string control;     // HOST:PORT
  std::string bulk;        // HOST:PORT
  std::string server_key;  // the controller's public key
  KeyPair keys;            // our own
  std::string origin;      // where all this was found: a file or a variable, for messages
};

// `state` (--state) or FURROW_STATE names the state folder of a farm on this machine; else FURROW_CONTROLLER
// ("HOST:CONTROLPORT[,BULKPORT]") with the keys in ~/.config/furrow/; else FarmFolder says where.
// kUnavailable: there is no farm; kRejected: this user may not use it; kInvalid: a variable or file is wrong. The
// message says what to do.
Result<FarmAddress> FindFarm(const std::string& state);

// The state folder that `state` or the environment names, or else the one of `furrow up`. Absolute.
std::filesystem::path StateFolder(const std::string& state);

// The same, but where neither names one and no farm runs in that of `furrow up`, it is `system`, if an
// installed controller has its state there, ready or not.
std::filesystem::path FarmFolder(const std::string& state, const std::filesystem::path& system = kSystemState);

// "HOST:CONTROLPORT[,BULKPORT]" taken apart; the bulk port is the one above where it is left out.
struct Endpoints {
  std::string control;
  std::string bulk;
};
Result<Endpoints> ParseEndpoints(const std::string& text);

}  // namespace furrow::cli
