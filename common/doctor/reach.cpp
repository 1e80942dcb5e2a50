#include "common/doctor/reach.h"

#include <chrono>

#include "common/base/version.h"
#include "common/doctor/machine.h"
#include "common/enrol/line.h"
#include "common/wire/protocol_version.h"

namespace furrow::doctor {
namespace {

constexpr std::chrono::seconds kPatience{4};

WallTime WallNow() {
  return SystemClock().Read().wall;
}

std::int64_t Ms(WallTime time) {
  return static_cast<std::int64_t>(time);
}

std::string CureOf(Obstacle obstacle, const std::string& where) {
  const std::string host = where.substr(0, where.rfind(':'));
  switch (obstacle) {
    case Obstacle::kNoSuchHost: return "getent hosts " + host;
    case Obstacle::kNoRoute: return "ip route get " + host + "; ping -c 3 " + host;
    case Obstacle::kTimeout: return "on the controller: nft list ruleset (or ufw status); from here: tracepath " + host;
    case Obstacle::kNothingListens: return "on the controller: furrow-controller doctor";
    case Obstacle::kNotFurrow:
      return "on the controller: furrow-controller doctor shows its ports; then correct controller.control and "
             "controller.bulk here, or enrol anew";
    case Obstacle::kWrongKey: return "on the controller: furrow enrol new; here: furrow-agent enrol --replace LINE";
    case Obstacle::kClosedPort: return "on the controller: furrow-controller doctor shows its ports";
    case Obstacle::kNoAnswer: return "on the controller: journalctl -u furrow-controller -n 50";
    case Obstacle::kNone: break;
  }
  return "";
}

Finding CheckVersions(const ProbeAnswer& answer) {
  const std::string words = answer.software + ", protocol " + std::to_string(answer.newest_version);
  if (answer.oldest_version > kNewestProtocol || answer.newest_version < kOldestProtocol) {
    const bool ours_is_old = answer.oldest_version > kNewestProtocol;
    return Wrong(
        "controller",
        words + ", is too far from this machine's " + kVersion + ", protocol " + std::to_string(kNewestProtocol),
        ours_is_old ? "upgrade Furrow on this machine: apt install --only-upgrade furrow-agent"
                    : "upgrade the controller: apt install --only-upgrade furrow-controller");
  }
  return Ok("controller", words);
}

Finding CheckKnown(const Expected& expected, const ProbeAnswer& answer) {
  if (answer.role == KeyRole::kNone)
    return Wrong("admission", "the controller does not know this machine's key: it was revoked, or never enrolled",
                 "on the controller: furrow enrol new; here: furrow-agent enrol --replace LINE");
  if (answer.role != expected.role)
    return Wrong("admission", "the controller knows this machine's key as that of a client, " + answer.name,
                 "on the controller: furrow keys revoke " + answer.name +
                     "; furrow enrol new; here: furrow-agent enrol "
                     "--replace LINE");
  if (!expected.name.empty() && answer.name != expected.name)
    return Warning("admission",
                   "the controller knows this machine as " + answer.name + ", its configuration says " + expected.name,
                   "set name: " + answer.name + " in the configuration, or leave it out");
  return Ok("admission", "known to the controller as " + answer.name);
}

}  // namespace

Probed AskController(const EnrolTarget& target, const KeyPair& keys) {
  Context context;
  Probed probed{ProbeController(context, target, keys, kPatience), {}, {}};
  if (!probed.answer) return probed;
  // The second question is asked with name look-up and connection done, so that only two messages take time.
  auto client = EnrolClient::Connect(context, target, keys, kPatience);
  if (!client) return probed;
  probed.asked = WallNow();
  const auto reply = client->Ask(Probe{0, std::string("furrow ") + kVersion}, kPatience);
  probed.answered = WallNow();
  if (!reply || !std::holds_alternative<ProbeAnswer>(*reply)) return probed;
  probed.answer = std::get<ProbeAnswer>(*reply);
  return probed;
}

Finding CheckObstacle(const std::string& subject, const std::string& where, const Unreached& unreached) {
  return Wrong(subject, unreached.message, CureOf(unreached.obstacle, where));
}

Finding LookAtPort(const std::string& subject, const std::string& address) {
  const Result<HostPort> where = ParseHostPort(address);
  if (!where || where->port == 0)
    return Wrong(subject, address + " is no HOST:PORT", "correct it in the configuration");
  Unreached unreached = LookForFurrow(where->host, where->port, kPatience);
  if (unreached.obstacle == Obstacle::kNothingListens)
    unreached.message = "nothing listens on " + address +
                        ": furrow-controller does not run there, has another port, or "
                        "listens for its own machine only";
  if (unreached.obstacle == Obstacle::kNotFurrow)
    unreached.message =
        "what answers on " + address + " is no Furrow controller: wrong port, or another program has it";
  if (unreached.obstacle != Obstacle::kNone) return CheckObstacle(subject, address, unreached);
  return Ok(subject, address + " is reached");
}

Findings CheckAnswer(const Expected& expected, const Probed& probed) {
  if (!probed.answer) return {CheckObstacle("controller", expected.where, probed.answer.error())};
  const ProbeAnswer& answer = *probed.answer;
  Findings findings{CheckVersions(answer)};
  if (expected.knows_key) findings.push_back(CheckKnown(expected, answer));
  const auto ports = [&](const std::string& name, std::uint16_t ours, std::uint16_t theirs) {
    if (ours != 0 && theirs != 0 && ours != theirs)
      findings.push_back(Warning(name + " port",
                                 "we go to port " + std::to_string(ours) + ", the controller listens on " +
                                     std::to_string(theirs) + "; right only if something forwards it",
                                 "correct controller." + name + " in the configuration"));
  };
  ports("control", expected.control_port, answer.control_port);
  ports("bulk", expected.bulk_port, answer.bulk_port);
  if (answer.wall != WallTime{} && probed.asked != WallTime{}) {
    const std::int64_t half = (Ms(probed.answered) - Ms(probed.asked)) / 2;
    findings.push_back(CheckSkew(Ms(probed.asked) + half - Ms(answer.wall), std::max<std::int64_t>(half, 1)));
  }
  return findings;
}

}  // namespace furrow::doctor
