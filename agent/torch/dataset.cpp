#include "agent/torch/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "agent/torch/idx.h"
#include "agent/torch/npy.h"

namespace furrow::steps {
namespace {

struct Files {
  Array inputs;
  Array labels;  // CSV: float64 [N]
};

Result<Files> ReadFiles(const DataSpec& spec) {
  Files files;
  switch (spec.format) {
    case Format::kIdx: {
      FURROW_ASSIGN(files.inputs, ReadIdx(spec.inputs));
      FURROW_ASSIGN(files.labels, ReadIdx(spec.labels));
      Shape& shape = files.inputs.shape;
      if (shape.size() < 2 || shape.size() > 4) {
        return Fail(Errc::kInvalid, spec.inputs + ": holds " + ToString(shape) +
                                        ", images of 2 to 4 dimensions expected; are images and labels exchanged?");
      }
      if (shape.size() == 3) shape.insert(shape.begin() + 1, 1);  // Grey images have one channel.
      break;
    }
    case Format::kNpy: {
      FURROW_ASSIGN(files.inputs, ReadNpy(spec.inputs));
      FURROW_ASSIGN(files.labels, ReadNpy(spec.labels));
      break;
    }
    case Format::kCsv: {
      FURROW_ASSIGN(CsvTable table, ReadCsv(spec.inputs, spec.csv));
      files.inputs = std::move(table.inputs);
      files.labels.shape = {files.inputs.shape[0]};
      files.labels.values = std::move(table.labels);
      break;
    }
  }
  return files;
}

// Converts an array of whole numbers to class numbers.
Result<std::vector<std::int64_t>> ToClasses(const std::string& file, Array labels, Format format) {
  if (labels.shape.size() != 1) {
    return Fail(Errc::kInvalid, file + ": labels of shape " + ToString(labels.shape) +
                                    "; a classifying loss needs one class number an example ([N]), or use loss: mse");
  }
  if (auto* classes = std::get_if<std::vector<std::int64_t>>(&labels.values)) return std::move(*classes);
  if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&labels.values)) {
    return std::vector<std::int64_t>(bytes->begin(), bytes->end());
  }
  if (labels.beyond_int64) {
    return Fail(Errc::kInvalid, file +
                                    ": holds integer labels (uint64) beyond 9223372036854775807, which number no "
                                    "class; classes are numbered from 0 on: is it another column, or a wrapped -1?");
  }
  // A CSV file does not say the type of its numbers; an NPY file does.
  const auto* numbers = std::get_if<std::vector<double>>(&labels.values);
  if (format != Format::kCsv || numbers == nullptr) {
    return Fail(Errc::kInvalid,
                file + ": holds floating-point labels; save integers (y.astype('int64')) or use loss: mse");
  }
  std::vector<std::int64_t> classes;
  classes.reserve(numbers->size());
  for (std::size_t i = 0; i < numbers->size(); ++i) {
    if ((*numbers)[i] != std::floor((*numbers)[i]) || std::abs((*numbers)[i]) > 1e15) {
      return Fail(Errc::kInvalid, file + ": the label of example " + std::to_string(i) +
                                      " is no class number; name another column as data.label or use loss: mse");
    }
    classes.push_back(static_cast<std::int64_t>((*numbers)[i]));
  }
  return classes;
}

// Takes scale, mean and std, and checks that they fit the channels.
Status SetScaling(Dataset& data, const DataSpec& spec) {
  data.scale = spec.scale;
  data.mean = spec.mean;
  data.deviation = spec.deviation;
  const auto channels = data.input_shape.empty() ? std::size_t{1} : static_cast<std::size_t>(data.input_shape[0]);
  for (const auto& [name, list] : {std::pair{"mean", &spec.mean}, std::pair{"std", &spec.deviation}}) {
    if (list->size() > 1 && list->size() != channels) {
      return Fail(Errc::kInvalid, std::string("data.") + name + " has " + std::to_string(list->size()) +
                                      " numbers, but an example of " + data.inputs_file + " is " +
                                      ToString(data.input_shape) + ", so " + std::to_string(channels) + " channels");
    }
  }
  return {};
}

// Scales the values of one channel.
template <class Value>
class Scaling {
 public:
  Scaling(const Dataset& data, std::size_t channel)
      : divides_(data.scale <= 0 && std::holds_alternative<std::vector<std::uint8_t>>(data.inputs)),
        scale_(divides_         ? Value{255}
               : data.scale > 0 ? static_cast<Value>(data.scale)
                                : Value{1}),
        mean_(Of(data.mean, channel, 0)),
        deviation_(Of(data.deviation, channel, 1)) {}

  template <class From>
  Value operator()(From from) const {
    const auto value = static_cast<Value>(from);
    return ((divides_ ? value / scale_ : value * scale_) - mean_) / deviation_;
  }

 private:
  static Value Of(const std::vector<double>& list, std::size_t channel, double otherwise) {
    return static_cast<Value>(list.empty() ? otherwise : list.size() == 1 ? list[0] : list[channel]);
  }

  const bool divides_;
  const Value scale_;
  const Value mean_;
  const Value deviation_;
};

}  // namespace

