// What a program on the controller's machine needs to reach it: written by the controller into its state
// folder when it is ready, read by the CLI (`--state DIR`).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/error.h"

namespace furrow {

struct FarmFile {
  std::string control;  // "127.0.0.1:7071"
  std::string bulk;
  std::string public_key;  // the controller's, Z85
  std::int64_t pid = 0;    // of the controller that wrote it
  std::string enrol;       // "127.0.0.1:7073"
  friend bool operator==(const FarmFile&, const FarmFile&) = default;
};

// The group of people who may use the command line on the controller's machine, where the controller runs as this
// group: the packages have it so. They may then read farm.json and the client key, both mode 0640.
inline constexpr const char* kFarmGroup = "furrow";
bool RunsAsFarmGroup();

// The state folder of the packages' controller.
inline constexpr const char* kSystemState = "/var/lib/furrow";

// <state>/farm.json. Replaced whole.
Status WriteFarmFile(const std::filesystem::path& state, const FarmFile& farm);
// kNotFound: no controller has run in this folder. kCorrupt: not what WriteFarmFile writes.
Result<FarmFile> ReadFarmFile(const std::filesystem::path& state);

// The secret key beside it that the controller's allowlist knows as client "local". Its owner's, and kFarmGroup's.
std::filesystem::path LocalClientKey(const std::filesystem::path& state);

}  // namespace furrow
