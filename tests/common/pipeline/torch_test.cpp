#include <algorithm>

#include "common/pipeline/torch.h"

#include <doctest/doctest.h>

using namespace furrow;

namespace {

constexpr std::string_view kHead = "jobs:\n  a:\n    steps:\n      - ";

ParsedPipeline ParseStep(std::string_view step) {
  return ParsePipeline(std::string(kHead) + std::string(step), "n");
}

std::string SpecOf(std::string_view step) {
  const ParsedPipeline parsed = ParseStep(step);
  INFO(FormatDiagnostics("f", parsed.diagnostics));
  REQUIRE(parsed.ok());
  return std::get<TorchStep>(parsed.pipeline.jobs[0].steps[0].action).spec_json;
}

// "column message" of each mistake.
std::string Mistakes(std::string_view step) {
  std::string text;
  for (const Diagnostic& found : ParseStep(step).diagnostics) {
    text += std::to_string(found.column) + " " + found.message + "\n";
  }
  return text;
}

std::string TrainWith(std::string_view optimizer) {
  return "train: { model: m, out: o, data: { format: csv, file: f }, optimizer: " + std::string(optimizer) + " }";
}
std::string EvaluateOf(std::string_view data) {
  return "evaluate: { model: m, data: { " + std::string(data) + " } }";
}

}  // namespace

TEST_CASE("pipeline torch: numbers keep their kind, texts stay texts, defaults stay away") {
  CHECK(
      SpecOf("train: { model: 5, out: o.pt, seed: 7, shuffle: false, drop_last: true, device: cpu, threads: 2, "
             "log_every: 0, loss: mse,\n"
             "   optimizer: { adamw: { lr: 1e-3, betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0, amsgrad: true } },\n"
             "   data: { format: npy, inputs: x.npy, labels: y.npy, shape: [1, 28, 28], limit: 100, scale: 1, mean: "
             "[0.5], std: 2 } }") ==
      R"({"data":{"format":"npy","inputs":"x.npy","labels":"y.npy","limit":100,"mean":[0.5],"scale":1,"shape":[1,28,28],"std":2},)"
      R"("device":"cpu","drop_last":true,"log_every":0,"loss":"mse","model":"5",)"
      R"("optimizer":{"adamw":{"amsgrad":true,"betas":[0.9,0.99],"eps":1e-08,"lr":0.001,"weight_decay":0}},)"
      R"("out":"o.pt","seed":7,"shuffle":false,"threads":2})");
  CHECK(SpecOf(EvaluateOf("format: csv, file: f, label: -1, header: false")) ==
        R"({"data":{"file":"f","format":"csv","header":false,"label":-1},"model":"m"})");
  CHECK(SpecOf(EvaluateOf("format: csv, file: \"US$ 5/f\", label: price")) ==
        R"({"data":{"file":"US$ 5/f","format":"csv","label":"price"},"model":"m"})");
  CHECK(SpecOf(TrainWith("{ adam: {} }")) ==
        R"({"data":{"file":"f","format":"csv"},"model":"m","optimizer":{"adam":{}},"out":"o"})");
}

TEST_CASE("pipeline torch: what is required and missing is named, all at once") {
  CHECK(Mistakes("train: {}") ==
        "16 `train` of step 1 of job `a` needs `model`, such as `model: net.pt`\n"
        "16 `train` of step 1 of job `a` needs `data`, such as `data: { format: csv, file: train.csv }`\n"
        "16 `train` of step 1 of job `a` needs `out`, such as `out: trained.pt`\n"
        "16 `train` of step 1 of job `a` needs `optimizer`, such as `optimizer: { sgd: { lr: 0.01 } }`\n");
  CHECK(Mistakes("evaluate: { model: m, data: {} }") ==
        "37 `data` in `evaluate` of step 1 of job `a` needs `format`, such as `format: idx`\n");
}

