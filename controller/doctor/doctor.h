// `furrow-controller doctor`: examines the configuration, the state folder and this machine. Changes nothing.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/daemon/config.h"
#include "common/doctor/doctor.h"
#include "common/transport/transport.h"

namespace furrow::doctor {

// `path`: of the allowlist, `keys`: what stands in it, or what is wrong with it.
Finding CheckAllowlist(const std::filesystem::path& path, const Result<std::vector<AllowedKey>>& keys);
// Whether records could not be read at a start: `folder` has copies of them, see controller/store/set_aside.h.
Findings CheckSetAside(const std::filesystem::path& folder);
// Whether agents elsewhere can reach the address that is listened on.
Finding CheckListen(const std::string& listen, const std::string& config_file);

// `config`: as read from `config_file`, or what is wrong with it. Blocks.
Report ExamineController(const std::string& config_file, const Result<ControllerConfig>& config);

}  // namespace furrow::doctor
