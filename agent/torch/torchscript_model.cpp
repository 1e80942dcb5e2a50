// Implements Model with a TorchScript module.

#include <sys/stat.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "agent/torch/data_file.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/runtime.h"
#include "agent/torch/whole_file.h"
#include "common/base/git_lfs.h"

namespace furrow::steps {
namespace {

constexpr const char* kCure = "save one with torch.jit.script(model).save(path)";

std::string Describe(const at::Tensor& tensor) {
  return ToString(tensor.sizes().vec()) + " " + c10::toString(tensor.scalar_type());
}

// Returns whether Torch's reason is about the shape of what a layer was given.
bool IsAboutShape(std::string_view reason) {
  const auto has = [&](std::string_view words) { return reason.find(words) != std::string_view::npos; };
  for (const char* words : {"mat1 and mat2 shapes",
                            "size mismatch",
                            "must match the size of tensor",
                            "is invalid for input of size",
                            "expected input",
                            "Expected number of channels",
                            "padded input size",
                            "Given input size",
                            "Given input with spatial size",
                            "running_mean should contain",
                            "normalized_shape",
                            "(unbatched)",
                            "input channel size",
                            "Dimension out of range",
                            "expected embedding dimension",
                            "input.size(-1) must be equal",
                            "input must have",
                            "must be 3-D",
                            "Padding size should be less",
                            "sizes provided",
                            "view size is not compatible",
                            "multiply up to the size of dim",
                            "Tensors must have same number of dimensions",
                            "Sizes of tensors must match",
                            "stack expects each tensor to be equal size",
                            "input.size(-3)",
                            "must be a matrix",
                            "must be a 3D tensor",
                            "number of dimensions",
                            "dimensions, but self is",
                            "exceeds dimension size",
                            "for tensor of size",
                            "maximum size for tensor"}) {
    if (has(words)) return true;
  }
  // "expected 4D input (got 2D input)", "Got 3D input, but bilinear mode needs 4D input"
  return has("D input") || has("D or 3D input") || has("D tensor");
}

// Returns what a module should return or take instead; `reason` is Torch's. None: only its author can know.
std::optional<std::string> CureFor(const std::string& reason, const at::Tensor& inputs) {
  const auto has = [&](std::string_view words) { return reason.find(words) != std::string::npos; };
  if (has("forward returned")) return "wrap it in a module whose forward returns the one tensor that the loss compares";
  if (has("Expected more than 1 value per channel")) {
    return "a normalisation cannot train on a batch of one example: set batch to 2 or more";
  }
  if (has("not implemented for 'Half'")) {
    return "a CPU does not compute float16 here: save the module as float32 (net.float()) or bfloat16, or use a GPU";
  }
  if (has("missing value for argument") || has("takes exactly") || has("expected at most")) {
    return "wrap it in a module whose forward takes one tensor, a batch of inputs";
  }
  if (has("scalar types: Long")) {
    return "inputs are floating-point numbers: begin its forward with x = x.long()";
  }
  if (has("index out of range in self")) {
    return "a table of the module (nn.Embedding) has fewer rows than the numbers of the data ask for: they must be "
           "from "
           "0 to num_embeddings - 1";
  }
  if (IsAboutShape(reason)) return "set data.shape, or define the module for it";
  if (has("dtype") || has("scalar type") || has("data type")) {
    return "its parts want inputs of different types: convert them in its forward (x.to(self.weight.dtype)); " +
           std::string("inputs are ") + c10::toString(inputs.scalar_type());
  }
  return std::nullopt;
}

class TorchScriptModel final : public Model {
 public:
  TorchScriptModel(std::string path, torch::jit::Module module, c10::Device device)
      : path_(std::move(path)), module_(std::move(module)), device_(device) {
    for (const torch::jit::Module& part : module_.modules()) modes_.emplace_back(part, part.is_training());
  }

  Result<at::Tensor> Forward(const at::Tensor& inputs) override {
    auto output = Run(module_, inputs);
    if (!output) return tl::unexpected(Explain(inputs, output.error()));
    return output;
  }

