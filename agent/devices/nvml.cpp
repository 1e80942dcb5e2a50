#include "agent/devices/nvml.h"

#include <dlfcn.h>

#include <fstream>
#include <string_view>
#include <utility>

#include "agent/devices/nvml_api.h"
#include "common/base/text.h"

namespace furrow::devices {
namespace {

struct CloseLibrary {
  void operator()(void* handle) const { dlclose(handle); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

// Holds the library's functions, found by name; functions below the line may be null in older libraries.
struct Functions {
  decltype(&nvmlInit_v2) init = nullptr;
  decltype(&nvmlShutdown) shutdown = nullptr;
  decltype(&nvmlDeviceGetCount_v2) count = nullptr;
  decltype(&nvmlDeviceGetHandleByIndex_v2) by_index = nullptr;
  decltype(&nvmlDeviceGetUUID) uuid = nullptr;
  decltype(&nvmlDeviceGetName) name = nullptr;
  decltype(&nvmlDeviceGetMemoryInfo) memory = nullptr;
  // ----
  decltype(&nvmlErrorString) error_string = nullptr;
  decltype(&nvmlSystemGetDriverVersion) driver_version = nullptr;
  decltype(&nvmlDeviceGetMigMode) mig_mode = nullptr;
  decltype(&nvmlDeviceGetMaxMigDeviceCount) mig_count = nullptr;
  decltype(&nvmlDeviceGetMigDeviceHandleByIndex) mig_by_index = nullptr;
  decltype(&nvmlDeviceGetComputeRunningProcesses_v3) processes = nullptr;
};

template <class Function>
bool Find(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, symbol));
  return function != nullptr;
}

// Finds all functions. Returns the name of the first required function that is missing; null: none.
const char* FindAll(void* library, Functions& f) {
  Find(library, "nvmlErrorString", f.error_string);
  Find(library, "nvmlSystemGetDriverVersion", f.driver_version);
  Find(library, "nvmlDeviceGetMigMode", f.mig_mode);
  Find(library, "nvmlDeviceGetMaxMigDeviceCount", f.mig_count);
  Find(library, "nvmlDeviceGetMigDeviceHandleByIndex", f.mig_by_index);
  Find(library, "nvmlDeviceGetComputeRunningProcesses_v3", f.processes);
  if (!Find(library, "nvmlInit_v2", f.init)) return "nvmlInit_v2";
  if (!Find(library, "nvmlShutdown", f.shutdown)) return "nvmlShutdown";
  if (!Find(library, "nvmlDeviceGetCount_v2", f.count)) return "nvmlDeviceGetCount_v2";
  if (!Find(library, "nvmlDeviceGetHandleByIndex_v2", f.by_index)) return "nvmlDeviceGetHandleByIndex_v2";
  if (!Find(library, "nvmlDeviceGetUUID", f.uuid)) return "nvmlDeviceGetUUID";
  if (!Find(library, "nvmlDeviceGetName", f.name)) return "nvmlDeviceGetName";
  if (!Find(library, "nvmlDeviceGetMemoryInfo", f.memory)) return "nvmlDeviceGetMemoryInfo";
  return nullptr;
}

// Explains an NVML error to the machine's owner.
std::string Explain(const Functions& f, nvmlReturn_t code) {
  switch (code) {
    case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
      return "driver mismatch: the loaded NVIDIA kernel module and the installed library are of different versions, "
             "as after an upgrade of the driver; reboot the machine, or unload and load the nvidia modules";
    case NVML_ERROR_DRIVER_NOT_LOADED:
      return "the NVIDIA kernel module is not loaded; load it with modprobe nvidia, and see dmesg if that fails";
    case NVML_ERROR_GPU_IS_LOST:
      return "GPU is lost: it has fallen off the bus; see dmesg for Xid messages, then reboot the machine";
    case NVML_ERROR_RESET_REQUIRED: return "the GPU needs a reset: end what runs on it, then nvidia-smi --gpu-reset";
    case NVML_ERROR_NO_PERMISSION: return "no permission: let this user read and write /dev/nvidia*";
    default: break;
  }
  const char* message = f.error_string == nullptr ? nullptr : f.error_string(code);
  return "NVML error " + std::to_string(code) + (message == nullptr ? "" : std::string(" (") + message + ")");
}

std::string ProcessName(std::uint32_t pid) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
  return name;
}

}  // namespace

struct Nvml::Impl {
  Library library;
  Functions f;
  std::string driver_version;

