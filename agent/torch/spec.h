// Holds a train or an evaluate step of SPEC.md as checked values, with the defaults filled in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/torch/array.h"
#include "agent/torch/csv.h"
#include "common/base/error.h"

namespace furrow::steps {

enum class Format : std::uint8_t { kIdx, kNpy, kCsv };
enum class Loss : std::uint8_t { kNll, kCrossEntropy, kMse };
enum class Metric : std::uint8_t { kAccuracy, kLoss, kMse, kMae };
enum class DeviceChoice : std::uint8_t { kAuto, kCpu, kCuda };

struct DataSpec {
  Format format = Format::kIdx;
  std::string inputs;  // path from images, inputs or file, below `dir`
  std::string labels;  // path below `dir`; empty for CSV
  CsvOptions csv;
  Shape shape;                    // shape of one example; empty: the file's
  std::int64_t limit = 0;         // number of examples; 0: all
  double scale = 0;               // 0: by the inputs' type
  std::vector<double> mean;       // one value for all channels or one for each; empty: 0
  std::vector<double> deviation;  // `std`: one value for all channels or one for each; empty: 1
};

struct Sgd {
  double lr = 0;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};
struct Adam {
  double lr = 0.001;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
  bool decoupled = false;  // true: AdamW
};

struct TrainSpec {
  std::string model;
  DataSpec data;
  std::string out;
  std::variant<Sgd, Adam> optimizer;
  Loss loss = Loss::kCrossEntropy;
  std::int64_t epochs = 1;
  std::int64_t batch = 64;
  std::int64_t seed = 0;
  bool shuffle = true;
  bool drop_last = false;       // leaves out a last batch that is smaller than `batch`
  std::int64_t log_every = 50;  // steps; 0: at the end of each epoch only
  DeviceChoice device = DeviceChoice::kAuto;
  int threads = 0;  // 0: OMP_NUM_THREADS, else every CPU
};

struct EvaluateSpec {
  std::string model;
  DataSpec data;
  Loss loss = Loss::kCrossEntropy;
  std::vector<Metric> metrics;  // at least one
  std::int64_t batch = 256;
  DeviceChoice device = DeviceChoice::kAuto;
  int threads = 0;
};

// Each function parses one JSON object. kInvalid: the message names the first mistake by its path ("data.limit"), with
// the allowed values and, for an unknown key, the nearest known one.
Result<TrainSpec> ParseTrainSpec(std::string_view json);
Result<EvaluateSpec> ParseEvaluateSpec(std::string_view json);

const char* ToString(Metric metric);

}  // namespace furrow::steps