Result<Dataset> LoadDataset(const DataSpec& spec, Loss loss) {
  FURROW_ASSIGN(Files files, ReadFiles(spec));
  Dataset data;
  data.inputs_file = spec.inputs;
  data.labels_file = spec.labels.empty() ? spec.inputs : spec.labels;
  data.count = files.inputs.shape[0];
  if (files.labels.shape[0] != data.count) {
    return Fail(Errc::kInvalid, data.labels_file + ": " + std::to_string(files.labels.shape[0]) + " labels, but " +
                                    spec.inputs + " has " + std::to_string(data.count) +
                                    " examples; give the two files that belong together");
  }
  if (data.count == 0) return Fail(Errc::kInvalid, spec.inputs + ": has no examples");
  data.input_shape.assign(files.inputs.shape.begin() + 1, files.inputs.shape.end());
  if (!spec.shape.empty()) {
    if (CountOf(spec.shape) != CountOf(data.input_shape)) {
      return Fail(Errc::kInvalid, "data.shape is " + ToString(spec.shape) + ", but an example of " + spec.inputs +
                                      " is " + ToString(data.input_shape) + ": as many values are needed");
    }
    data.input_shape = spec.shape;
  }
  data.classifies = loss != Loss::kMse;
  if (data.classifies) {
    FURROW_ASSIGN(data.classes, ToClasses(data.labels_file, std::move(files.labels), spec.format));
  } else {
    data.target_shape.assign(files.labels.shape.begin() + 1, files.labels.shape.end());
    data.targets = std::move(files.labels.values);
  }
  data.inputs = std::move(files.inputs.values);
  if (spec.limit > data.count) {
    return Fail(Errc::kInvalid, "data.limit is " + std::to_string(spec.limit) + ", but " + spec.inputs + " has only " +
                                    std::to_string(data.count) + " examples");
  }
  if (spec.limit > 0) data.count = spec.limit;
  FURROW_TRY(SetScaling(data, spec));
  return data;
}

template <class Value>
void Dataset::CopyInputs(std::span<const std::int64_t> rows, Value* out) const {
  const auto size = static_cast<std::size_t>(*CountOf(input_shape));
  const std::size_t channels = std::max({std::size_t{1}, mean.size(), deviation.size()});
  const std::size_t part = size / channels;
  std::vector<Scaling<Value>> scalings;
  for (std::size_t c = 0; c < channels; ++c) scalings.emplace_back(*this, c);
  if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&inputs)) {
    // A byte has only 256 values: a table holds the result of each.
    std::vector<std::array<Value, 256>> table(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t value = 0; value < 256; ++value) table[c][value] = scalings[c](value);
    }
    for (const std::int64_t row : rows) {
      const std::uint8_t* from = bytes->data() + static_cast<std::size_t>(row) * size;
      for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t i = 0; i < part; ++i) *out++ = table[c][*from++];
      }
    }
    return;
  }
  std::visit(
      [&](const auto& values) {
        for (const std::int64_t row : rows) {
          const auto* from = values.data() + static_cast<std::size_t>(row) * size;
          for (std::size_t c = 0; c < channels; ++c) {
            for (std::size_t i = 0; i < part; ++i) *out++ = scalings[c](*from++);
          }
        }
      },
      inputs);
}

template <class Value>
void Dataset::CopyTargets(std::span<const std::int64_t> rows, Value* out) const {
  const auto size = static_cast<std::ptrdiff_t>(*CountOf(target_shape));
  std::visit(
      [&](const auto& values) {
        for (const std::int64_t row : rows) {
          for (std::ptrdiff_t i = 0; i < size; ++i) {
            *out++ = static_cast<Value>(values[static_cast<std::size_t>(row * size + i)]);
          }
        }
      },
      targets);
}

template void Dataset::CopyInputs(std::span<const std::int64_t>, float*) const;
template void Dataset::CopyInputs(std::span<const std::int64_t>, double*) const;
template void Dataset::CopyTargets(std::span<const std::int64_t>, float*) const;
template void Dataset::CopyTargets(std::span<const std::int64_t>, double*) const;

void Dataset::CopyClasses(std::span<const std::int64_t> rows, std::int64_t* out) const {
  for (const std::int64_t row : rows) *out++ = classes[static_cast<std::size_t>(row)];
}

Status CheckClasses(const Dataset& data, std::int64_t classes) {
  for (std::size_t i = 0; i < data.classes.size(); ++i) {
    if (data.classes[i] >= 0 && data.classes[i] < classes) continue;
    return Fail(Errc::kInvalid, data.labels_file + ": label " + std::to_string(data.classes[i]) + " of example " +
                                    std::to_string(i) + " is out of range: the module gives " +
                                    std::to_string(classes) + " classes, 0 to " + std::to_string(classes - 1));
  }
  return {};
}

std::pair<std::int64_t, std::int64_t> ShardRange(std::int64_t examples, std::int64_t index, std::int64_t count) {
  return {examples * index / count, examples * (index + 1) / count};
}

}  // namespace furrow::steps
