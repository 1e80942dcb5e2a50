// A FarmAddress says which farm the command line talks to, and holds the keys for that.
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
  KeyPair keys;            // this client's keys
  std::string origin;      // the source of these values, a file or a variable, for messages
};

// Finds the farm. `state` (--state) or FURROW_STATE names the state folder of a farm on this machine; else
// FURROW_CONTROLLER ("HOST:CONTROLPORT[,BULKPORT]") names the address, with the keys in ~/.config/furrow/; else
// FarmFolder finds the folder. ~ is HomeFolder(). kUnavailable: there is no farm; kRejected: this user may not use the
// farm; kInvalid: a variable or file is wrong. The message names the remedy.
Result<FarmAddress> FindFarm(const std::string& state);

// Returns the absolute state folder that `state` or the environment names, or else the folder of `furrow up`.
Result<std::filesystem::path> StateFolder(const std::string& state);

// Returns StateFolder(state). Where neither `state` nor the environment names a folder and no farm runs in the folder
// of `furrow up`, returns `system` if an installed controller has its state there, ready or not.
Result<std::filesystem::path> FarmFolder(const std::string& state, const std::filesystem::path& system = kSystemState);

// ParseEndpoints parses "HOST:CONTROLPORT[,BULKPORT]"; a missing bulk port is the control port plus one.
struct Endpoints {
  std::string control;
  std::string bulk;
};
Result<Endpoints> ParseEndpoints(const std::string& text);

}  // namespace furrow::cli
