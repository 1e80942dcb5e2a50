#include "agent/doctor/doctor.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/temp_folder.h"

namespace furrow::doctor {
namespace {

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

Finding Worst(const Findings& findings) {
  return *std::max_element(findings.begin(), findings.end(),
                           [](const Finding& a, const Finding& b) { return a.grade < b.grade; });
}

devices::GpuState Healthy(const std::string& uuid) {
  devices::GpuState state;
  state.gpu = {uuid, "NVIDIA H100 80GB HBM3", 80ULL << 30};
  return state;
}

// A machine with one GPU, in order.
GpuFacts OneGpu() {
  GpuFacts facts;
  facts.plugged_in = facts.device_files = 1;
  facts.kernel_module = "550.54.14";
  devices::Detected detected;
  detected.gpus = {Healthy("GPU-a")};
  detected.offer.gpus = {Healthy("GPU-a").gpu};
  detected.driver_version = "550.54.14";
  facts.detected = detected;
  return facts;
}

TEST_CASE("agent doctor: a GPU in order is shown as it will be offered") {
  const Findings findings = CheckGpus({}, OneGpu());
  CHECK(findings == Findings{Ok("driver", "NVIDIA 550.54.14"), Ok("GPUs", "NVIDIA H100 80GB HBM3 (80 GiB, GPU-a)")});
}

TEST_CASE("agent doctor: a machine without GPUs is right, unless it is meant to have one") {
  CHECK(Worst(CheckGpus({}, {})).grade == Grade::kOk);
  AgentConfig config;
  config.least_gpus = 1;
  GpuFacts facts;
  facts.detected = Fail(Errc::kNotFound, "offer.least_gpus is 1, but no GPU can be offered");
  const Finding worst = Worst(CheckGpus(config, facts));
  CHECK(worst.grade == Grade::kError);
  CHECK(Says(worst.found, "offer.least_gpus is 1"));
  CHECK(Says(worst.cure, "lspci"));
}

TEST_CASE("agent doctor: what stands between a GPU and the agent is named") {
  GpuFacts facts = OneGpu();
  facts.detected = devices::Detected{};
  facts.kernel_module.clear();
  facts.device_files = 0;
  CHECK(Says(Worst(CheckGpus({}, facts)).cure, "modprobe nvidia"));
  facts.kernel_module = "550.54.14";
  CHECK(Worst(CheckGpus({}, facts)).cure == "nvidia-modprobe -c 0 -u");
  facts.device_files = 1;
  CHECK(Says(Worst(CheckGpus({}, facts)).found, "libnvidia-ml.so.1"));
  facts.detected->warnings = {"no GPUs are offered: NVML: driver mismatch: reboot the machine"};
  CHECK(Says(Worst(CheckGpus({}, facts)).found, "driver mismatch"));
  facts.forbidden = "/dev/nvidia0";
  CHECK(Says(CheckGpus({}, facts).at(0).cure, "usermod -aG video"));
}

TEST_CASE("agent doctor: a sick GPU, one that the driver does not have, and GPUs that are not offered") {
  GpuFacts facts = OneGpu();
  facts.detected->gpus.push_back(Healthy("GPU-b"));
  facts.detected->gpus[1].index = 1;
  facts.detected->gpus[1].fault = "GPU is lost";
  facts.plugged_in = 2;
  const Finding sick = Worst(CheckGpus({}, facts));
  CHECK(sick.subject == "GPU 1");
  CHECK(sick.grade == Grade::kError);

  facts = OneGpu();
  facts.plugged_in = 4;
  CHECK(Says(Worst(CheckGpus({}, facts)).found, "4 NVIDIA GPUs on the PCI bus, but the driver has 1"));

  AgentConfig config;
  config.gpus = GpuChoice::kNone;
  CHECK(CheckGpus(config, OneGpu()).at(0).grade == Grade::kWarning);
}

TEST_CASE("agent doctor: GPUs are counted where the kernel shows them, bridges and sound left out") {
  const TempFolder folder;
  const auto device = [&](const std::string& slot, const std::string& vendor, const std::string& kind) {
    folder.Write("sys/bus/pci/devices/" + slot + "/vendor", vendor + "\n");
    folder.Write("sys/bus/pci/devices/" + slot + "/class", kind + "\n");
  };
  device("0000:01:00.0", "0x10de", "0x030200");
  device("0000:02:00.0", "0x10de", "0x030000");
  device("0000:02:00.1", "0x10de", "0x040300");
  device("0000:03:00.0", "0x8086", "0x030000");
  folder.Write("dev/nvidia0", "");
  folder.Write("dev/nvidiactl", "");
  folder.Write("proc/driver/nvidia/version",
               "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n");
  AgentConfig config;
  config.nvml = folder / "none.so";

  const GpuFacts facts = LookAtGpus(config, {folder / "sys", folder / "dev", folder / "proc"});

  CHECK(facts.plugged_in == 2);
  CHECK(facts.device_files == 1);
  CHECK(facts.kernel_module == "535.183.01");
}

TEST_CASE("agent doctor: furrow-torch as it describes itself") {
  const ProgramResult cpu{0, "torch 1.13.0\nthreads 2\ncuda no, 0 devices\nblas x\n", ""};
  CHECK(CheckTorch("/t", cpu, false) == Findings{Ok("furrow-torch", "/t: LibTorch 1.13.0, CUDA no, 0 devices")});
  CHECK(Says(CheckTorch("/t", cpu, true).at(0).cure, "furrow-torch-cuda"));
  const ProgramResult broken{127, "", "/t: error while loading shared libraries: libtorch.so: cannot open\n"};
  CHECK(CheckTorch("/t", broken, false).at(0).grade == Grade::kError);
  CHECK(Says(CheckTorch("/t", broken, false).at(0).cure, "ldd /t"));
  CHECK(CheckTorch("/t", Fail(Errc::kNotFound, "there is no program /t"), false).at(0).grade == Grade::kWarning);
}

TEST_CASE("agent doctor: workspaces that could not be removed are named, with what is mounted in them") {
  TempFolder folder;
  folder.Write("state/work/0/file", "");
  CHECK(CheckWorkspaces(LookAtWorkspaces(folder / "state", folder / "proc")).empty());
  folder.Write("state/work/0.aside-1/file", "");
  folder.Write("state/work/3.aside-2/a b/file", "");
  folder.Write("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:30 / " +
                                          (folder / "state/work/3.aside-2/a\\040b") + " rw - tmpfs none rw\n");
  const Findings findings = CheckWorkspaces(LookAtWorkspaces(folder / "state", folder / "proc"));
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].grade == Grade::kWarning);
  CHECK(Says(findings[0].found, "state/work/0.aside-1"));
  CHECK(findings[0].cure == "sudo rm -rf --one-file-system '" + (folder / "state/work/0.aside-1") + "'");
  CHECK(findings[1].cure.starts_with("sudo umount '" + (folder / "state/work/3.aside-2/a b") + "'; "));
}

TEST_CASE("agent doctor: the runner is of the agent's version") {
  CHECK(CheckRunner("/r", ProgramResult{0, "furrow-runner 1 (a)\n", ""}, "1 (a)").grade == Grade::kOk);
  CHECK(CheckRunner("/r", ProgramResult{0, "furrow-runner 1 (a)\n", ""}, "2 (b)").grade == Grade::kWarning);
  CHECK(CheckRunner("/r", Fail(Errc::kNotFound, "none"), "1").grade == Grade::kError);
}

}  // namespace
}  // namespace furrow::doctor
