#include "agent/join/enrolment.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/file_io.h"
#include "common/base/replace_file.h"
#include "common/enrol/line.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMostBytes = 64 << 10;

// Reads the fields of farm.json; nullopt: a field is missing or has another type.
std::optional<Enrolment> FromJson(const Json& json) {
  const auto text = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
  };
  const auto port = [&](const char* key) {
    const bool fits = json.contains(key) && json[key].is_number_unsigned() && json[key].get<std::uint64_t>() <= 65535;
    return fits ? json[key].get<std::uint16_t>() : std::uint16_t{0};
  };
  if (!json.is_object()) return std::nullopt;
  Enrolment enrolment{text("host"), port("control"), port("bulk"), port("enrol"), text("key"), text("name"), {}, {}};
  if (json.contains("labels") && json["labels"].is_array())
    for (const Json& label : json["labels"])
      if (label.is_string()) enrolment.labels.push_back(label.get<std::string>());
  if (json.contains("enrolled_ms") && json["enrolled_ms"].is_number_integer())
    enrolment.enrolled = WallTime{json["enrolled_ms"].get<std::int64_t>()};
  const bool whole = !enrolment.host.empty() && enrolment.control_port != 0 && enrolment.bulk_port != 0 &&
                     enrolment.controller_key.size() == 40 && !enrolment.name.empty();
  return whole ? std::optional(enrolment) : std::nullopt;
}

// Returns the address with the next port: "HOST:7072" for "HOST:7071".
Result<std::string> PortAbove(const std::string& address) {
  FURROW_ASSIGN(const HostPort host_port, ParseHostPort(address));
  if (host_port.port == 0 || host_port.port == 65535)
    return Fail(Errc::kInvalid,
                "`controller.bulk` is empty and no port follows that of `controller.control`; set both");
  return FormatHostPort(host_port.host, static_cast<std::uint16_t>(host_port.port + 1));
}

}  // namespace

std::string HostName() {
  std::array<char, 256> name{"unknown"};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

fs::path EnrolmentFile(const fs::path& state) {
  return state / "farm.json";
}

fs::path KeyFileOf(const AgentConfig& config) {
  return config.key.empty() ? fs::path(config.state) / "agent.key" : fs::path(config.key);
}

Result<Enrolment> ReadEnrolment(const fs::path& state) {
  const std::string path = EnrolmentFile(state).string();
  auto text = ReadFile(path, kMostBytes);
  if (!text && text.error().code == Errc::kNotFound)
    return Fail(Errc::kNotFound,
                "this machine is not enrolled; on the controller `furrow enrol new` prints a line for "
                "`furrow-agent enrol`");
  if (!text) return tl::unexpected(text.error());
  const auto enrolment = FromJson(Json::parse(*text, nullptr, /*allow_exceptions=*/false));
  if (!enrolment)
    return Fail(Errc::kCorrupt, path + " is damaged; enrol this machine again with `furrow-agent enrol --replace`");
  return *enrolment;
}

Status WriteEnrolment(const fs::path& state, const Enrolment& enrolment) {
  const Json json{{"host", enrolment.host},          {"control", enrolment.control_port},
                  {"bulk", enrolment.bulk_port},     {"enrol", enrolment.enrol_port},
                  {"key", enrolment.controller_key}, {"name", enrolment.name},
                  {"labels", enrolment.labels},      {"enrolled_ms", static_cast<std::int64_t>(enrolment.enrolled)}};
  const std::string text = json.dump(2) + "\n";
  return ReplaceFile(EnrolmentFile(state).string(), text, 0600);
}

bool IsConfiguredByHand(const AgentConfig& config) {
  return !config.controller_key.empty() || !config.controller_key_file.empty();
}

Status CompleteConfig(AgentConfig& config, const std::optional<Enrolment>& enrolment) {
  if (!config.controller_key_file.empty()) {
    FURROW_ASSIGN(config.controller_key, ReadPublicKey(config.controller_key_file));
    config.controller_key_file.clear();
  }
  const bool same = enrolment && (config.controller_key.empty() || config.controller_key == enrolment->controller_key);
  if (config.controller_key.empty() && enrolment) config.controller_key = enrolment->controller_key;
  if (config.controller_bulk.empty() && !config.controller_control.empty()) {
    FURROW_ASSIGN(config.controller_bulk, PortAbove(config.controller_control));
  }
  if (same && config.controller_control.empty())
    config.controller_control = FormatHostPort(enrolment->host, enrolment->control_port);
  if (same && config.controller_bulk.empty())
    config.controller_bulk = FormatHostPort(enrolment->host, enrolment->bulk_port);
  if (config.controller_key.empty() || config.controller_control.empty() || config.controller_bulk.empty())
    return Fail(Errc::kInvalid,
                "the configuration names a controller by halves: beside `controller.key` it needs "
                "`controller.control`; or leave both empty and enrol with `furrow-agent enrol`");
  if (same) {
    for (const std::string& label : enrolment->labels)
      if (std::find(config.labels.begin(), config.labels.end(), label) == config.labels.end())
        config.labels.push_back(label);
    if (config.name.empty()) config.name = enrolment->name;
  }
  if (config.name.empty()) config.name = HostName();
  return {};
}

Result<std::optional<Enrolment>> AwaitEnrolment(const fs::path& state, int wake_fd,
                                                const std::function<bool()>& go_on) {
  const FileHandle watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch) return tl::unexpected(ErrnoError("cannot watch folders", errno));
  if (::inotify_add_watch(watch.Get(), state.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
    return tl::unexpected(ErrnoError("cannot watch " + state.string(), errno));
  while (go_on()) {  // The watch precedes the first look, so no change is missed in between.
    auto enrolment = ReadEnrolment(state);
    if (enrolment) return std::optional(std::move(*enrolment));
    if (enrolment.error().code != Errc::kNotFound) return tl::unexpected(enrolment.error());
    pollfd items[2] = {{watch.Get(), POLLIN, 0}, {wake_fd, POLLIN, 0}};
    if (::poll(items, 2, 1000) < 0 && errno != EINTR) return tl::unexpected(ErrnoError("cannot wait", errno));
    std::array<char, 4096> events;
    while (::read(watch.Get(), events.data(), events.size()) > 0) {
    }
  }
  return std::optional<Enrolment>();
}

}  // namespace furrow
