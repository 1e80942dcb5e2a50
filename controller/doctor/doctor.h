// `furrow-controller doctor` examines the configuration, the state folder and this machine, and changes nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/daemon/config.h"
#include "common/doctor/doctor.h"
#include "common/transport/transport.h"

namespace furrow::doctor {

// Checks the allowlist at `path`; `keys` is its contents, or the error in it.
Finding CheckAllowlist(const std::filesystem::path& path, const Result<std::vector<AllowedKey>>& keys);
// Reports records that a start could not read: `folder` has copies of them, see controller/store/set_aside.h.
Findings CheckSetAside(const std::filesystem::path& folder);
// Reports whether agents on other machines can reach the address that the controller listens on.
Finding CheckListen(const std::string& listen, const std::string& config_file);

// Examines the controller; `config` is the configuration in `config_file`, or the error in it. Blocks.
Report ExamineController(const std::string& config_file, const Result<ControllerConfig>& config);

}  // namespace furrow::doctor
