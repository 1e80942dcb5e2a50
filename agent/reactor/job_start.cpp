#include "agent/reactor/job_start.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string_view>

#include "common/base/overloaded.h"
#include "schemas/agent.h"

namespace furrow {
namespace {

const char* Sign(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess: return "<";
    case Comparison::kLessEqual: return "<=";
    case Comparison::kGreater: return ">";
    case Comparison::kGreaterEqual: return ">=";
    case Comparison::kEqual: return "==";
  }
  return "==";
}

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), "%.17g", value);
  return text;
}

std::vector<std::string> CheckArgv(const AgentSettings& settings, const CheckStep& check, const Assign& assign) {
  std::vector<std::string> argv{settings.agent_program, "check-metrics"};
  for (const auto& [name, value] : assign.metrics) argv.push_back("--have=" + name + "=" + Number(value));
  if (!assign.reported.empty()) argv.push_back("--reported=" + assign.reported);
  for (const MetricRule& rule : check.rules)
    argv.push_back("--rule=" + rule.metric + " " + Sign(rule.comparison) + " " + Number(rule.bound));
  return argv;
}

std::vector<std::string> ArgvOf(const AgentSettings& settings, const Step& step, const Assign& assign) {
  return std::visit(
      Overloaded{
          [&](const RunStep& run) {
            // The shell dash knows no pipefail.
            return settings.shell_is_bash
                       ? std::vector<std::string>{settings.shell, "-euo", "pipefail", "-c", run.script}
                       : std::vector<std::string>{settings.shell, "-eu", "-c", run.script};
          },
          [&](const ExecStep& exec) { return exec.argv; },
          [&](const TorchStep& torch) {
            return std::vector<std::string>{settings.torch_program, torch.verb, "--spec-json", torch.spec_json};
          },
          [&](const CheckStep& check) { return CheckArgv(settings, check, assign); },
      },
      step.action);
}

