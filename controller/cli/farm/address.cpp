#include "controller/cli/farm/address.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>

#include "common/base/file_io.h"
#include "common/base/user_folders.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::optional<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failed != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

Result<FarmAddress> FromEnvironment(const std::string& controller) {
  FURROW_ASSIGN(Endpoints endpoints, ParseEndpoints(controller));
  FURROW_ASSIGN(const fs::path home, HomeFolder());
  const fs::path folder = home / ".config/furrow";
  FarmAddress address{std::move(endpoints.control), std::move(endpoints.bulk), "", {}, "FURROW_CONTROLLER"};
  auto server_key = ReadPublicKey(folder / "controller.pub");
  if (!server_key)
    return Fail(Errc::kInvalid,
                server_key.error().message + "; this file must hold what `furrow-controller identity` prints there");
  address.server_key = std::move(*server_key);
  FURROW_TRY(MakeFolders(folder.string()));
  FURROW_ASSIGN(address.keys, LoadOrMakeKeyPair(folder / "client.key"));
  return address;
}

// Returns whether a `furrow up` holds the folder, or the controller that wrote its farm.json lives.
bool FarmRunsIn(const fs::path& folder) {
  const FileHandle lock(::open((folder / "up.lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (lock && ::flock(lock.Get(), LOCK_SH | LOCK_NB) != 0) return true;
  const Result<FarmFile> farm = ReadFarmFile(folder);
  return farm && farm->pid > 0 && (::kill(static_cast<pid_t>(farm->pid), 0) == 0 || errno == EPERM);
}

// Fails with kRejected if the folder has a farm that this user may not use.
Status MayUse(const fs::path& folder) {
  if (::access((folder / "farm.json").c_str(), R_OK) == 0 || errno != EACCES) return {};
  return Fail(Errc::kRejected, "the farm in " + folder.string() + " is for root and members of the group " +
                                   kFarmGroup + "; as root, run: adduser NAME " + kFarmGroup +
                                   ", and log in anew; `furrow up` starts a farm of your own");
}

}  // namespace

Result<Endpoints> ParseEndpoints(const std::string& text) {
  const auto wrong = [&] {
    return Fail(Errc::kInvalid, "FURROW_CONTROLLER is \"" + text + "\"; it looks like HOST:7071 or HOST:7071,7072");
  };
  if (text.find("://") != std::string::npos) return wrong();
  const std::size_t comma = text.find(',');
  const std::string control = text.substr(0, comma);
  const std::size_t colon = control.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong();
  const auto port = ParsePort(std::string_view(control).substr(colon + 1));
  if (!port || *port == 65535) return wrong();
  std::string bulk = std::to_string(*port + 1);
  if (comma != std::string::npos) {
    bulk = text.substr(comma + 1);
    if (!ParsePort(bulk)) return wrong();
  }
  return Endpoints{control, control.substr(0, colon + 1) + bulk};
}

Result<fs::path> StateFolder(const std::string& state) {
  fs::path folder = state.empty() ? Variable("FURROW_STATE") : state;
  if (folder.empty()) {
    const auto home = HomeFolder();
    if (!home) return Fail(home.error().code, home.error().message + ", or name the farm's folder with --state");
    folder = *home / ".local/state/furrow";
  }
  FURROW_TRY(CheckCurrentFolder(folder));
  std::error_code failed;
  const fs::path absolute = fs::absolute(folder, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot find the folder " + folder.string(), failed.value()));
  return absolute.lexically_normal();
}

Result<fs::path> FarmFolder(const std::string& state, const fs::path& system) {
  FURROW_ASSIGN(const fs::path own, StateFolder(state));
  if (!state.empty() || !Variable("FURROW_STATE").empty() || FarmRunsIn(own)) return own;
  return ::access(system.c_str(), F_OK) == 0 ? system : own;
}

Result<FarmAddress> FindFarm(const std::string& state) {
  const std::string controller = Variable("FURROW_CONTROLLER");
  if (state.empty() && Variable("FURROW_STATE").empty() && !controller.empty()) return FromEnvironment(controller);
  FURROW_ASSIGN(const fs::path folder, FarmFolder(state));
  FURROW_TRY(MayUse(folder));
  Result<FarmFile> farm = ReadFarmFile(folder);
  if (!farm) {
    if (farm.error().code == Errc::kNotFound)
      return Fail(Errc::kUnavailable, farm.error().message + ", or name another one with --state or FURROW_CONTROLLER");
    return tl::unexpected(std::move(farm).error());
  }
  // A group may share only this secret: the controller gave the key to the group on purpose.
  FURROW_ASSIGN(KeyPair keys, LoadKeyPair(LocalClientKey(folder), KeyReaders::kGroup));
  return FarmAddress{std::move(farm->control), std::move(farm->bulk), std::move(farm->public_key), std::move(keys),
                     (folder / "farm.json").string()};
}

}  // namespace furrow::cli
