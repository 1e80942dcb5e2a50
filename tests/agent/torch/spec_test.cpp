#include "agent/torch/spec.h"

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

using namespace furrow;
using namespace furrow::steps;

namespace {

const std::string kData = R"("data":{"format":"idx","images":"i","labels":"l"})";

std::string Train(const std::string& more) {
  return R"({"model":"net.pt","out":"out.pt","optimizer":{"sgd":{"lr":0.01}},)" + kData + more + "}";
}
std::string Evaluate(const std::string& more) {
  return R"({"model":"net.pt",)" + kData + more + "}";
}

std::string TrainMistake(const std::string& text) {
  const auto spec = ParseTrainSpec(text);
  return spec ? "" : spec.error().message;
}

}  // namespace

TEST_CASE("spec: defaults are those of SPEC.md") {
  const auto spec = ParseTrainSpec(Train(""));
  REQUIRE(spec);
  CHECK(spec->loss == Loss::kCrossEntropy);
  CHECK(spec->epochs == 1);
  CHECK(spec->batch == 64);
  CHECK(spec->shuffle);
  CHECK(spec->log_every == 50);
  CHECK(std::get<Sgd>(spec->optimizer).momentum == 0);
  const auto evaluate = ParseEvaluateSpec(Evaluate(""));
  REQUIRE(evaluate);
  CHECK(evaluate->metrics == std::vector<Metric>{Metric::kAccuracy, Metric::kLoss});
  CHECK(evaluate->batch == 256);
}

TEST_CASE("spec: dir stands before relative names only") {
  const auto spec = ParseTrainSpec(
      R"({"model":"m","out":"o","optimizer":{"adam":{}},"data":{"format":"npy","dir":"d","inputs":"x","labels":"/y"}})");
  REQUIRE(spec);
  CHECK(spec->data.inputs == "d/x");
  CHECK(spec->data.labels == "/y");
  CHECK(std::get<Adam>(spec->optimizer).lr == 0.001);
}

TEST_CASE("spec: adamw decays by 0.01, adam not at all") {
  const auto of = [](const std::string& name) {
    return std::get<Adam>(
        ParseTrainSpec(R"({"model":"m","out":"o","optimizer":{")" + name + R"(":{"betas":[0.5,0.6]}},)" + kData + "}")
            ->optimizer);
  };
  CHECK(of("adam").weight_decay == 0);
  CHECK(of("adamw").weight_decay == 0.01);
  CHECK(of("adamw").beta1 == 0.5);
}

TEST_CASE("spec: an unknown key is refused with the nearest known one") {
  CHECK(TrainMistake(Train(R"(,"epoch":2)")) == "train: unknown key 'epoch'; did you mean 'epochs'?");
  CHECK(TrainMistake(R"({"model":"m","out":"o","optimizer":{"sgd":{"lr":1,"momentun":1}},)" + kData + "}") ==
        "train.optimizer.sgd: unknown key 'momentun'; did you mean 'momentum'?");
  CHECK(ParseEvaluateSpec(Evaluate(R"(,"epochs":1)")).error().message.find("unknown key 'epochs'") !=
        std::string::npos);
}

TEST_CASE("spec: no known key is listed twice") {
  const std::string data = R"({"format":"csv","file":"f","zzzzzzzz":1})";
  for (const std::string& words :
       {TrainMistake(Train(R"(,"zzzzzzzzzzzz":2)")),
        TrainMistake(R"({"model":"m","out":"o","optimizer":{"sgd":{"lr":1}},"data":)" + data + "}"),
        TrainMistake(R"({"model":"m","out":"o","optimizer":{"sgd":{"lr":1,"zzzzzzzz":1}},)" + kData + "}"),
        ParseEvaluateSpec(Evaluate(R"(,"zzzzzzzzzzzz":1)")).error().message}) {
    const std::string start = "known are ";
    REQUIRE(words.find(start) != std::string::npos);
    std::istringstream list(words.substr(words.find(start) + start.size()));
    std::set<std::string> keys;
    for (std::string key; list >> key;) {
      if (key.ends_with(',')) key.pop_back();
      CHECK_MESSAGE(keys.insert(key).second, words);
    }
    CHECK(keys.size() > 2);
  }
}

TEST_CASE("spec: wrong types and ranges name the key, the value and what is allowed") {
  CHECK(TrainMistake(Train(R"(,"epochs":0)")) == "train.epochs is 0, expected a whole number from 1 to 1000000");
  CHECK(TrainMistake(Train(R"(,"batch":"big")")) ==
        "train.batch is \"big\", expected a whole number from 1 to 1000000");
  CHECK(TrainMistake(Train(R"(,"seed":18446744073709551615)")).starts_with("train.seed is 18446744073709551615"));
  CHECK(TrainMistake(Train(R"(,"shuffle":1)")) == "train.shuffle is 1, expected true or false");
  CHECK(TrainMistake(Train(R"(,"loss":"l1")")) == "train.loss is \"l1\", expected one of nll, cross_entropy, mse");
  CHECK(TrainMistake(R"({"out":"o"})") == "train.model is missing");
  CHECK(TrainMistake("[1]") == "train: the spec must be one JSON object");
  CHECK(TrainMistake("{").starts_with("train: the spec is no JSON"));
}

TEST_CASE("spec: an optimizer is exactly one of three, with an lr for sgd") {
  const auto with = [](const std::string& optimizer) {
    return TrainMistake(R"({"model":"m","out":"o","optimizer":)" + optimizer + "," + kData + "}");
  };
  CHECK(with("{}").starts_with("train.optimizer must have exactly one"));
  CHECK(with(R"({"sgd":{"lr":1},"adam":{}})").starts_with("train.optimizer must have exactly one"));
  CHECK(with(R"({"sgd":{}})") == "train.optimizer.sgd.lr is missing");
  CHECK(with(R"({"sgd":{"lr":0}})") == "train.optimizer.sgd.lr is 0, expected a number > 0");
  CHECK(with(R"({"sgd":{"lr":1,"nesterov":true}})").find("needs a momentum") != std::string::npos);
  CHECK(with(R"({"adam":{"betas":[0.9,1]}})").find("betas must be two numbers") != std::string::npos);
}

TEST_CASE("spec: metrics fit the loss and stand once") {
  CHECK(ParseEvaluateSpec(Evaluate(R"(,"loss":"mse","metrics":["mse","mae"])"))->metrics.size() == 2);
  CHECK(!ParseEvaluateSpec(Evaluate(R"(,"loss":"mse","metrics":["accuracy"])")));
  CHECK(!ParseEvaluateSpec(Evaluate(R"(,"metrics":["mae"])")));
  CHECK(!ParseEvaluateSpec(Evaluate(R"(,"metrics":["loss","loss"])")));
  CHECK(!ParseEvaluateSpec(Evaluate(R"(,"metrics":[])")));
}

TEST_CASE("spec: a csv label by name needs a header") {
  const std::string start = R"({"model":"m","data":{"format":"csv","file":"f","label":"y")";
  CHECK(std::get<std::string>(ParseEvaluateSpec(start + "}}")->data.csv.label) == "y");
  CHECK(!ParseEvaluateSpec(start + R"(,"header":false}})"));
}