TEST_CASE("pipeline torch: each wrong value is refused in words") {
  struct Bad {
    std::string step;
    std::string message;
  };
  const std::vector<Bad> table = {
      {EvaluateOf("format: jpeg"), "must be `idx`, `npy` or `csv`, not `jpeg`"},
      {EvaluateOf("format: idx, images: i"), "needs `labels`"},
      {EvaluateOf("format: npy, labels: i"), "needs `inputs`"},
      {EvaluateOf("format: csv"), "needs `file`"},
      {EvaluateOf("format: csv, file: f, images: i"), "is for format `idx`; this one is `csv`"},
      {EvaluateOf("format: csv, file: f, header: yes"), "must be `true` or `false`, not `yes`"},
      {EvaluateOf("format: csv, file: f, shape: []"), "must have 1 to 8 sizes"},
      {EvaluateOf("format: csv, file: f, shape: [0]"), "must be a whole number from 1 on, not `0`"},
      {EvaluateOf("format: csv, file: f, limit: 0"), "must be a whole number from 1"},
      {EvaluateOf("format: csv, file: f, scale: -1"), "must be above zero"},
      {EvaluateOf("format: csv, file: f, std: [1, 0]"), "must be a number (above zero), not `0`"},
      {EvaluateOf("format: csv, file: f, mean: []"),
       "must be a number (finite) or a list with one a channel, not an empty list"},
      {EvaluateOf("format: csv, file: f, mean: .nan"), "must be a number"},
      {EvaluateOf("format: csv, file: f, fiel: g"), "unknown key `fiel`"},
      {EvaluateOf("format: csv, fiel: g"), "did you mean `file`?"},
      {TrainWith("{}"), "must have exactly one of"},
      {TrainWith("{ sgd: { lr: 1 }, adam: {} }"), "must have exactly one of"},
      {TrainWith("sgd"), "must be a mapping of keys to values, not `sgd`"},
      {TrainWith("{ sgd: {} }"), "needs `lr`"},
      {TrainWith("{ sgd: { lr: 0 } }"), "must be above zero"},
      {TrainWith("{ sgd: { lr: \"0.01\" } }"), "must be a number, not `0.01` in quotes"},
      {TrainWith("{ sgd: { lr: 1, momentum: -1 } }"), "may not be below zero"},
      {TrainWith("{ sgd: { lr: 1, nesterov: true } }"), "needs `momentum` above zero"},
      {TrainWith("{ adam: { betas: [0.9, 1] } }"), "must be two numbers from 0 to below 1"},
      {TrainWith("{ adam: { momentum: 1 } }"), "unknown key `momentum`"},
      {TrainWith("{ sgd: { lr: 1, learning_rate: 1 } }"), "here it is called `lr`"},
      {TrainWith("{ lion: {} }"), "it may have `sgd`, `adam` or `adamw`"},
      {"evaluate: { model: m, data: { format: csv, file: f }, metrics: [] }", "is empty"},
      {"evaluate: { model: m, data: { format: csv, file: f }, metrics: [loss, loss] }",
       "the metric `loss` stands twice"},
      {"evaluate: { model: m, data: { format: csv, file: f }, metrics: [f1] }",
       "must be `accuracy`, `loss`, `mse` or `mae`, not `f1`"},
      {"evaluate: { model: m, data: { format: csv, file: f }, loss: mse, metrics: [accuracy] }",
       "does not go with `loss: mse`"},
      {"evaluate: { model: m, data: { format: csv, file: f }, metrics: [mae] }", "the metric `mae` needs `loss: mse`"},
      {"evaluate: { model: m, data: { format: csv, file: f }, epochs: 2 }", "it belongs under `train`"},
      {TrainWith("{ sgd: { lr: 1 } }, lr: 0.1"),
       "unknown key `lr` in `train` of step 1 of job `a`; it belongs under `optimizer: { sgd: … }` or"},
      {TrainWith("{ sgd: { lr: 1 } }, learning_rate: 0.1"),
       "it is called `lr` and belongs under `optimizer: { sgd: … }` or"},
      {"evaluate: { model: \"\", data: { format: csv, file: f } }", "must be a text, not an empty text"},
      {"evaluate: { model: m, data: { format: csv, file: f }, batch: 1.5 }",
       "must be a whole number from 1 to 1,000,000, not `1.5`"},
      {EvaluateOf("format: csv, file: f, label: y, header: false"), "is a name, but `header` is false"},
      {EvaluateOf("format: csv, file: f, label: 9999999"), "is no column"},
      {EvaluateOf("format: csv, file: f, shape: [3, 2], mean: [1, 2]"),
       "the first size of `shape`, which counts the channels, is 3"},
      {"evaluate: m.pt", "must be a mapping of keys to values, not `m.pt`"},
  };
  for (const Bad& bad : table) {
    const std::string mistakes = Mistakes(bad.step);
    INFO(bad.step, "\n", mistakes);
    CHECK(mistakes.find(bad.message) != std::string::npos);
    CHECK(std::count(mistakes.begin(), mistakes.end(), '\n') == 1);
  }
}

