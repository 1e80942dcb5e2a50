// Implements Model with a TorchScript module.

#include <sys/stat.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/script.h>

#include <fstream>

#include "agent/torch/data_file.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/runtime.h"
#include "agent/torch/whole_file.h"

namespace furrow::steps {
namespace {

constexpr const char* kCure = "save one with torch.jit.script(model).save(path)";

std::string Describe(const at::Tensor& tensor) {
  return ToString(tensor.sizes().vec()) + " " + c10::toString(tensor.scalar_type());
}

class TorchScriptModel final : public Model {
 public:
  TorchScriptModel(std::string path, torch::jit::Module module, bool on_gpu)
      : path_(std::move(path)), module_(std::move(module)), was_training_(module_.is_training()), on_gpu_(on_gpu) {}

  Result<at::Tensor> Forward(const at::Tensor& inputs) override {
    std::string reason;
    try {
      const torch::jit::GraphOptimizerEnabledGuard optimise(on_gpu_);
      arguments_.assign(1, inputs);
      c10::IValue output = module_.forward(arguments_);
      arguments_.clear();
      if (output.isTensor()) return std::move(output).toTensor();
      reason = "forward returned " + output.tagKind() + ", expected one tensor";
    } catch (const std::exception& error) {
      reason = ReasonOf(error);
      if (OutOfMemory(reason)) return Fail(Errc::kUnavailable, path_ + ": " + reason + "; lower batch");
    }
    return Fail(Errc::kInvalid, path_ + " does not fit the data: " + FirstWeight() + ", a batch of the data is " +
                                    Describe(inputs) + ": " + reason + "; set data.shape, or define the module for it");
  }

  Result<std::vector<at::Tensor>> Trainable() override {
    std::vector<at::Tensor> trainable;
    for (const auto& parameter : module_.named_parameters()) {
      if (!parameter.value.is_floating_point()) {
        return Fail(Errc::kInvalid, path_ + ": parameter " + parameter.name + " is " + Describe(parameter.value) +
                                        "; only floating-point numbers can be trained: make it a buffer "
                                        "(register_buffer)");
      }
      if (parameter.value.requires_grad()) trainable.push_back(parameter.value);
    }
    if (trainable.empty()) {
      return Fail(Errc::kInvalid, path_ +
                                      ": has no parameter that can be trained (none requires a gradient); "
                                      "save it before freezing or quantising");
    }
    return trainable;
  }

  at::Tensor InputOptions() override {
    for (const auto& parameter : module_.parameters()) {
      if (parameter.is_floating_point()) return at::empty({0}, parameter.options().requires_grad(false));
    }
    return at::empty({0}, at::kFloat);
  }

  void SetTraining(bool training) override { module_.train(training); }

  Status Save(const std::string& path) override {
    FURROW_ASSIGN(WholeFile file, WholeFile::Create(path));
    try {
      module_.train(was_training_);
      module_.to(at::kCPU);
      torch::jit::ExportModule(module_, [&](const void* bytes, std::size_t size) {
        file.Write(bytes, size);
        return size;  // Commit returns a failure, since Torch's writer would throw from a destructor.
      });
    } catch (const std::exception& error) {
      return Fail(Errc::kInternal, path + " was not written: " + ReasonOf(error));
    }
    return file.Commit();
  }

 private:
  static bool OutOfMemory(const std::string& reason) { return reason.find("out of memory") != std::string::npos; }

  // Returns a text like "its first weight conv1.weight is [32, 1, 3, 3] Float".
  std::string FirstWeight() const {
    for (const auto& parameter : module_.named_parameters()) {
      if (parameter.value.dim() >= 2) return "its first weight " + parameter.name + " is " + Describe(parameter.value);
    }
    return "it has no weights";
  }

  std::string path_;
  torch::jit::Module module_;
  bool was_training_;
  // TorchScript's optimiser runs only on a GPU, where it fuses kernels. On a CPU the optimiser fuses nothing and splits
  // relu's gradient into slower pieces: training the example's network without the optimiser is 10 % faster.
  bool on_gpu_;
  std::vector<c10::IValue> arguments_;
};

// Checks by the first bytes that the file is a zip archive. kInvalid: another file cannot be TorchScript.
Status CheckIsArchive(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return tl::unexpected(ErrnoError(path, errno));
  std::ifstream file(path, std::ios::binary);
  if (S_ISDIR(info.st_mode) || !file) return Fail(Errc::kInvalid, path + ": is no file that can be read");
  std::string start(16, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(file.gcount()));
  if (start.starts_with("PK\x03\x04")) return {};
  const std::string what = start.starts_with("\x80")
                               ? ": is a pickle, no TorchScript module; "
                               : ": is no TorchScript module (it starts with " + FirstBytes(start) + "); ";
  return Fail(Errc::kInvalid, path + what + kCure);
}

}  // namespace

Result<std::unique_ptr<Model>> LoadModel(const std::string& path, std::string_view device) {
  FURROW_TRY(CheckIsArchive(path));
  try {
    const c10::Device target{std::string(device)};
    return std::make_unique<TorchScriptModel>(path, torch::jit::load(path, target), target.is_cuda());
  } catch (const std::exception& error) {
    return Fail(Errc::kInvalid, path +
                                    ": can't be read as a TorchScript module (an archive of torch.save is none, "
                                    "a truncated file neither): " +
                                    ReasonOf(error) + "; " + kCure);
  }
}

}  // namespace furrow::steps
