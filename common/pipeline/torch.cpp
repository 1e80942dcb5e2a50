#include "common/pipeline/torch.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/pipeline/fields.h"
#include "common/pipeline/values.h"

namespace furrow::pipeline {

namespace {

using nlohmann::json;
using Kind = YamlNode::Kind;

constexpr std::int64_t kMillion = 1'000'000;

// Returns the number as the file writes it: an integer stays an integer.
json NumberJson(const YamlNode& node) {
  if (const auto integer = IntegerOf(node)) return *integer;
  return *NumberOf(node);
}

enum class PathUse : std::uint8_t { kRead, kWritten, kFolder };

// Returns what is wrong with a path as far as its text alone tells; empty: nothing.
std::string WhyNoPath(const std::string& path, PathUse use) {
  const bool written = use == PathUse::kWritten;
  if (HasVariable(path)) {
    return std::string("but a native step takes a text as it is; write the name itself, ") +
           (written ? "and copy the file to another name in a `run` step after it"
                    : "or copy the file to a fixed name in a `run` step before it");
  }
  if (path.starts_with('~')) {
    return "but a native step takes a text as it is, and only a shell puts a home folder for `~`; name a place in the "
           "workspace, or write the whole path from `/` on";
  }
  if (path.find("://") != std::string::npos) {
    return written ? "an address; name a file, and send it there in a `run` step after it"
                   : "an address; fetch the file in a `run` step before it";
  }
  const auto name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const bool folder = name.empty() || name == "." || name == "..";
  if (use == PathUse::kFolder || !folder) return {};
  return std::string("a folder; name a file in it") + (written ? ", such as `trained.pt`" : "");
}

// Holds one mapping on its way from the file to JSON.
struct Mapping {
  Fields fields;
  json out = json::object();

  // Takes a path. One that is refused is not taken, so that nothing else is said of it.
  void Path(std::string_view key, PathUse use = PathUse::kRead) {
    auto path = fields.Text(key);
    if (!path) return;
    const std::string wrong = WhyNoPath(*path, use);
    if (!wrong.empty()) return fields.Wrong(key, "is " + Quoted(*path) + ", " + wrong);
    out[std::string(key)] = std::move(*path);
  }
  void Integer(std::string_view key, std::int64_t low, std::int64_t high) {
    if (const auto value = fields.Integer(key, low, high)) out[std::string(key)] = *value;
  }
  void Bool(std::string_view key) {
    if (const auto value = fields.Bool(key)) out[std::string(key)] = *value;
  }
  void Choice(std::string_view key, const std::vector<std::string_view>& choices) {
    if (auto value = fields.Choice(key, choices)) out[std::string(key)] = std::move(*value);
  }
  void Positive(std::string_view key) {
    const auto value = fields.Number(key);
    if (!value) return;
    if (*value <= 0) return fields.Wrong(key, "must be above zero");
    out[std::string(key)] = NumberJson(*fields.Find(key));
  }
  void NotNegative(std::string_view key) {
    const auto value = fields.Number(key);
    if (!value) return;
    if (*value < 0) return fields.Wrong(key, "may not be below zero");
    out[std::string(key)] = NumberJson(*fields.Find(key));
  }

