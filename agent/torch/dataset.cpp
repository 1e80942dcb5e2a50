#include "agent/torch/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "agent/torch/idx.h"
#include "agent/torch/npy.h"

namespace furrow::steps {
namespace {

struct Files {
  Array inputs;
  Array labels;  // CSV: float32 [N]
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
      files.labels.values = std::vector<float>(table.labels.begin(), table.labels.end());
      break;
    }
  }
  return files;
}

// Converts an array of whole numbers to class numbers.
Result<std::vector<std::int64_t>> ToClasses(const std::string& file, const Array& labels, bool floats_allowed) {
  if (labels.shape.size() != 1) {
    return Fail(Errc::kInvalid, file + ": labels of shape " + ToString(labels.shape) +
                                    "; a classifying loss needs one class number an example ([N]), or use loss: mse");
  }
  std::vector<std::int64_t> classes;
  classes.reserve(static_cast<std::size_t>(labels.shape[0]));
  if (const auto* values = std::get_if<std::vector<float>>(&labels.values)) {
    if (!floats_allowed) {
      return Fail(Errc::kInvalid,
                  file + ": holds floating-point labels; save integers (y.astype('int64')) or use loss: mse");
    }
    for (std::size_t i = 0; i < values->size(); ++i) {
      if ((*values)[i] != std::floor((*values)[i]) || std::abs((*values)[i]) > 1e9F) {
        return Fail(Errc::kInvalid, file + ": the label of example " + std::to_string(i) +
                                        " is no class number; name another column as data.label or use loss: mse");
      }
      classes.push_back(static_cast<std::int64_t>((*values)[i]));
    }
  } else if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&labels.values)) {
    classes.assign(bytes->begin(), bytes->end());
  } else {
    classes = std::get<std::vector<std::int64_t>>(labels.values);
  }
  return classes;
}

std::vector<float> ToFloats(const Array& array) {
  return std::visit([](const auto& values) { return std::vector<float>(values.begin(), values.end()); }, array.values);
}

// Fills factor and offset from scale, mean and std.
Status SetScaling(Dataset& data, const DataSpec& spec) {
  const bool bytes = std::holds_alternative<std::vector<std::uint8_t>>(data.inputs);
  const double scale = spec.scale > 0 ? spec.scale : bytes ? 1.0 / 255 : 1.0;
  const auto channels = data.input_shape.empty() ? std::size_t{1} : static_cast<std::size_t>(data.input_shape[0]);
  const std::size_t given = std::max({std::size_t{1}, spec.mean.size(), spec.deviation.size()});
  for (const auto& [name, list] : {std::pair{"mean", &spec.mean}, std::pair{"std", &spec.deviation}}) {
    if (list->size() > 1 && list->size() != channels) {
      return Fail(Errc::kInvalid, std::string("data.") + name + " has " + std::to_string(list->size()) +
                                      " numbers, but an example of " + data.inputs_file + " is " +
                                      ToString(data.input_shape) + ", so " + std::to_string(channels) + " channels");
    }
  }
  const auto of = [](const std::vector<double>& list, std::size_t channel, double otherwise) {
    return list.empty() ? otherwise : list.size() == 1 ? list[0] : list[channel];
  };
  for (std::size_t c = 0; c < given; ++c) {
    const double deviation = of(spec.deviation, c, 1);
    data.factor.push_back(scale / deviation);
    data.offset.push_back(-of(spec.mean, c, 0) / deviation);
  }
  return {};
}

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
  if (loss == Loss::kMse) {
    data.target_shape.assign(files.labels.shape.begin() + 1, files.labels.shape.end());
    data.targets = ToFloats(files.labels);
  } else {
    FURROW_ASSIGN(data.classes, ToClasses(data.labels_file, files.labels, spec.format == Format::kCsv));
  }
  if (auto* bytes = std::get_if<std::vector<std::uint8_t>>(&files.inputs.values)) {
    data.inputs = std::move(*bytes);
  } else if (auto* floats = std::get_if<std::vector<float>>(&files.inputs.values)) {
    data.inputs = std::move(*floats);
  } else {
    data.inputs = ToFloats(files.inputs);
  }
  if (spec.limit > data.count) {
    return Fail(Errc::kInvalid, "data.limit is " + std::to_string(spec.limit) + ", but " + spec.inputs + " has only " +
                                    std::to_string(data.count) + " examples");
  }
  if (spec.limit > 0) data.count = spec.limit;
  FURROW_TRY(SetScaling(data, spec));
  return data;
}

void Dataset::CopyInputs(std::span<const std::int64_t> rows, float* out) const {
  const auto size = static_cast<std::size_t>(*CountOf(input_shape));
  const std::size_t channels = factor.size();  // 1: one factor for all channels
  const std::size_t part = size / channels;
  if (const auto* floats = std::get_if<std::vector<float>>(&inputs)) {
    for (const std::int64_t row : rows) {
      const float* from = floats->data() + static_cast<std::size_t>(row) * size;
      for (std::size_t c = 0; c < channels; ++c) {
        const auto by = static_cast<float>(factor[c]);
        const auto plus = static_cast<float>(offset[c]);
        for (std::size_t i = 0; i < part; ++i) *out++ = *from++ * by + plus;
      }
    }
    return;
  }
  // A byte has only 256 values: a table holds the exactly rounded result of each.
  std::vector<std::array<float, 256>> table(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t value = 0; value < 256; ++value) {
      table[c][value] = static_cast<float>(static_cast<double>(value) * factor[c] + offset[c]);
    }
  }
  const auto& bytes = std::get<std::vector<std::uint8_t>>(inputs);
  for (const std::int64_t row : rows) {
    const std::uint8_t* from = bytes.data() + static_cast<std::size_t>(row) * size;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < part; ++i) *out++ = table[c][*from++];
    }
  }
}

void Dataset::CopyClasses(std::span<const std::int64_t> rows, std::int64_t* out) const {
  for (const std::int64_t row : rows) *out++ = classes[static_cast<std::size_t>(row)];
}

void Dataset::CopyTargets(std::span<const std::int64_t> rows, float* out) const {
  const auto size = static_cast<std::ptrdiff_t>(*CountOf(target_shape));
  for (const std::int64_t row : rows) out = std::copy_n(targets.begin() + row * size, size, out);
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
