#include "agent/torch/runtime.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace furrow::steps {
namespace {

int DefaultThreads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    if (const int threads = std::atoi(text); threads > 0) return threads;
  }
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return CPU_COUNT(&cpus);
}

// Returns the shared library that multiplies matrices on the CPU, as the loader found the file.
std::string BlasFile() {
  Dl_info info{};
  void* symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "inside LibTorch";
  const std::unique_ptr<char, void (*)(void*)> real(realpath(info.dli_fname, nullptr), std::free);
  const std::string file = real ? real.get() : info.dli_fname;
  const bool reference = file.find("/blas/libblas.so") != std::string::npos;
  return file + (reference ? " (the reference BLAS, several times slower: install libopenblas0-openmp)" : "");
}

Shape BatchShape(std::size_t rows, const Shape& one) {
  Shape shape = {static_cast<std::int64_t>(rows)};
  shape.insert(shape.end(), one.begin(), one.end());
  return shape;
}

}  // namespace

void PrepareProcess(int threads) {
  // Every training step allocates and frees the same tens of megabytes. By default glibc maps and unmaps this memory,
  // and the kernel zeroes every page again; memory that stays in the heap is reused at once.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  at::set_num_threads(threads > 0 ? threads : DefaultThreads());
}

Result<std::string> SelectDevice(DeviceChoice choice) {
  if (choice == DeviceChoice::kCpu) return "cpu";
  if (torch::cuda::is_available()) return "cuda:0";
  if (choice == DeviceChoice::kAuto) return "cpu";
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr && *visible == '\0')
    return Fail(
        Errc::kUnavailable,
        "device: cuda, but this job has no GPU (CUDA_VISIBLE_DEVICES is empty); give the job `resources: { gpus: "
        "1 }`, or use device: auto");
  return Fail(Errc::kUnavailable, std::string("device: cuda, but this LibTorch (") + TORCH_VERSION +
                                      ") sees no GPU (CUDA_VISIBLE_DEVICES is " + (visible ? visible : "not set") +
                                      "); build furrow-torch against a CUDA LibTorch, or use device: auto");
}

std::string DescribeTorch() {
  std::string text = std::string("torch ") + TORCH_VERSION + "\n";
  text += "threads " + std::to_string(at::get_num_threads()) + "\n";
  text += "cuda " + std::string(torch::cuda::is_available() ? "yes" : "no") + ", " +
          std::to_string(torch::cuda::device_count()) + " devices\n";
  text += "blas " + BlasFile() + "\n";
  text += "quantised engines";
  std::string engines;
  for (const auto engine : at::globalContext().supportedQEngines()) {
    if (engine != at::QEngine::NoQEngine) engines += " " + c10::toString(engine);
  }
  return text + (engines.empty() ? " none" : engines) + "\n";
}

std::string ReasonOf(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  // TorchScript writes its traceback first and the causing exception last.
  constexpr std::string_view kLast = "RuntimeError: ";
  if (const auto last = text.rfind(kLast); last != std::string::npos) text = text.substr(last + kLast.size());
  if (const auto first = text.find_first_not_of(" \n"); first != std::string::npos) text = text.substr(first);
  return text.substr(0, text.find('\n'));
}

at::Tensor InputsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like) {
  const at::Tensor inputs = at::empty(BatchShape(rows.size(), data.input_shape), at::kFloat);
  data.CopyInputs(rows, inputs.data_ptr<float>());
  return inputs.to(like.options());
}

at::Tensor LabelsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like) {
  if (data.targets.empty()) {
    const at::Tensor classes = at::empty(BatchShape(rows.size(), {}), at::kLong);
    data.CopyClasses(rows, classes.data_ptr<std::int64_t>());
    return classes.to(like.device());
  }
  const at::Tensor targets = at::empty(BatchShape(rows.size(), data.target_shape), at::kFloat);
  data.CopyTargets(rows, targets.data_ptr<float>());
  return targets.to(like.options());
}

Status CheckOutput(const Dataset& data, Loss loss, const at::Tensor& output, const at::Tensor& labels) {
  const std::string shapes = "the module's output is " + ToString(output.sizes().vec()) + ", a batch of labels in " +
                             data.labels_file + " is " + ToString(labels.sizes().vec());
  if (loss == Loss::kMse) {
    if (output.dim() > 0 && output.size(0) == labels.size(0) && output.numel() == labels.numel()) return {};
    return Fail(Errc::kInvalid, shapes + ": mse needs as many values in both");
  }
  if (output.dim() != 2 || output.size(0) != labels.size(0)) {
    return Fail(Errc::kInvalid,
                shapes + ": nll and cross_entropy need an output of [" + std::to_string(labels.size(0)) + ", classes]");
  }
  return CheckClasses(data, output.size(1));
}

at::Tensor LossOf(Loss loss, const at::Tensor& output, const at::Tensor& labels) {
  switch (loss) {
    case Loss::kNll: return at::nll_loss(output, labels);
    case Loss::kCrossEntropy: return at::cross_entropy_loss(output, labels);
    case Loss::kMse: break;
  }
  return at::mse_loss(output, labels.view_as(output));
}

}  // namespace furrow::steps
