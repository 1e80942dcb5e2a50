// These functions are the commands of `furrow`, each in its own file. Each returns the exit status, or an error that
// main prints and turns into one (controller/cli/session/exit_status.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "controller/cli/session/session.h"

namespace furrow::cli {

struct UpOptions {
  std::uint32_t agents = 1;
  std::uint32_t port = 7070;  // the port before control, bulk and enrol; 0: any free ports
  bool port_named = false;    // The command line names the port.
};
struct RunOptions {
  std::string path = ".";
  std::string file;  // empty: furrow.yaml in `path`
  std::string revision;
  std::vector<std::string> set;  // "K=V" each
  bool detach = false;
};
struct TriggerOptions {
  std::string repository, ref, old_commit, new_commit;
};
struct RunsOptions {
  std::string pipeline;
  std::uint32_t limit = 20;
};
struct LogsOptions {
  std::string what;
  bool follow = false;
  std::uint32_t tail = 0;
  std::uint32_t attempt = 0;  // 0: the newest attempt of each job
};
struct ArtifactsOptions {
  std::string what;
  std::string get;  // empty: list the artifacts
  std::string out = ".";
};
struct MetricsOptions {
  std::string what;
  std::string name;
  bool plot = false;
};
struct RetryOptions {
  std::string run;
  bool failed = false;
  bool detach = false;
};

struct DrainOptions {
  DrainAgent request;
  std::string until;  // "2h" from now; empty: until the agent is resumed
  bool wait = false;  // Wait until the agent's jobs have ended.
};

struct EnrolNewOptions {
  std::vector<std::string> labels;  // each a label, or several with commas between
  std::uint32_t uses = 1;
  std::string expires = "1h";
  std::string address;  // HOST[:PORT]; empty: the address that the controller names
};

Result<int> UpCommand(const Session& session, const UpOptions& options);
Result<int> RunCommand(const Session& session, const RunOptions& options);
Result<int> TriggerCommand(const Session& session, const TriggerOptions& options);
Result<int> HookInstallCommand(const Session& session, const std::string& repository, bool force);
Result<int> ReposCommand(const Session& session);
Result<int> ReposForgetCommand(const Session& session, const std::string& repository);
Result<int> RunsCommand(const Session& session, const RunsOptions& options);
Result<int> ShowCommand(const Session& session, const std::string& what, bool follow);
Result<int> LogsCommand(const Session& session, const LogsOptions& options);
Result<int> ArtifactsCommand(const Session& session, const ArtifactsOptions& options);
Result<int> MetricsCommand(const Session& session, const MetricsOptions& options);
Result<int> CancelCommand(const Session& session, const std::string& what);
Result<int> RetryCommand(const Session& session, const RetryOptions& options);
Result<int> AgentsCommand(const Session& session);
Result<int> DrainCommand(const Session& session, const DrainOptions& options);
Result<int> ResumeCommand(const Session& session, const std::string& agent);
Result<int> WhyCommand(const Session& session, const std::string& what);
Result<int> DoctorCommand(const Session& session);
Result<int> CheckCommand(const Session& session, const std::string& file);
Result<int> EnrolNewCommand(const Session& session, const EnrolNewOptions& options);
Result<int> EnrolListCommand(const Session& session);
Result<int> EnrolRevokeCommand(const Session& session, const std::string& id);
Result<int> KeysCommand(const Session& session);
Result<int> KeysRevokeCommand(const Session& session, const std::string& what);

}  // namespace furrow::cli
