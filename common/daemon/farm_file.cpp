#include "common/daemon/farm_file.h"

#include <grp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/replace_file.h"

namespace furrow {
namespace {

std::filesystem::path PathIn(const std::filesystem::path& state) {
  return state / "farm.json";
}

}  // namespace

bool RunsAsFarmGroup() {
  group entry{};
  group* found = nullptr;
  std::array<char, 16384> buffer;
  const int failed = ::getgrgid_r(::getegid(), &entry, buffer.data(), buffer.size(), &found);
  return failed == 0 && found != nullptr && std::strcmp(found->gr_name, kFarmGroup) == 0;
}

Status WriteFarmFile(const std::filesystem::path& state, const FarmFile& farm) {
  const nlohmann::json json{{"control", farm.control},
                            {"bulk", farm.bulk},
                            {"enrol", farm.enrol},
                            {"key", farm.public_key},
                            {"pid", farm.pid}};
  // Every start writes it anew, so that it need not survive a power cut.
  return ReplaceFile(PathIn(state).string(), json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n',
                     RunsAsFarmGroup() ? 0640 : 0600, Durability::kNotSynced);
}

Result<FarmFile> ReadFarmFile(const std::filesystem::path& state) {
  const std::filesystem::path path = PathIn(state);
  std::ifstream file(path);
  if (!file)
    return Fail(Errc::kNotFound,
                "no farm in " + state.string() + " (there is no farm.json); start one with `furrow up`");
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* key) {
    return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>()
                                                                           : std::string();
  };
  FarmFile farm{text("control"), text("bulk"), text("key"), 0, text("enrol")};
  if (json.is_object() && json.contains("pid") && json["pid"].is_number_integer())
    farm.pid = json["pid"].get<std::int64_t>();
  if (farm.control.empty() || farm.bulk.empty() || farm.public_key.size() != 40)
    return Fail(Errc::kCorrupt, path.string() + " is damaged; start the farm again to have it rewritten");
  return farm;
}

std::filesystem::path LocalClientKey(const std::filesystem::path& state) {
  return state / "client.key";
}

}  // namespace furrow