  // Fills the readable facts of one device; the first unreadable one becomes the device's fault.
  void Describe(nvmlDevice_t device, GpuState& state) const {
    char uuid[NVML_DEVICE_UUID_V2_BUFFER_SIZE] = {};
    char name[NVML_DEVICE_NAME_V2_BUFFER_SIZE] = {};
    nvmlMemory_t memory = {};
    const auto failed = [&](nvmlReturn_t code) {
      if (code != NVML_SUCCESS && state.fault.empty()) state.fault = Explain(f, code);
      return code != NVML_SUCCESS;
    };
    if (!failed(f.uuid(device, uuid, sizeof(uuid)))) state.gpu.uuid = RepairedUtf8(uuid);
    if (!failed(f.name(device, name, sizeof(name)))) state.gpu.model = RepairedUtf8(name);
    // A GPU that shares the machine's memory has no memory of its own to report.
    const nvmlReturn_t answer = f.memory(device, &memory);
    if (answer != NVML_ERROR_NOT_SUPPORTED && !failed(answer)) state.gpu.memory_bytes = memory.total;
    if (state.fault.empty()) state.processes = Processes(device);
  }

  std::vector<GpuProcess> Processes(nvmlDevice_t device) const {
    if (f.processes == nullptr) return {};
    std::vector<nvmlProcessInfo_t> infos(64);
    unsigned int count = 0;
    nvmlReturn_t code = NVML_ERROR_INSUFFICIENT_SIZE;
    // Processes may start between two calls; a list that grew in four calls is of no use.
    for (int tries = 0; tries < 4 && code == NVML_ERROR_INSUFFICIENT_SIZE; ++tries) {
      if (count > infos.size()) infos.resize(count + 16);
      count = static_cast<unsigned int>(infos.size());
      code = f.processes(device, &count, infos.data());
    }
    if (code != NVML_SUCCESS) return {};
    std::vector<GpuProcess> found;
    for (unsigned int i = 0; i < count && i < infos.size(); ++i) {
      const bool known = infos[i].usedGpuMemory != ~0ULL;
      found.push_back({infos[i].pid, known ? infos[i].usedGpuMemory : 0, ProcessName(infos[i].pid)});
    }
    return found;
  }

  bool MigIsOn(nvmlDevice_t device) const {
    unsigned int current = NVML_DEVICE_MIG_DISABLE;
    unsigned int pending = NVML_DEVICE_MIG_DISABLE;
    return f.mig_mode != nullptr && f.mig_count != nullptr && f.mig_by_index != nullptr &&
           f.mig_mode(device, &current, &pending) == NVML_SUCCESS && current == NVML_DEVICE_MIG_ENABLE;
  }

  void AddMigInstances(nvmlDevice_t device, std::uint32_t index, std::vector<GpuState>& states) const {
    unsigned int most = 0;
    if (f.mig_count(device, &most) != NVML_SUCCESS) return;
    for (unsigned int i = 0; i < most; ++i) {
      nvmlDevice_t instance = nullptr;
      if (f.mig_by_index(device, i, &instance) != NVML_SUCCESS) continue;  // This place has no instance.
      GpuState state;
      state.index = index;
      Describe(instance, state);
      states.push_back(std::move(state));
    }
  }
};

Nvml::Nvml(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Nvml::~Nvml() {
  impl_->f.shutdown();
}

const std::string& Nvml::driver_version() const {
  return impl_->driver_version;
}

Result<std::unique_ptr<Nvml>> Nvml::Open(const std::string& library) {
  auto impl = std::make_unique<Impl>();
  impl->library.reset(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (impl->library == nullptr) {
    const char* message = dlerror();
    const std::string why = message == nullptr ? "cannot be opened" : message;
    const bool missing = why.find("No such file or directory") != std::string::npos;
    return Fail(missing ? Errc::kNotFound : Errc::kUnavailable, "NVML: " + why);
  }
  if (const char* symbol = FindAll(impl->library.get(), impl->f)) {
    return Fail(Errc::kUnavailable, "NVML: " + library + " has no function " + symbol +
                                        ": the driver is older than Furrow can use, or this is not NVML; "
                                        "install a current driver, or name the right library (key nvml)");
  }
  if (const nvmlReturn_t code = impl->f.init(); code != NVML_SUCCESS) {
    return Fail(Errc::kUnavailable, "NVML: " + Explain(impl->f, code));
  }
  char version[NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE] = {};
  if (impl->f.driver_version != nullptr && impl->f.driver_version(version, sizeof(version)) == NVML_SUCCESS) {
    impl->driver_version = version;
  }
  return std::unique_ptr<Nvml>(new Nvml(std::move(impl)));
}

Result<std::vector<GpuState>> Nvml::Read() {
  const Functions& f = impl_->f;
  unsigned int count = 0;
  if (const nvmlReturn_t code = f.count(&count); code != NVML_SUCCESS) {
    return Fail(Errc::kUnavailable, "NVML cannot count the GPUs: " + Explain(f, code));
  }
  std::vector<GpuState> states;
  for (unsigned int i = 0; i < count; ++i) {
    GpuState state;
    state.index = i;
    nvmlDevice_t device = nullptr;
    if (const nvmlReturn_t code = f.by_index(i, &device); code != NVML_SUCCESS) {
      state.fault = Explain(f, code);
      states.push_back(std::move(state));
      continue;
    }
    if (impl_->MigIsOn(device)) {
      impl_->AddMigInstances(device, i, states);
      continue;
    }
    impl_->Describe(device, state);
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace furrow::devices
