#include "agent/torch/spec.h"

#include <algorithm>

#include "agent/torch/spec_reader.h"

namespace furrow::steps {
namespace {

using nlohmann::json;

constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

const std::vector<std::string> kFormats = {"idx", "npy", "csv"};
const std::vector<std::string> kLosses = {"nll", "cross_entropy", "mse"};
const std::vector<std::string> kMetrics = {"accuracy", "loss", "mse", "mae"};
const std::vector<std::string> kDevices = {"auto", "cpu", "cuda"};

std::string InFolder(const std::string& folder, const std::string& name) {
  if (folder.empty() || name.empty() || name.front() == '/') return name;
  return folder + (folder.ends_with('/') ? "" : "/") + name;
}

Result<DataSpec> ParseData(const json& object, const std::string& where) {
  SpecReader reader(object, where);
  DataSpec data;
  data.format = static_cast<Format>(reader.Word("format", kFormats, -1));
  const std::string folder = reader.Text("dir", false);
  switch (data.format) {
    case Format::kIdx:
      data.inputs = InFolder(folder, reader.Text("images"));
      data.labels = InFolder(folder, reader.Text("labels"));
      break;
    case Format::kNpy:
      data.inputs = InFolder(folder, reader.Text("inputs"));
      data.labels = InFolder(folder, reader.Text("labels"));
      break;
    case Format::kCsv:
      data.inputs = InFolder(folder, reader.Text("file"));
      data.csv.header = reader.Bool("header", true);
      data.csv.header_chosen = reader.Has("header");
      if (object.contains("label") && object["label"].is_string()) {
        data.csv.label = reader.Text("label");
        if (!data.csv.header) reader.Mistake("label", "is a name, but data.header is false: give the column's number");
      } else {
        data.csv.label = reader.Int("label", -1, -kMillion, kMillion);
      }
      break;
  }
  data.shape = reader.Ints("shape", 8, 1);
  data.limit = reader.Int("limit", 0, 1, kMost);
  data.scale = reader.Number("scale", 0, 0, true);
  data.mean = reader.Numbers("mean", false);
  data.deviation = reader.Numbers("std", true);
  FURROW_TRY(reader.Done());
  return data;
}

Result<Sgd> ParseSgd(const json& object, const std::string& where) {
  SpecReader reader(object, where);
  Sgd sgd;
  sgd.lr = reader.Number("lr", 0, 0, true);
  if (!reader.Has("lr")) reader.Mistake("lr", "is missing");
  sgd.momentum = reader.Number("momentum", 0, 0);
  sgd.dampening = reader.Number("dampening", 0, 0);
  sgd.weight_decay = reader.Number("weight_decay", 0, 0);
  sgd.nesterov = reader.Bool("nesterov", false);
  if (sgd.nesterov && (sgd.momentum <= 0 || sgd.dampening != 0)) {
    reader.Mistake("nesterov", "needs a momentum > 0 and no dampening");
  }
  FURROW_TRY(reader.Done());
  return sgd;
}

Result<Adam> ParseAdam(const json& object, const std::string& where, bool decoupled) {
  SpecReader reader(object, where);
  Adam adam;
  adam.decoupled = decoupled;
  adam.lr = reader.Number("lr", adam.lr, 0, true);
  if (const auto betas = reader.Numbers("betas", false); !betas.empty()) {
    const bool good =
        betas.size() == 2 && std::all_of(betas.begin(), betas.end(), [](double beta) { return beta >= 0 && beta < 1; });
    if (good) {
      adam.beta1 = betas[0];
      adam.beta2 = betas[1];
    } else {
      reader.Mistake("betas", "must be two numbers, each at least 0 and less than 1");
    }
  }
  adam.eps = reader.Number("eps", adam.eps, 0);
  adam.weight_decay = reader.Number("weight_decay", decoupled ? 0.01 : 0, 0);
  adam.amsgrad = reader.Bool("amsgrad", false);
  FURROW_TRY(reader.Done());
  return adam;
}

Result<std::variant<Sgd, Adam>> ParseOptimizer(const json& object, const std::string& where) {
  const std::string name = object.size() == 1 ? object.begin().key() : "";
  if (name == "sgd" || name == "adam" || name == "adamw") {
    const json& values = object.begin().value();
    if (!values.is_object() && !values.is_null()) {
      return Fail(Errc::kInvalid, where + "." + name + " must be a mapping, e.g. { lr: 0.01 }");
    }
    const json fields = values.is_null() ? json::object() : values;
    if (name == "sgd") return ParseSgd(fields, where + ".sgd");
    return ParseAdam(fields, where + "." + name, name == "adamw");
  }
  return Fail(Errc::kInvalid,
              where + " must have exactly one of the keys sgd, adam, adamw, e.g. { sgd: { lr: 0.01 } }");
}

// Reads the keys that both steps share: model, loss, batch and machine.
template <class Spec>
void ReadCommon(SpecReader& reader, Spec& spec) {
  spec.model = reader.Text("model");
  spec.loss = static_cast<Loss>(reader.Word("loss", kLosses, static_cast<int>(Loss::kCrossEntropy)));
  spec.batch = reader.Int("batch", spec.batch, 1, kMillion);
  spec.device = static_cast<DeviceChoice>(reader.Word("device", kDevices, 0));
  spec.threads = static_cast<int>(reader.Int("threads", 0, 0, 1024));
}

Result<json> ParseObject(std::string_view text, const std::string& step) {
  try {
    json object = json::parse(text);
    if (object.is_object()) return object;
    return Fail(Errc::kInvalid, step + ": the spec must be one JSON object");
  } catch (const json::exception& error) {
    return Fail(Errc::kInvalid, step + ": the spec is no JSON: " + error.what());
  }
}

}  // namespace

const char* ToString(Metric metric) {
  return kMetrics[static_cast<std::size_t>(metric)].c_str();
}

Result<TrainSpec> ParseTrainSpec(std::string_view text) {
  FURROW_ASSIGN(const json object, ParseObject(text, "train"));
  SpecReader reader(object, "train");
  TrainSpec spec;
  ReadCommon(reader, spec);
  spec.out = reader.Text("out");
  spec.epochs = reader.Int("epochs", spec.epochs, 1, kMillion);
  spec.seed = reader.Int("seed", 0, 0, kMost);
  spec.shuffle = reader.Bool("shuffle", true);
  spec.drop_last = reader.Bool("drop_last", false);
  spec.log_every = reader.Int("log_every", spec.log_every, 0, kMillion);
  const json& data = reader.Object("data");
  const json& optimizer = reader.Object("optimizer");
  FURROW_TRY(reader.Done());
  FURROW_ASSIGN(spec.data, ParseData(data, "train.data"));
  FURROW_ASSIGN(spec.optimizer, ParseOptimizer(optimizer, "train.optimizer"));
  return spec;
}

Result<EvaluateSpec> ParseEvaluateSpec(std::string_view text) {
  FURROW_ASSIGN(const json object, ParseObject(text, "evaluate"));
  SpecReader reader(object, "evaluate");
  EvaluateSpec spec;
  ReadCommon(reader, spec);
  const bool regression = spec.loss == Loss::kMse;
  for (const std::string& word : reader.Words("metrics", kMetrics)) {
    const auto metric = static_cast<Metric>(std::find(kMetrics.begin(), kMetrics.end(), word) - kMetrics.begin());
    spec.metrics.push_back(metric);
    if (metric != Metric::kLoss && (metric == Metric::kAccuracy) == regression) {
      reader.Mistake("metrics",
                     "has " + word + ", which needs " + (regression ? "loss: nll or cross_entropy" : "loss: mse"));
    }
  }
  if (spec.metrics.empty()) spec.metrics = {regression ? Metric::kMae : Metric::kAccuracy, Metric::kLoss};
  const json& data = reader.Object("data");
  FURROW_TRY(reader.Done());
  FURROW_ASSIGN(spec.data, ParseData(data, "evaluate.data"));
  return spec;
}

}  // namespace furrow::steps
