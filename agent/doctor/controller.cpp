#include "agent/doctor/doctor.h"
#include "agent/join/enrolment.h"
#include "common/doctor/reach.h"
#include "common/enrol/line.h"

namespace furrow::doctor {
namespace {

constexpr const char* kEnrolCure = "on the controller: furrow enrol new; here: furrow-agent enrol LINE";

Finding WordsOf(const AgentConfig& config, const std::optional<Enrolment>& enrolment) {
  if (IsConfiguredByHand(config))
    return Ok("enrolment",
              std::string("none: the configuration itself names the controller, ") + config.controller_control);
  return Ok("enrolment", "agent " + enrolment->name + " of the controller at " +
                             FormatHostPort(enrolment->host, enrolment->control_port));
}

// Returns the enrol endpoint: the enrolment's, else the default one, two ports above the control port.
Result<HostPort> EnrolEndpoint(const AgentConfig& config, const std::optional<Enrolment>& enrolment) {
  if (enrolment && enrolment->controller_key == config.controller_key)
    return HostPort{enrolment->host, enrolment->enrol_port};
  FURROW_ASSIGN(HostPort where, ParseHostPort(config.controller_control));
  where.port = static_cast<std::uint16_t>(where.port + 2);
  return where;
}

std::uint16_t PortOf(const std::string& address) {
  const Result<HostPort> where = ParseHostPort(address);
  return where ? where->port : 0;
}

}  // namespace

Findings CheckController(const AgentConfig& given, const std::string& key_file) {
  std::optional<Enrolment> enrolment;
  if (auto read = ReadEnrolment(given.state)) {
    enrolment = std::move(*read);
  } else if (!IsConfiguredByHand(given)) {
    if (read.error().code != Errc::kNotFound) return {Wrong("enrolment", read.error().message, kEnrolCure)};
    return {Warning("enrolment", "this machine is not enrolled yet: its agent waits for it", kEnrolCure)};
  }
  AgentConfig config = given;
  if (const Status whole = CompleteConfig(config, enrolment); !whole)
    return {Wrong("enrolment", whole.error().message, "correct the configuration")};
  Findings findings{WordsOf(given, enrolment)};
  findings.push_back(LookAtPort("control port", config.controller_control));
  findings.push_back(LookAtPort("bulk port", config.controller_bulk));

  const auto where = EnrolEndpoint(config, enrolment);
  if (!where) return findings;
  const Result<KeyPair> keys = LoadKeyPair(key_file);
  Expected expected;
  expected.where = FormatHostPort(where->host, where->port);
  expected.name = given.name.empty() && enrolment ? enrolment->name : given.name;
  expected.knows_key = keys.has_value();
  expected.control_port = PortOf(config.controller_control);
  expected.bulk_port = PortOf(config.controller_bulk);
  Append(findings, CheckAnswer(expected, AskController({where->host, where->port, config.controller_key},
                                                       keys ? *keys : GenerateKeyPair())));
  return findings;
}

}  // namespace furrow::doctor
