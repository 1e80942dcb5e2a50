#include "agent/torch/runtime.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sched.h>
#include <torch/csrc/jit/runtime/jit_exception.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/text.h"

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

// Marks the place of an error in the code that TorchScript shows.
constexpr std::string_view kCodeMark = "<--- HERE";

// Returns the first line of `text` that says something, or with `whole` all lines as one; a long one is cut.
std::string OneLine(std::string_view text, bool whole) {
  constexpr std::size_t kMost = 500;
  std::string line;
  while (!text.empty() && line.size() <= kMost && (whole || line.empty())) {
    std::string_view next = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), next.size() + 1));
    next.remove_prefix(std::min(next.size(), next.find_first_not_of(" \t\r")));
    while (!next.empty() && (next.back() == ' ' || next.back() == '\r')) next.remove_suffix(1);
    if (!next.empty()) line.append(line.empty() ? "" : " ").append(next);
  }
  return line.size() <= kMost ? line : std::string(ClippedUtf8(line, kMost)) + "…";
}

// Returns the line of the module's code that `text` marks.
std::string MarkedCode(std::string_view text) {
  const auto mark = text.rfind(kCodeMark);
  if (mark == std::string_view::npos) return "its code";
  const auto marks_line = text.rfind('\n', mark);
  if (marks_line == std::string_view::npos || marks_line == 0) return "its code";
  const auto code_line = text.rfind('\n', marks_line - 1);
  const auto from = code_line == std::string_view::npos ? 0 : code_line + 1;
  return "`" + OneLine(text.substr(from, marks_line - from), /*whole=*/false) + "`";
}

// Returns what a module's own `raise` or `assert` says; `text` is the exception's with the traceback.
std::string RaisedReason(const torch::jit::JITException& error, const std::string& text) {
  std::string kind = error.getPythonClassName().value_or("");
  if (const auto dot = kind.rfind('.'); dot != std::string::npos) kind = kind.substr(dot + 1);
  std::string reason = OneLine(error.getOriginalMsg().value_or(""), /*whole=*/true);
  if (reason.empty() || reason == "AssertionError:") return MarkedCode(text) + " failed";
  return kind.empty() || kind == "RuntimeError" ? reason : kind + ": " + reason;
}

Shape BatchShape(std::size_t rows, const Shape& one) {
  Shape shape = {static_cast<std::int64_t>(rows)};
  shape.insert(shape.end(), one.begin(), one.end());
  return shape;
}

// Returns the shape of one example of a batch without the sizes of 1.
Shape WithoutOnes(const at::Tensor& batch) {
  Shape shape;
  for (std::int64_t d = 1; d < batch.dim(); ++d) {
    if (batch.size(d) != 1) shape.push_back(batch.size(d));
  }
  return shape;
}

// Makes a batch of the type of `like`, which `fill` writes as double for double, else as float.
template <class Fill>
at::Tensor BatchOf(const Shape& shape, const at::Tensor& like, const Fill& fill) {
  const bool wide = like.scalar_type() == at::kDouble;
  const at::Tensor batch = at::empty(shape, wide ? at::kDouble : at::kFloat);
  if (wide) {
    fill(batch.data_ptr<double>());
  } else {
    fill(batch.data_ptr<float>());
  }
  return batch.to(like.device(), like.scalar_type());
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
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  if (const auto* raised = dynamic_cast<const torch::jit::JITException*>(&error)) {
    return RaisedReason(*raised, text);
  }
  // TorchScript writes its traceback first, with the code, and then the exception that caused it.
  constexpr std::string_view kException = "\nRuntimeError: ";
  const auto code = text.rfind(kCodeMark);
  const auto start = code == std::string::npos ? std::string::npos : text.find(kException, code);
  return OneLine(start == std::string::npos ? text : text.substr(start + kException.size()), /*whole=*/false);
}

at::Tensor InputsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like) {
  return BatchOf(BatchShape(rows.size(), data.input_shape), like, [&](auto* out) { data.CopyInputs(rows, out); });
}

at::Tensor LabelsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like) {
  if (data.classifies) {
    const at::Tensor classes = at::empty(BatchShape(rows.size(), {}), at::kLong);
    data.CopyClasses(rows, classes.data_ptr<std::int64_t>());
    return classes.to(like.device());
  }
  return BatchOf(BatchShape(rows.size(), data.target_shape), like, [&](auto* out) { data.CopyTargets(rows, out); });
}

Status CheckOutput(const Dataset& data, Loss loss, const at::Tensor& output, const at::Tensor& labels) {
  if (!output.is_floating_point()) {
    return Fail(Errc::kInvalid, std::string("the module's output is of type ") + c10::toString(output.scalar_type()) +
                                    "; a loss needs floating-point numbers: return scores, not classes (no argmax)");
  }
  const auto shapes = [&] {
    return "the module's output is " + ToString(output.sizes().vec()) + ", a batch of labels in " + data.labels_file +
           " is " + ToString(labels.sizes().vec());
  };
  if (loss == Loss::kMse) {
    if (output.dim() == 0 || output.size(0) != labels.size(0) || output.numel() != labels.numel()) {
      return Fail(Errc::kInvalid, shapes() + ": mse needs as many values in both");
    }
    const Shape one = WithoutOnes(output);
    const Shape other = WithoutOnes(labels);
    if (one == other || one.size() < 2 || other.size() < 2) return {};
    return Fail(Errc::kInvalid, shapes() + ": mse compares values at the same place, so both need the same shape");
  }
  if (output.dim() != 2 || output.size(0) != labels.size(0)) {
    return Fail(Errc::kInvalid, shapes() + ": nll and cross_entropy need an output of [" +
                                    std::to_string(labels.size(0)) + ", classes]");
  }
  return {};
}

Status CheckMeaning(const Dataset& data, Loss loss, const at::Tensor& output) {
  if (loss == Loss::kMse) return {};
  FURROW_TRY(CheckClasses(data, output.size(1)));
  const double most = loss == Loss::kNll ? output.detach().max().item<double>() : 0;
  constexpr double kRounding = 1e-3;  // a logarithm of a probability is at most 0
  if (!(most > kRounding)) return {};
  char number[32];
  std::snprintf(number, sizeof number, "%.3g", most);
  return Fail(Errc::kInvalid,
              std::string("loss: nll compares logarithms of probabilities, which are at most 0, but the "
                          "module's output has ") +
                  number + "; use loss: cross_entropy, or end the module with log_softmax");
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
