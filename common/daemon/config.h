// Defines the daemons' configuration files. config/controller.yaml and config/agent.yaml explain every key; the initial
// values below are the defaults, and a test compares them with these files.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/log.h"

namespace furrow {

struct LogConfig {
  log::Level level = log::Level::kInfo;  // log.level
  std::string file;                      // log.file; empty: stderr

  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

// Holds the values of config/controller.yaml.
struct ControllerConfig {
  std::string listen = "127.0.0.1";   // an address of this machine, or "0.0.0.0", "[::]"
  std::uint16_t control_port = 7071;  // ports.control; 0: a free one
  std::uint16_t bulk_port = 7072;     // ports.bulk; 0: a free one
  std::uint16_t enrol_port = 7073;    // ports.enrol; 0: a free one
  std::string advertise;              // host in enrolment lines; empty: Furrow finds it out
  std::string state = "/var/lib/furrow";
  std::string key;        // the secret key's file; empty: "controller.key" in `state`
  std::string allowlist;  // file of the keys that may connect; empty: "allowlist" in `state`

  std::chrono::milliseconds heartbeat{5'000};  // agents.heartbeat
  std::chrono::milliseconds lease{600'000};    // agents.lease; at least three heartbeats
  std::uint32_t max_agents = 10'000;           // agents.max
  std::chrono::milliseconds prefetch{50};      // agents.prefetch; 0: never ahead of need

  std::uint64_t log_quota_bytes = 1ULL << 30;  // jobs.log_quota; 0: none
  std::uint32_t keep_finished_runs = 1'000;    // runs.keep_in_memory
  std::uint32_t event_days = 90;               // events.keep_days
  std::uint64_t disk_low_bytes = 1ULL << 30;   // disk.low
  std::uint64_t ballast_bytes = 64ULL << 20;   // disk.ballast; 0: none

  std::chrono::milliseconds repos_poll{30'000};     // repos.poll; 0: never
  std::chrono::milliseconds repos_timeout{60'000};  // repos.timeout
  std::vector<std::string> repos_allow;             // repos.allow; empty: every local path, no network

  LogConfig log;

  std::vector<std::string> warnings;  // about keys that an older version knew, for the log

  friend bool operator==(const ControllerConfig&, const ControllerConfig&) = default;
};

enum class GpuChoice : std::uint8_t { kAuto, kNone, kListed };

// Holds the values of config/agent.yaml.
struct AgentConfig {
  std::string name;                 // empty: the name of the enrolment, else the host's name
  std::string controller_control;   // controller.control, HOST:PORT; empty, here and below: the value of the enrolment
  std::string controller_bulk;      // controller.bulk, HOST:PORT
  std::string controller_key;       // controller.key: Z85, 40 characters; or empty and
  std::string controller_key_file;  // controller.key_file
  std::string state = "/var/lib/furrow-agent";
  std::string key;  // the file of the agent's secret key; empty: "agent.key" in `state`

  std::uint32_t cpu_milli = 0;         // offer.cpus; 0: all that this process may use
  std::uint64_t memory_bytes = 0;      // offer.memory; 0: all
  GpuChoice gpus = GpuChoice::kAuto;   // offer.gpus
  std::vector<std::string> gpu_uuids;  // offer.gpus as a list; exactly these GPUs must exist
  std::uint32_t least_gpus = 0;        // offer.least_gpus; with fewer healthy GPUs the agent does not start
  std::vector<std::string> labels;     // offer.labels

  std::uint64_t cache_bytes = 20ULL << 30;       // cache
  std::uint64_t disk_low_bytes = 1ULL << 30;     // disk.low; 0: only a full disk counts
  std::chrono::milliseconds kill_grace{10'000};  // jobs.kill_grace
  std::uint64_t log_quota_bytes = 0;             // jobs.log_quota; 0: the controller's quota
  std::vector<std::string> env = {"PATH",           "HOME", "LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS",
                                  "LD_LIBRARY_PATH"};  // jobs.env
  std::string torch;                                   // the furrow-torch program; empty: the one beside this program
  std::string nvml;                                    // NVML's library; empty: FURROW_NVML, else libnvidia-ml.so.1

  LogConfig log;

  friend bool operator==(const AgentConfig&, const AgentConfig&) = default;
};

// Reads a configuration file. Relative paths in the file count from the file's folder and come back absolute. kInvalid:
// the message lists every mistake at once, one a line: "FILE:LINE:COLUMN: what and what to do"; an unknown key is a
// mistake. kNotFound: there is no such file.
Result<ControllerConfig> LoadControllerConfig(const std::string& path);
Result<AgentConfig> LoadAgentConfig(const std::string& path);

// Reads a configuration from a text; only messages and relative paths use `file`. An empty text gives the defaults.
Result<ControllerConfig> ParseControllerConfig(std::string_view text, const std::string& file);
Result<AgentConfig> ParseAgentConfig(std::string_view text, const std::string& file);

}  // namespace furrow
