// These commands admit machines and revoke their keys, by enrolments and keys.
#include <algorithm>

#include "common/base/program.h"
#include "common/enrol/line.h"
#include "common/pipeline/values.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"
#include "controller/cli/show/views_access.h"

namespace furrow::cli {
namespace {

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1";
}

std::vector<std::string> SplitLabels(const std::vector<std::string>& given) {
  std::vector<std::string> labels;
  for (const std::string& words : given) {
    for (std::size_t at = 0; at <= words.size();) {
      const std::size_t end = std::min(words.find(',', at), words.size());
      if (end > at) labels.push_back(words.substr(at, end - at));
      at = end + 1;
    }
  }
  return labels;
}

// Returns the address in the line: the one that the user asked for, the controller's own, or the one that this client
// reached.
Result<HostPort> AddressOf(const EnrolNewOptions& options, const EnrolmentMade& made, const FarmAddress& farm) {
  if (!options.address.empty()) {
    FURROW_ASSIGN(HostPort host_port, ParseHostPort(options.address));
    if (host_port.port == 0) host_port.port = made.port;
    return host_port;
  }
  FURROW_ASSIGN(const HostPort reached, ParseHostPort(farm.control));
  if (!made.advertised && !IsLoopback(reached.host)) return HostPort{reached.host, made.port};
  if (made.host.empty())
    return Fail(Errc::kInvalid, "the controller does not know where machines reach it; say so with --address HOST");
  return HostPort{made.host, made.port};
}

std::string HintsFor(const EnrolmentView& made, const HostPort& host_port) {
  std::string text = "for " + std::to_string(made.uses) + (made.uses == 1 ? " machine" : " machines") + ", until " +
                     FormatTime(made.expires) + "; it leads to " + FormatHostPort(host_port.host, host_port.port) +
                     " (--address for another). On the machine, as root:\n"
                     "  furrow-agent enrol -        and give it the line on stdin, which no process list shows\n"
                     "Take it back: furrow enrol revoke " +
                     FormatEnrolmentId(made.id) + "\n";
  if (IsLoopback(host_port.host))
    text += "This controller listens on its own machine alone (`listen: 127.0.0.1`): the line is of use there only.\n";
  return text;
}

}  // namespace

Result<int> EnrolNewCommand(const Session& session, const EnrolNewOptions& options) {
  if (!options.address.empty()) FURROW_TRY(ParseHostPort(options.address));
  const auto valid = pipeline::ParseDuration(options.expires);
  if (!valid) return Fail(Errc::kInvalid, "--expires " + valid.error().message);
  FURROW_ASSIGN(const FarmAddress farm, FindFarm(session.state));
  FURROW_ASSIGN(const auto client, session.OpenFarm());
  const EnrolSecret secret = MakeEnrolSecret();
  FURROW_ASSIGN(const EnrolmentMade made,
                client->Ask<EnrolmentMade>(NewEnrolment{MakeEnrolmentId(), VerifyKeyOf(secret),
                                                        SplitLabels(options.labels), options.uses, *valid}));
  FURROW_ASSIGN(const HostPort host_port, AddressOf(options, made, farm));
  const std::string line =
      FormatEnrolLine({host_port.host, host_port.port, farm.server_key, made.enrolment.id, secret});
  if (session.json) {
    WriteOut(JsonEnrolment(made.enrolment, line, FormatHostPort(host_port.host, host_port.port)));
  } else {
    WriteOut(line + "\n");
    Say(HintsFor(made.enrolment, host_port));
  }
  return kExitPassed;
}

Result<int> EnrolListCommand(const Session& session) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const EnrolmentList list, farm->Ask<EnrolmentList>(ListEnrolments{}));
  const ViewStyle style = session.Style();
  WriteOut(session.json ? JsonEnrolments(list, style.now) : RenderEnrolments(list, style));
  return kExitPassed;
}

Result<int> EnrolRevokeCommand(const Session& session, const std::string& id) {
  const EnrolmentId enrolment = ParseEnrolmentId(id);
  if (Raw(enrolment) == 0)
    return Fail(Errc::kInvalid,
                "\"" + id + "\" is no enrolment: they are 8 hex digits; `furrow enrol list` shows them");
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Done done, farm->Ask<Done>(RevokeEnrolment{enrolment}));
  WriteOut(session.json ? JsonText("text", done.text) : Plain(done.text) + "\n");
  return kExitPassed;
}

Result<int> KeysCommand(const Session& session) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const KeyList list, farm->Ask<KeyList>(ListKeys{}));
  WriteOut(session.json ? JsonKeys(list) : RenderKeys(list, session.Style()));
  return kExitPassed;
}

Result<int> KeysRevokeCommand(const Session& session, const std::string& what) {
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Done done, farm->Ask<Done>(RevokeKey{what}));
  WriteOut(session.json ? JsonText("text", done.text) : Plain(done.text) + "\n");
  return kExitPassed;
}

}  // namespace furrow::cli
