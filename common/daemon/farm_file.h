// Describes how a program on the controller's machine reaches the controller, which writes this file into its state
// folder when it is ready. The CLI reads the file (`--state DIR`).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/error.h"

namespace furrow {

struct FarmFile {
  std::string control;  // "127.0.0.1:7071"
  std::string bulk;
  std::string public_key;  // the controller's key, Z85
  std::int64_t pid = 0;    // the controller that wrote the file
  std::string enrol;       // "127.0.0.1:7073"
  friend bool operator==(const FarmFile&, const FarmFile&) = default;
};

// The members of this group may use the command line on the controller's machine if the controller runs as the group,
// as in the packages. They may then read farm.json and the client key, both of mode 0640.
inline constexpr const char* kFarmGroup = "furrow";
bool RunsAsFarmGroup();

// The packages' controller uses this state folder.
inline constexpr const char* kSystemState = "/var/lib/furrow";

// Writes <state>/farm.json and replaces the file as a whole.
Status WriteFarmFile(const std::filesystem::path& state, const FarmFile& farm);
// Reads the file. kNotFound: no controller has run in this folder. kCorrupt: WriteFarmFile did not write the file.
Result<FarmFile> ReadFarmFile(const std::filesystem::path& state);

// Returns the path of the secret key beside farm.json that the controller's allowlist knows as client "local". Its
// owner and kFarmGroup may read the key.
std::filesystem::path LocalClientKey(const std::filesystem::path& state);

}  // namespace furrow