  // Returns the loss in force; agent/torch/SPEC.md defines the default.
  std::string Loss() {
    Choice("loss", {"nll", "cross_entropy", "mse"});
    return out.value("loss", "cross_entropy");
  }
  void Machine() {
    Choice("device", {"auto", "cpu", "cuda"});
    Integer("threads", 0, 1024);
  }
};

// Reads `mean` or `std`: a number, or one number for each channel.
void ReadChannels(Mapping& data, std::string_view key, bool positive) {
  const YamlNode* node = data.fields.Find(key);
  if (!node) return;
  const auto good = [&](const YamlNode& item) {
    const auto value = NumberOf(item);
    return value && (!positive || *value > 0);
  };
  const std::string numbers = positive ? "above zero" : "finite";
  if (node->kind == Kind::kList && !node->items.empty()) {
    json values = json::array();
    for (const YamlNode* item : node->items) {
      if (good(*item)) {
        values.push_back(NumberJson(*item));
      } else {
        WrongNumber(*item, "an item of " + data.fields.Named(key), "a number (" + numbers + ")", data.fields.report());
      }
    }
    data.out[std::string(key)] = std::move(values);
  } else if (good(*node)) {
    data.out[std::string(key)] = NumberJson(*node);
  } else {
    WrongNumber(*node, data.fields.Named(key), "a number (" + numbers + ") or a list with one a channel",
                data.fields.report());
  }
}

void ReadShape(Mapping& data) {
  if (!data.fields.Has("shape")) return;
  json shape = json::array();
  const auto items = data.fields.List("shape", "[1, 28, 28]");
  if (data.fields.Find("shape")->kind == Kind::kList && (items.empty() || items.size() > 8)) {
    return data.fields.Wrong("shape", "must have 1 to 8 sizes, such as [1, 28, 28]");
  }
  for (const YamlNode* item : items) {
    const auto size = IntegerOf(*item);
    if (size && *size >= 1) {
      shape.push_back(*size);
    } else {
      WrongNumber(*item, "an item of " + data.fields.Named("shape"), "a whole number from 1 on", data.fields.report());
    }
  }
  data.out["shape"] = std::move(shape);
}

void ReadCsvLabel(Mapping& data) {
  const YamlNode* label = data.fields.Find("label");
  if (!label) return;
  if (const auto column = IntegerOf(*label)) {
    data.out["label"] = *column;
    if (*column < -kMillion || *column > kMillion) data.fields.Wrong("label", "is no column");
  } else if (label->plain && ParseInteger(label->text)) {
    WrongNumber(*label, data.fields.Named("label"), "the number of a column, or its name in quotes",
                data.fields.report());
  } else if (auto name = data.fields.Text("label")) {
    if (name->starts_with('$') && HasVariable(*name)) {
      data.fields.Wrong("label",
                        "is " + Quoted(*name) + ", but a native step takes a text as it is; write the name itself");
    }
    if (data.fields.Has("header") && !data.fields.Bool("header").value_or(true)) {
      data.fields.Wrong("label", "is a name, but `header` is false: give the column's number");
    }
    data.out["label"] = std::move(*name);
  }
}

// Reads the files of `format`; a key of another format is a mistake.
void ReadFiles(Mapping& data, const std::string& format) {
  struct File {
    std::string_view key;
    std::vector<std::string_view> formats;
    std::string_view example;  // not empty: the key is required
  };
  const std::vector<File> files = {{"images", {"idx"}, "`images: train-images-idx3-ubyte.gz`"},
                                   {"labels", {"idx", "npy"}, "`labels: train-labels.gz`"},
                                   {"inputs", {"npy"}, "`inputs: train.npy`"},
                                   {"file", {"csv"}, "`file: train.csv`"},
                                   {"label", {"csv"}, ""},
                                   {"header", {"csv"}, ""}};
  for (const File& file : files) {
    if (std::find(file.formats.begin(), file.formats.end(), format) == file.formats.end()) {
      if (data.fields.Has(file.key)) {
        data.fields.Wrong(file.key, "is for format " + QuotedChoice(file.formats) + "; this one is " + Quoted(format));
      }
    } else {
      if (!file.example.empty()) data.fields.Require(file.key, std::string(file.example));
      if (file.key == "label") {
        ReadCsvLabel(data);
      } else if (file.key == "header") {
        data.Bool("header");
      } else {
        data.Path(file.key);
      }
    }
  }
}

// Adds the files of `data` to `uses`.
void AddUses(const Mapping& data, std::vector<FileUse>& uses) {
  if (data.fields.Has("dir") && !data.out.contains("dir")) return;
  const std::string folder = data.out.value("dir", "");
  // An index in place of a name says nothing of the first line.
  const bool unsaid = !data.out.contains("header") && (!data.out.contains("label") || !data.out["label"].is_string());
  for (const std::string_view key : {"images", "labels", "inputs", "file"}) {
    const YamlNode* node = data.fields.Find(key);
    if (node == nullptr || !data.out.contains(std::string(key))) continue;
    const std::string name = data.out[std::string(key)];
    uses.push_back({folder.empty() || name.starts_with('/') ? name : folder + "/" + name,
                    key == "file" && unsaid ? FileUse::Kind::kReadCsvWithNames : FileUse::Kind::kRead,
                    data.fields.Named(key), node->position});
  }
}

// Checks `mean` and `std` against the channels that `shape` says.
void CheckChannels(Mapping& data) {
  if (!data.out.contains("shape") || data.out["shape"].empty()) return;
  const auto channels = data.out["shape"][0].get<std::size_t>();
  for (const std::string_view key : {"mean", "std"}) {
    const json list = data.out.value(std::string(key), json());
    if (list.is_array() && list.size() > 1 && list.size() != channels) {
      data.fields.Wrong(key, "has " + std::to_string(list.size()) +
                                 " numbers, but the first size of `shape`, which "
                                 "counts the channels, is " +
                                 std::to_string(channels));
    }
  }
}

json ReadData(Fields& step, std::vector<FileUse>& uses) {
  step.Require("data", "`data: { format: csv, file: train.csv }`");
  const YamlNode* node = step.Find("data");
  if (!node) return json::object();
  Mapping data{Fields(*node, Scope::kData, step.Named("data"), node->position, step.report())};
  data.fields.Require("format", "`format: idx`");
  data.Choice("format", {"idx", "npy", "csv"});
  if (data.out.contains("format")) ReadFiles(data, data.out["format"]);
  data.Path("dir", PathUse::kFolder);
  ReadShape(data);
  data.Integer("limit", 1, std::numeric_limits<std::int64_t>::max());
  data.Positive("scale");
  ReadChannels(data, "mean", false);
  ReadChannels(data, "std", true);
  CheckChannels(data);
  AddUses(data, uses);
  return std::move(data.out);
}

json ReadSgd(const YamlNode& node, const std::string& where, Report& report) {
  Mapping sgd{Fields(node, Scope::kSgd, where, node.position, report)};
  sgd.fields.Require("lr", "`lr: 0.01`");
  sgd.Positive("lr");
  for (const std::string_view key : {"momentum", "dampening", "weight_decay"}) sgd.NotNegative(key);
  sgd.Bool("nesterov");
  const auto number = [&](const char* key) { return sgd.out.contains(key) ? sgd.out[key].get<double>() : 0.0; };
  if (sgd.out.value("nesterov", false) && (number("momentum") <= 0 || number("dampening") != 0)) {
    sgd.fields.Wrong("nesterov", "needs `momentum` above zero and no `dampening`");
  }
  return std::move(sgd.out);
}

json ReadAdam(const YamlNode& node, const std::string& where, Report& report) {
  Mapping adam{Fields(node, Scope::kAdam, where, node.position, report)};
  adam.Positive("lr");
  for (const std::string_view key : {"eps", "weight_decay"}) adam.NotNegative(key);
  adam.Bool("amsgrad");
  if (!adam.fields.Has("betas")) return std::move(adam.out);
  json betas = json::array();
  bool fit = true;
  for (const YamlNode* item : adam.fields.List("betas", "[0.9, 0.999]")) {
    const auto beta = NumberOf(*item);
    if (!beta) {
      WrongNumber(*item, "an item of " + adam.fields.Named("betas"), "a number", report);
      return std::move(adam.out);
    }
    fit = fit && *beta >= 0 && *beta < 1;
    betas.push_back(NumberJson(*item));
  }
  if (!fit || betas.size() != 2) {
    adam.fields.Wrong("betas", "must be two numbers from 0 to below 1, such as [0.9, 0.999]");
  }
  adam.out["betas"] = std::move(betas);
  return std::move(adam.out);
}

json ReadOptimizer(Fields& step) {
  step.Require("optimizer", "`optimizer: { sgd: { lr: 0.01 } }`");
  const YamlNode* node = step.Find("optimizer");
  if (!node) return json::object();
  Fields optimizer(*node, Scope::kOptimizer, step.Named("optimizer"), node->position, step.report());
  if (!optimizer.is_map()) return json::object();
  json out = json::object();
  for (const std::string_view name : {"sgd", "adam", "adamw"}) {
    const YamlNode* chosen = optimizer.Find(name);
    if (!chosen) continue;
    const std::string where = Quoted(name) + " of " + step.where();
    out[std::string(name)] =
        name == "sgd" ? ReadSgd(*chosen, where, step.report()) : ReadAdam(*chosen, where, step.report());
  }
  if (node->entries.empty() || out.size() > 1) {
    step.Wrong("optimizer", "must have exactly one of `sgd`, `adam` and `adamw`, such as { sgd: { lr: 0.01 } }");
  }
  return out;
}

void AddUse(const Mapping& step, std::string_view key, FileUse::Kind kind, std::vector<FileUse>& uses) {
  const YamlNode* node = step.fields.Find(key);
  if (node == nullptr || !step.out.contains(std::string(key))) return;
  uses.push_back({step.out[std::string(key)], kind, step.fields.Named(key), node->position});
}

// Checks `out` as far as its text alone tells. `uses` has the files of the data from `first` on.
void CheckOut(Mapping& train, const std::vector<FileUse>& uses, std::size_t first) {
  const std::string out = train.out.value("out", "");
  if (out.empty()) return;
  const bool device = out.starts_with("/dev/") && !out.starts_with("/dev/shm/");
  if (device || out.starts_with("/proc/") || out.starts_with("/sys/")) {
    train.fields.Wrong("out", "is " + Quoted(out) + ", which is no place for a file; name one in the workspace");
  }
  const std::string place = PlainPath(out);
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const std::string file = PlainPath(uses[i].path);
    if (i >= first && file == place) {
      train.fields.Wrong("out", "is a file of the data, which it would replace; name another file");
    } else if (place.starts_with(file + "/")) {
      train.fields.Wrong("out",
                         "is " + Quoted(out) + ", but " + Quoted(uses[i].path) + " is a file; name another place");
    } else {
      continue;
    }
    train.out.erase("out");  // Enough is said of it.
    return;
  }
}

void ReadTrain(Mapping& train, std::vector<FileUse>& uses) {
  train.fields.Require("model", "`model: net.pt`");
  train.Path("model");
  AddUse(train, "model", FileUse::Kind::kRead, uses);
  const std::size_t first = uses.size();
  train.out["data"] = ReadData(train.fields, uses);
  train.fields.Require("out", "`out: trained.pt`");
  train.Path("out", PathUse::kWritten);
  CheckOut(train, uses, first);
  AddUse(train, "out", FileUse::Kind::kWritten, uses);
  train.out["optimizer"] = ReadOptimizer(train.fields);
  train.Loss();
  train.Integer("epochs", 1, kMillion);
  train.Integer("batch", 1, kMillion);
  train.Integer("seed", 0, std::numeric_limits<std::int64_t>::max());
  train.Bool("shuffle");
  train.Bool("drop_last");
  train.Integer("log_every", 0, kMillion);
  train.Machine();
}

void ReadMetrics(Mapping& evaluate, const std::string& loss) {
  if (!evaluate.fields.Has("metrics")) return;
  const bool classifies = loss != "mse";
  json metrics = json::array();
  for (const YamlNode* item : evaluate.fields.TextList("metrics", "[accuracy, loss]")) {
    const std::string& metric = item->text;
    Report& report = evaluate.fields.report();
    if (metric != "accuracy" && metric != "loss" && metric != "mse" && metric != "mae") {
      WrongKind(*item, "an item of " + evaluate.fields.Named("metrics"),
                QuotedChoice({"accuracy", "loss", "mse", "mae"}), report);
    } else if (metric != "loss" && (metric == "accuracy") != classifies) {
      report.Add(item->position,
                 "the metric " + Quoted(metric) + (classifies ? " needs" : " does not go with") + " `loss: mse`");
    } else if (std::find(metrics.begin(), metrics.end(), metric) != metrics.end()) {
      report.Add(item->position, "the metric " + Quoted(metric) + " stands twice");
    }
    metrics.push_back(metric);
  }
  const YamlNode* list = evaluate.fields.Find("metrics");
  if (list->kind == Kind::kList && list->items.empty())
    evaluate.fields.Wrong("metrics", "is empty; leave it out for the usual ones");
  evaluate.out["metrics"] = std::move(metrics);
}

void ReadEvaluate(Mapping& evaluate, std::vector<FileUse>& uses) {
  evaluate.fields.Require("model", "`model: trained.pt`");
  evaluate.Path("model");
  AddUse(evaluate, "model", FileUse::Kind::kRead, uses);
  evaluate.out["data"] = ReadData(evaluate.fields, uses);
  ReadMetrics(evaluate, evaluate.Loss());
  evaluate.Integer("batch", 1, kMillion);
  evaluate.Machine();
}

}  // namespace

TorchStep ReadTorchStep(std::string_view verb, const YamlNode& node, const std::string& where, Position position,
                        Report& report, std::vector<FileUse>& uses) {
  const bool train = verb == "train";
  Mapping spec{Fields(node, train ? Scope::kTrain : Scope::kEvaluate, Quoted(verb) + " of " + where, position, report)};
  if (train) {
    ReadTrain(spec, uses);
  } else {
    ReadEvaluate(spec, uses);
  }
  // Text with bad UTF-8 is reported where it is read; with `replace`, dump does not throw over such text.
  return {std::string(verb), spec.out.dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace furrow::pipeline