  Result<at::Tensor> Rehearse(const at::Tensor& inputs) override {
    const c10::NoGradGuard no_grad;
    std::optional<torch::jit::Module> copy;
    try {
      copy = module_.deepcopy();
    } catch (const std::exception& error) {
      return Fail(Errc::kInternal, ReasonOf(error));
    }
    return Run(*copy, inputs);
  }

  Error Explain(const at::Tensor& inputs, const Error& reason) const override {
    if (reason.code == Errc::kUnavailable) return {reason.code, path_ + ": " + reason.message + "; lower batch"};
    if (const auto cure = CureFor(reason.message, inputs)) {
      return {reason.code, path_ + " does not fit the data: " + FirstWeight() + ", a batch of the data is " +
                               Describe(inputs) + ": " + reason.message + "; " + *cure};
    }
    return {reason.code, path_ + " fails on a batch of the data, " + Describe(inputs) + ": " + reason.message +
                             "; call the module in Python on such a batch to see where"};
  }

  Result<std::vector<at::Tensor>> Trainable() override {
    std::vector<at::Tensor> trainable;
    std::set<const c10::TensorImpl*> seen;
    for (const auto& parameter : module_.named_parameters()) {
      if (!parameter.value.requires_grad()) continue;
      if (!parameter.value.is_floating_point()) {
        return Fail(Errc::kInvalid, path_ + ": parameter " + parameter.name + " is " + Describe(parameter.value) +
                                        "; only floating-point numbers can be trained: make it a buffer "
                                        "(register_buffer)");
      }
      if (seen.insert(parameter.value.unsafeGetTensorImpl()).second) trainable.push_back(parameter.value);
    }
    if (trainable.empty()) {
      return Fail(Errc::kInvalid, path_ +
                                      ": has no parameter that can be trained (none requires a gradient); save it "
                                      "before torch.jit.freeze or quantising, with requires_grad_(True)");
    }
    return trainable;
  }

  std::vector<at::Tensor> InputTypes() override {
    std::vector<c10::ScalarType> types;
    const auto add = [&](c10::ScalarType type) {
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    };
    for (const at::Tensor& tensor : module_.parameters()) {
      if (tensor.is_floating_point()) add(tensor.scalar_type());
    }
    for (const at::Tensor& tensor : module_.buffers()) {
      if (tensor.is_floating_point()) add(tensor.scalar_type());
    }
    if (types.empty()) types = {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf};
    if (types.size() == 1) add(at::kFloat);
    // A module of several types mostly converts by itself from what the data are.
    if (types.size() > 2) std::stable_partition(types.begin(), types.end(), [](auto t) { return t == at::kFloat; });
    std::vector<at::Tensor> likes;
    for (const c10::ScalarType type : types) likes.push_back(at::empty({0}, at::device(device_).dtype(type)));
    return likes;
  }

  void SetTraining(bool training) override { module_.train(training); }

