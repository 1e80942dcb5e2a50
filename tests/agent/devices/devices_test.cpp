#include "agent/devices/devices.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace furrow::devices {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

class Folder {
 public:
  Folder() {
    char path[] = "/tmp/furrow-devices-test-XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = path_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Detection with a fake NVML that plays `script` (tests/support/fake_nvml.c says how it reads).
Result<Detected> DetectWith(const std::string& script, AgentConfig config = {}) {
  Folder folder;
  setenv("FURROW_FAKE_NVML", folder.Write("script", script).c_str(), 1);
  if (config.nvml.empty()) config.nvml = FAKE_NVML;
  auto detected = DetectDevices(config);
  unsetenv("FURROW_FAKE_NVML");
  return detected;
}

AgentConfig Listing(std::vector<std::string> uuids) {
  AgentConfig config;
  config.gpus = GpuChoice::kListed;
  config.gpu_uuids = std::move(uuids);
  return config;
}

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

const std::string kTwoGpus =
    "driver 550.54.14\n"
    "gpu GPU-aaaa 85899345920 NVIDIA H100 80GB HBM3\n"
    "gpu GPU-bbbb 25769803776 NVIDIA RTX A5000\n";

TEST_CASE("devices: two GPUs are offered with UUID, model and memory, in NVML's order") {
  const auto detected = DetectWith(kTwoGpus);

  REQUIRE(detected);
  CHECK(detected->offer.gpus == std::vector<Gpu>{{"GPU-aaaa", "NVIDIA H100 80GB HBM3", 80 * kGiB},
                                                 {"GPU-bbbb", "NVIDIA RTX A5000", 24 * kGiB}});
  CHECK(detected->gpus[1].index == 1);
  CHECK(detected->driver_version == "550.54.14");
  CHECK(detected->warnings.empty());
}

TEST_CASE("devices: a GPU that cannot do MIG is offered whole") {
  const auto detected = DetectWith("gpu GPU-aaaa 1073741824 NVIDIA T4\nno_mig\n");

  REQUIRE(detected);
  CHECK(detected->offer.gpus == std::vector<Gpu>{{"GPU-aaaa", "NVIDIA T4", kGiB}});
}

TEST_CASE("devices: where MIG is on its instances are offered in the GPU's place") {
  const auto detected = DetectWith(
      "gpu GPU-aaaa 85899345920 NVIDIA H100\n"
      "mig MIG-1 10737418240 NVIDIA H100 MIG 1g.10gb\n"
      "mig MIG-2 21474836480 NVIDIA H100 MIG 2g.20gb\n"
      "gpu GPU-bbbb 85899345920 NVIDIA H100\n");

  REQUIRE(detected);
  CHECK(detected->offer.gpus == std::vector<Gpu>{{"MIG-1", "NVIDIA H100 MIG 1g.10gb", 10 * kGiB},
                                                 {"MIG-2", "NVIDIA H100 MIG 2g.20gb", 20 * kGiB},
                                                 {"GPU-bbbb", "NVIDIA H100", 80 * kGiB}});
  CHECK(detected->gpus[1].index == 0);
  CHECK(detected->gpus[2].index == 1);
}

TEST_CASE("devices: a lost GPU is named and left out, the others are offered") {
  for (const std::string how : {"fail 15\n", "handle 15\n"}) {
    const auto detected =
        DetectWith("gpu GPU-aaaa 1073741824 NVIDIA T4\n" + how + "gpu GPU-bbbb 1073741824 NVIDIA T4\n");

    REQUIRE(detected);
    CHECK(detected->offer.gpus == std::vector<Gpu>{{"GPU-bbbb", "NVIDIA T4", kGiB}});
    REQUIRE(detected->warnings.size() == 1);
    CHECK(Says(detected->warnings[0], "GPU 0 is not offered: GPU is lost"));
    CHECK(detected->gpus.size() == 2);
  }
}

TEST_CASE("devices: an error that we do not know is given in NVML's words") {
  const auto detected = DetectWith("gpu GPU-aaaa 1073741824 NVIDIA T4\nfail 999\n");

  REQUIRE(detected);
  CHECK(detected->offer.gpus.empty());
  CHECK(Says(detected->warnings.at(0), "NVML error 999 (Unknown Error)"));
}

TEST_CASE("devices: a driver mismatch leaves no GPUs and a warning that says what to do") {
  const auto detected = DetectWith("init 18\n" + kTwoGpus);

  REQUIRE(detected);
  CHECK(detected->offer.gpus.empty());
  REQUIRE(detected->warnings.size() == 1);
  CHECK(Says(detected->warnings[0], "driver mismatch"));
  CHECK(Says(detected->warnings[0], "reboot"));
}

TEST_CASE("devices: GPUs that cannot be counted are a warning, and an error where GPUs are listed") {
  const auto detected = DetectWith("count 15\n" + kTwoGpus);
  REQUIRE(detected);
  CHECK(Says(detected->warnings.at(0), "cannot count the GPUs: GPU is lost"));

  const auto listed = DetectWith("count 15\n" + kTwoGpus, Listing({"GPU-aaaa"}));
  REQUIRE_FALSE(listed);
  CHECK(listed.error().code == Errc::kUnavailable);
}

TEST_CASE("devices: processes on a GPU are listed with their memory and name") {
  const std::string me = std::to_string(getpid());
  const auto detected = DetectWith("gpu GPU-aaaa 1073741824 NVIDIA T4\nprocess " + me + " 2048\n" +
                                   "process 4194304 18446744073709551615\n");  // beyond the largest pid there is

  REQUIRE(detected);
  const auto& processes = detected->gpus.at(0).processes;
  REQUIRE(processes.size() == 2);
  CHECK(processes[0] == GpuProcess{static_cast<std::uint32_t>(getpid()), 2048, "agent_devices_t"});
  CHECK(processes[1] == GpuProcess{4194304, 0, ""});
}

TEST_CASE("devices: more processes than expected are all listed") {
  std::string script = "gpu GPU-aaaa 1073741824 NVIDIA T4\n";
  for (int i = 0; i < 100; ++i) script += "process " + std::to_string(4194304 + i) + " 1\n";

  const auto detected = DetectWith(script);

  REQUIRE(detected);
  CHECK(detected->gpus.at(0).processes.size() == 100);
}

TEST_CASE("devices: `gpus: none` does not even open the library") {
  AgentConfig config;
  config.gpus = GpuChoice::kNone;
  config.nvml = "/no/such/library.so";

  const auto detected = DetectDevices(config);

  REQUIRE(detected);
  CHECK(detected->offer.gpus.empty());
  CHECK(detected->warnings.empty());
}

TEST_CASE("devices: a library that was named and is not there is a warning") {
  AgentConfig config;
  config.nvml = "/no/such/library.so";

  const auto detected = DetectDevices(config);

  REQUIRE(detected);
  CHECK(detected->offer.gpus.empty());
  CHECK(Says(detected->warnings.at(0), "/no/such/library.so"));
}

TEST_CASE("devices: FURROW_NVML names the library where the configuration does not") {
  setenv("FURROW_NVML", "/no/such/from-environment.so", 1);
  const auto detected = DetectDevices({});
  unsetenv("FURROW_NVML");

  REQUIRE(detected);
  CHECK(Says(detected->warnings.at(0), "/no/such/from-environment.so"));
}

TEST_CASE("devices: a library without a needed function is refused by the function's name") {
  AgentConfig config;
  config.nvml = FAKE_NVML_OLD;

  const auto detected = DetectWith(kTwoGpus, config);

  REQUIRE(detected);
  CHECK(detected->offer.gpus.empty());
  CHECK(Says(detected->warnings.at(0), "has no function nvmlDeviceGetUUID"));
}

TEST_CASE("devices: listed GPUs alone are offered") {
  const auto detected = DetectWith(kTwoGpus, Listing({"GPU-bbbb"}));

  REQUIRE(detected);
  REQUIRE(detected->offer.gpus.size() == 1);
  CHECK(detected->offer.gpus[0].uuid == "GPU-bbbb");
}

TEST_CASE("devices: a listed GPU that is not there is an error that names those that are") {
  const auto detected = DetectWith(kTwoGpus, Listing({"GPU-bbbb", "GPU-cccc"}));

  REQUIRE_FALSE(detected);
  CHECK(detected.error().code == Errc::kNotFound);
  CHECK(Says(detected.error().message, "there is no GPU GPU-cccc"));
  CHECK(Says(detected.error().message, "GPU-aaaa, GPU-bbbb"));
}

TEST_CASE("devices: listed GPUs without a working NVML are an error") {
  const auto detected = DetectWith("init 9\n", Listing({"GPU-aaaa"}));

  REQUIRE_FALSE(detected);
  CHECK(detected.error().code == Errc::kUnavailable);
  CHECK(Says(detected.error().message, "modprobe nvidia"));
}

TEST_CASE("devices: the configuration decides over CPUs, memory and labels") {
  AgentConfig config;
  config.gpus = GpuChoice::kNone;
  config.cpu_milli = 100'000'000;
  config.memory_bytes = 1ULL << 60;
  config.labels = {"a100", "nvme"};

  const auto detected = DetectDevices(config);

  REQUIRE(detected);
  CHECK(detected->offer == Offer{100'000'000, 1ULL << 60, {}, {"a100", "nvme"}});
  CHECK(detected->warnings.size() == 2);  // both are more than there is
}

// ---- CPUs and memory ------------------------------------------------------------------------------

TEST_CASE("machine: without limits memory is MemTotal and CPUs are whole") {
  Folder folder;
  folder.Write("proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");
  folder.Write("proc/self/cgroup", "0::/\n");
  folder.Write("cgroup/cgroup.procs", "");
  const MachineFiles files{folder / "proc", folder / "cgroup"};

  CHECK(*UsableMemory(files) == 16384 * 1024);
  CHECK(UsableCpuMilli(files) % 1000 == 0);
  CHECK(UsableCpuMilli(files) >= 1000);
}

TEST_CASE("machine: the smallest limit from our cgroup up to the root counts (version 2)") {
  Folder folder;
  folder.Write("proc/meminfo", "MemTotal:       16384 kB\n");
  folder.Write("proc/self/cgroup", "0::/system.slice/agent.service\n");
  folder.Write("cgroup/system.slice/cpu.max", "50000 100000\n");
  folder.Write("cgroup/system.slice/memory.max", "max\n");
  folder.Write("cgroup/system.slice/agent.service/cpu.max", "max 100000\n");
  folder.Write("cgroup/system.slice/agent.service/memory.max", "1048576\n");
  const MachineFiles files{folder / "proc", folder / "cgroup"};

  CHECK(UsableCpuMilli(files) == 500);
  CHECK(*UsableMemory(files) == 1048576);
}

TEST_CASE("machine: another process has its own limits") {
  Folder folder;
  folder.Write("proc/meminfo", "MemTotal:       16384 kB\n");
  folder.Write("proc/self/cgroup", "0::/user.slice\n");
  folder.Write("proc/" + std::to_string(::getpid()) + "/cgroup", "0::/system.slice/agent.service\n");
  folder.Write("cgroup/system.slice/agent.service/cpu.max", "70000 100000\n");
  folder.Write("cgroup/system.slice/agent.service/memory.max", "1048576\n");
  const MachineFiles files{folder / "proc", folder / "cgroup", ::getpid()};

  CHECK(UsableCpuMilli(files) == 700);
  CHECK(*UsableMemory(files) == 1048576);
  CHECK(*UsableMemory({folder / "proc", folder / "cgroup"}) == 16384 * 1024);
}

TEST_CASE("machine: limits of version 1 count, also where the path is the host's") {
  Folder folder;
  folder.Write("proc/meminfo", "MemTotal:       16384 kB\n");
  folder.Write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n");
  folder.Write("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "25000\n");
  folder.Write("cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  folder.Write("cgroup/memory/memory.limit_in_bytes", "4194304\n");
  const MachineFiles files{folder / "proc", folder / "cgroup"};

  CHECK(UsableCpuMilli(files) == 250);
  CHECK(*UsableMemory(files) == 4194304);
}

TEST_CASE("machine: a version 1 quota of -1 is none") {
  Folder folder;
  folder.Write("proc/self/cgroup", "4:cpu,cpuacct:/\n");
  folder.Write("cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  folder.Write("cgroup/cpu/cpu.cfs_period_us", "100000\n");

  CHECK(UsableCpuMilli({folder / "proc", folder / "cgroup"}) >= 1000);
}

TEST_CASE("machine: without MemTotal the file is named") {
  Folder folder;
  const auto memory = UsableMemory({folder / "proc", folder / "cgroup"});

  REQUIRE_FALSE(memory);
  CHECK(Says(memory.error().message, folder / "proc/meminfo"));
}

TEST_CASE("machine: this machine has CPUs and memory") {
  CHECK(UsableCpuMilli() >= 1);
  CHECK(*UsableMemory() > 1 << 20);
}

TEST_CASE("devices: with fewer healthy GPUs than are expected nothing is offered, and what is missing is named") {
  AgentConfig config;
  config.least_gpus = 2;
  CHECK(DetectWith(kTwoGpus, config));

  config.least_gpus = 3;
  const auto few = DetectWith(kTwoGpus, config);
  REQUIRE_FALSE(few);
  CHECK(few.error().code == Errc::kNotFound);
  CHECK(Says(few.error().message, "offer.least_gpus is 3, but only 2 can be offered"));

  config.nvml = "/no/such/libnvidia-ml.so.1";
  const auto none = DetectWith("", config);
  REQUIRE_FALSE(none);
  CHECK(Says(none.error().message, "but no GPU can be offered; no GPUs are offered: NVML: /no/such/libnvidia-ml.so.1"));
}

}  // namespace
}  // namespace furrow::devices