TEST_CASE("pipeline torch: a step that needs a GPU is refused in a job that asks for none") {
  const auto mistakes = [](const std::string& resources, const std::string& device) {
    const std::string text = "jobs:\n  a:\n" + resources + "    steps:\n      - " +
                             "evaluate: { model: m, data: { format: csv, file: f }" + device + " }";
    return FormatDiagnostics("f", ParsePipeline(text, "n").diagnostics);
  };
  const std::string gpu = "    resources: { gpus: 1 }\n";
  CHECK(mistakes("", ", device: cuda").find("add `resources: { gpus: 1 }`") != std::string::npos);
  CHECK(mistakes("    resources: { cpus: 2 }\n", ", device: cuda").find("device: cuda") != std::string::npos);
  CHECK(mistakes(gpu, ", device: cuda").empty());
  CHECK(mistakes("    resources: { gpus: 0.5 }\n", ", device: cuda").empty());
  for (const std::string device : {"", ", device: auto", ", device: cpu"}) CHECK(mistakes("", device).empty());
}

TEST_CASE("pipeline torch: a variable is refused wherever a native step has one") {
  const std::string data = "data: { format: csv, file: f }";
  const std::string sgd = "optimizer: { sgd: { lr: 1 } }";
  const std::vector<std::string> steps = {
      "train: { model: m, out: o, " + data + ", " + sgd + ", epochs: $EPOCHS }",
      "train: { model: m, out: o, " + data + ", " + sgd + ", seed: \"${SEED}\" }",
      "train: { model: m, out: o, " + data + ", " + sgd + ", shuffle: $SHUFFLE }",
      "train: { model: m, out: o, " + data + ", " + sgd + ", device: $DEVICE }",
      "train: { model: m, out: o, " + data + ", optimizer: { sgd: { lr: $LR } } }",
      "train: { model: $MODEL, out: o, " + data + ", " + sgd + " }",
      "train: { model: m, out: \"out/${NAME}.pt\", " + data + ", " + sgd + " }",
      EvaluateOf("format: csv, file: $FILE"),
      EvaluateOf("format: csv, file: f, dir: $DATA/x"),
      EvaluateOf("format: csv, file: f, label: $LABEL"),
      EvaluateOf("format: csv, file: f, mean: $MEAN"),
      EvaluateOf("format: csv, file: f, shape: [1, $SIZE]"),
      EvaluateOf("format: csv, file: f, limit: \"${LIMIT}\""),
      "check: { accuracy: \">= $BEST\" }",
  };
  for (const std::string& step : steps) {
    const std::string mistakes = Mistakes(step);
    INFO(step, "\n", mistakes);
    CHECK(mistakes.find('$') != std::string::npos);
    CHECK((mistakes.find("write the value itself") != std::string::npos ||
           mistakes.find("write the number itself") != std::string::npos ||
           mistakes.find("write the name itself") != std::string::npos));
  }
}

TEST_CASE("pipeline torch: a place that no file can have is refused as `out`") {
  const auto with = [](const std::string& out) {
    return "train: { model: m, out: \"" + out +
           "\", data: { format: npy, dir: d, inputs: x.npy, labels: y.npy }, optimizer: { adam: {} } }";
  };
  for (const std::string out : {"out/", "models/.", "..", "/"}) {
    INFO(out);
    CHECK(Mistakes(with(out)).find(", a folder; name a file in it") != std::string::npos);
  }
  for (const std::string out : {"/dev/null", "/dev/sda", "/dev/stdout", "/proc/self/fd/1", "/sys/x"}) {
    INFO(out);
    CHECK(Mistakes(with(out)).find("which is no place for a file") != std::string::npos);
  }
  CHECK(Mistakes(with("d/x.npy")).find("is a file of the data, which it would replace") != std::string::npos);
  for (const std::string out : {"o.pt", "a/b.pt", "/srv/models/a.pt", "/dev/shm/a.pt", "m"})
    CHECK(Mistakes(with(out)).empty());
}