  Status Save(const std::string& path) override {
    FURROW_ASSIGN(WholeFile file, WholeFile::Create(path));
    try {
      for (const auto& [part, training] : modes_) SetMode(part, training);
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
  // Returns the module's output, or the reason why there is none.
  Result<at::Tensor> Run(torch::jit::Module& module, const at::Tensor& inputs) const {
    try {
      // TorchScript's optimiser runs only on a GPU, where it fuses kernels. On a CPU the optimiser fuses nothing and
      // splits relu's gradient into slower pieces: training the example's network without the optimiser is 10 % faster.
      const torch::jit::GraphOptimizerEnabledGuard optimise(device_.is_cuda());
      c10::IValue output = module.forward({inputs});
      if (output.isTensor()) return std::move(output).toTensor();
      return Fail(Errc::kInvalid, "forward returned " + output.type()->annotation_str() + ", expected one tensor");
    } catch (const std::exception& error) {
      std::string reason = ReasonOf(error);
      const bool memory = reason.find("out of memory") != std::string::npos ||
                          reason.find("can't allocate memory") != std::string::npos;
      return Fail(memory ? Errc::kUnavailable : Errc::kInvalid, std::move(reason));
    }
  }

  // Module::train would change the parts of `part`, too.
  static void SetMode(const torch::jit::Module& part, bool training) {
    if (const auto slot = part._ivalue()->type()->findAttributeSlot("training")) {
      part._ivalue()->setSlot(*slot, training);
    }
  }

  // Returns a text like "its first weight conv1.weight is [32, 1, 3, 3] Float".
  std::string FirstWeight() const {
    for (const auto& parameter : module_.named_parameters()) {
      if (parameter.value.dim() >= 2) return "its first weight " + parameter.name + " is " + Describe(parameter.value);
    }
    return "it has no weights";
  }

  std::string path_;
  torch::jit::Module module_;
  c10::Device device_;
  std::vector<std::pair<torch::jit::Module, bool>> modes_;  // each part, and whether it was loaded in training mode
};

// Checks by the first bytes that the file is a zip archive. kInvalid: another file cannot be TorchScript.
Status CheckIsArchive(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return tl::unexpected(ErrnoError(path, errno));
  std::ifstream file(path, std::ios::binary);
  if (S_ISDIR(info.st_mode) || !file) return Fail(Errc::kInvalid, path + ": is no file that can be read");
  std::string start(64, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(file.gcount()));
  if (start.starts_with("PK\x03\x04")) return {};
  if (IsLfsPointer(start)) return Fail(Errc::kInvalid, path + ": " + kLfsPointer);
  const std::string what = start.starts_with("\x80")
                               ? ": is a pickle, no TorchScript module; "
                               : ": is no TorchScript module (it starts with " + FirstBytes(start) + "); ";
  return Fail(Errc::kInvalid, path + what + kCure);
}

// Returns why an archive is not loaded, and what to do; `reason` is Torch's.
std::string WhyNotLoaded(const std::string& reason) {
  const std::string ours = std::string("PyTorch ") + TORCH_VERSION;
  const std::string newer = "save it with " + ours +
                            " or an older one, or build furrow-torch against the LibTorch of "
                            "the PyTorch that saved it (-DTorch_DIR=…)";
  if (reason.find("PyTorch file with version") != std::string::npos) {
    return ": was saved by a newer PyTorch than the " + ours + " of furrow-torch: " + reason + "; " + newer;
  }
  constexpr std::string_view kUnknown = "Unknown builtin op: ";
  if (const auto at = reason.find(kUnknown); at != std::string::npos) {
    std::string name = reason.substr(at + kUnknown.size());
    name = name.substr(0, name.find_first_of(". \n"));
    const bool own = name.starts_with("aten::") || name.starts_with("prim::");
    return ": uses the operator " + name + ", which " + ours + " of furrow-torch does not have" +
           (own ? ", so a newer PyTorch saved it; " + newer
                : "; it is of a library (" + name.substr(0, name.find("::")) +
                      ") that furrow-torch does not load: define the module without it");
  }
  if (reason.find("required keyword attribute") != std::string::npos) {
    return ": can't be read: " + reason +
           "; save it before torch.jit.optimize_for_inference, after which no PyTorch "
           "reads it";
  }
  // What a newer PyTorch added to an operator's arguments is reported as a mistake in the module's code.
  if (reason.find("rgument") != std::string::npos || reason.find("schema") != std::string::npos) {
    return ": its code does not fit the " + ours + " of furrow-torch: " + reason + "; if a newer PyTorch saved it, " +
           newer;
  }
  return ": can't be read as a TorchScript module (an archive of torch.save is none, a truncated file neither): " +
         reason + "; " + kCure;
}

}  // namespace

Result<std::unique_ptr<Model>> LoadModel(const std::string& path, std::string_view device) {
  FURROW_TRY(CheckIsArchive(path));
  try {
    const c10::Device target{std::string(device)};
    return std::make_unique<TorchScriptModel>(path, torch::jit::load(path, target), target);
  } catch (const std::exception& error) {
    return Fail(Errc::kInvalid, path + WhyNotLoaded(ReasonOf(error)));
  }
}

}  // namespace furrow::steps