// Shows a job its assigned GPUs and no others. A machine may have GPUs that its agent does not offer or know: sick
// ones, those of another agent, those of another maker.
void HideOtherDevices(std::map<std::string, std::string>& env, const std::vector<std::string>& uuids) {
  std::string devices;
  for (const std::string& uuid : uuids) devices += (devices.empty() ? "" : ",") + uuid;
  env["CUDA_VISIBLE_DEVICES"] = devices;
  env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID";
  env["NVIDIA_VISIBLE_DEVICES"] = devices.empty() ? "void" : devices;  // for containers; empty would mean all
  for (const char* other : {"HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}) env[other] = "";
}

// Has the usual libraries start as many threads as the job has CPUs booked: each would start one for every CPU of the
// machine, in every job. What the pipeline or the agent says of OMP_NUM_THREADS counts for the others, too.
void LimitThreads(std::map<std::string, std::string>& env, std::uint32_t cpu_milli) {
  std::string threads = std::to_string(std::max(cpu_milli / 1000, 1u));
  const std::string said = env.try_emplace("OMP_NUM_THREADS", threads).first->second;
  const bool number = !said.empty() && said.find_first_not_of("0123456789") == std::string::npos;
  if (number) threads = said;
  for (const char* name : {"MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
                           "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"})
    env.try_emplace(name, threads);
}

// Returns the job's environment. Later settings win over earlier ones: first the agent's, then the pipeline's, then the
// farm's own variables.
std::vector<std::string> EnvOf(const AgentState& state, const HeldJob& job) {
  const Assign& assign = *job.assign;
  std::map<std::string, std::string> env;
  env["PYTHONUNBUFFERED"] = "1";  // Output into a pipe would come late, and be lost with a process that is killed.
  for (const std::string& setting : state.settings.env) {
    const std::size_t split = setting.find('=');
    if (split != std::string::npos) env[setting.substr(0, split)] = setting.substr(split + 1);
  }
  for (const auto& [key, value] : assign.spec->env) env[key] = value;
  env["CI"] = "true";
  env["FURROW"] = "1";
  env["FURROW_RUN"] = assign.run_name;
  env["FURROW_JOB"] = assign.spec->name;
  env["FURROW_ATTEMPT"] = std::to_string(Raw(assign.attempt.epoch));
  env["FURROW_COMMIT"] = assign.commit;
  env["FURROW_BRANCH"] = assign.branch;
  env["FURROW_SHARD_INDEX"] = std::to_string(assign.shard);
  env["FURROW_SHARD_COUNT"] = std::to_string(assign.spec->shards);
  env["FURROW_WORKSPACE"] = WorkspaceOf(state.settings, job.slot);
  HideOtherDevices(env, assign.gpu_uuids);
  LimitThreads(env, assign.spec->resources.cpu_milli);
  std::vector<std::string> list;
  list.reserve(env.size());
  for (const auto& [key, value] : env) list.push_back(key + "=" + value);
  return list;
}

}  // namespace

std::string WorkspaceOf(const AgentSettings& settings, std::uint32_t slot) {
  return settings.state_folder + "/work/" + std::to_string(slot);
}

std::string SpoolOf(const AgentSettings& settings, std::uint32_t slot) {
  return settings.state_folder + "/spool/" + std::to_string(slot) + ".log";
}

std::string MetricsFileOf(const AgentSettings& settings, std::uint32_t slot) {
  return settings.state_folder + "/spool/" + std::to_string(slot) + ".metrics";
}

Follow FollowOf(const AgentState& state, const HeldJob& job, bool resumed) {
  return {job.ref(), SpoolOf(state.settings, job.slot), MetricsFileOf(state.settings, job.slot), 0, resumed};
}

runner::Start MakeStart(const AgentState& state, const HeldJob& job) {
  const Assign& assign = *job.assign;
  runner::Start start;
  start.ref = assign.attempt;
  start.workspace = WorkspaceOf(state.settings, job.slot);
  start.spool = SpoolOf(state.settings, job.slot);
  start.metrics = MetricsFileOf(state.settings, job.slot);
  start.env = EnvOf(state, job);
  for (const Step& step : assign.spec->steps) start.steps.push_back({ArgvOf(state.settings, step, assign), step.name});
  start.timeout_ms = static_cast<std::uint64_t>(assign.spec->timeout.count());
  start.kill_grace_ms = static_cast<std::uint64_t>(state.settings.kill_grace / std::chrono::milliseconds(1));
  start.log_quota_bytes = state.settings.log_quota_bytes != 0 ? state.settings.log_quota_bytes : assign.log_quota_bytes;
  for (int shift = 0; shift < 32; shift += 8) start.blob += static_cast<char>(job.slot >> shift);
  Assign known = assign;  // The blob keeps only the fields that a restarted agent needs.
  known.trees.clear();
  known.metrics.clear();
  known.reported.clear();
  start.blob += Encode(ToAgent{std::move(known)}).value();  // Encode succeeds: the Assign came as such a frame.
  return start;
}

Result<std::pair<Assign, std::uint32_t>> ReadBlob(const std::string& blob) {
  constexpr std::size_t kSlotBytes = 4;
  if (blob.size() < kSlotBytes) return Fail(Errc::kInvalid, "an attempt's description is cut short");
  std::uint32_t slot = 0;
  for (std::size_t i = 0; i < kSlotBytes; ++i)
    slot |= static_cast<std::uint32_t>(static_cast<unsigned char>(blob[i])) << (8 * i);
  FURROW_ASSIGN(ToAgent message, DecodeToAgent(std::string_view(blob).substr(kSlotBytes)));
  auto* assign = std::get_if<Assign>(&message);
  if (assign == nullptr) return Fail(Errc::kInvalid, "an attempt's description is of something else");
  return std::pair(std::move(*assign), slot);
}

}  // namespace furrow
