#include "common/pipeline/steps.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/text.h"
#include "common/pipeline/torch.h"
#include "common/pipeline/values.h"

namespace furrow::pipeline {

namespace {

using Kind = YamlNode::Kind;

constexpr std::size_t kNameBytes = 60;  // the length of a name made from what the step does
constexpr std::string_view kKinds[] = {"run", "exec", "train", "evaluate", "check"};

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Returns the first line of `text` that is not blank, without its indentation.
std::string FirstLine(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  text.remove_prefix(start);
  return Shortened(text.substr(0, text.find_first_of("\r\n")), kNameBytes);
}

std::string NumberText(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return error == std::errc() ? std::string(buffer, end) : std::string("?");
}

void CheckLength(const YamlNode& node, const std::string& what, Report& report) {
  if (node.text.size() > kMaxArgumentBytes) {
    report.Add(node.position, what + " is too long to be passed to a program (" + std::to_string(kMaxArgumentBytes) +
                                  " bytes at most); keep it in a file");
  }
}

Step ReadRun(Fields& step) {
  const YamlNode& node = *step.Find("run");
  if (node.kind != Kind::kScalar || IsBlank(node.text)) {
    WrongKind(node, step.Named("run"), "the text of a shell script", step.report());
  }
  CheckLength(node, step.Named("run"), step.report());
  return {FirstLine(node.text), RunStep{node.text}};
}

Step ReadExec(Fields& step) {
  ExecStep exec;
  std::string name;
  const YamlNode& node = *step.Find("exec");
  for (const YamlNode* item : step.List("exec", "[python3, train.py]")) {
    if (item->kind != Kind::kScalar || (exec.argv.empty() && item->text.empty())) {
      WrongKind(*item, exec.argv.empty() ? "the program of " + step.Named("exec") : "an item of " + step.Named("exec"),
                "a text", step.report());
    }
    CheckLength(*item, "an item of " + step.Named("exec"), step.report());
    if (name.size() <= kNameBytes) name += (name.empty() ? "" : " ") + item->text;
    exec.argv.push_back(item->text);
  }
  if (node.kind == Kind::kList && node.items.empty())
    step.Wrong("exec", "is empty; it needs a program, such as [make, test]");
  return {FirstLine(name), std::move(exec)};
}

Step ReadTorch(std::string_view verb, Fields& step, std::vector<FileUse>& uses) {
  const YamlNode& node = *step.Find(verb);
  std::string name(verb);
  for (const YamlNode::Entry& entry : node.entries) {
    if (entry.key->text == "model") name += " " + FirstLine(entry.value->text);
  }
  return {std::move(name), ReadTorchStep(verb, node, step.where(), node.position, step.report(), uses)};
}

Step ReadCheck(Fields& step) {
  CheckStep check;
  const YamlNode& node = *step.Find("check");
  const std::string what = step.Named("check");
  if (node.kind != Kind::kMap || node.entries.empty()) {
    WrongKind(
        node, what,
        "a mapping such as { accuracy: \">= 0.80\" }" + std::string(node.kind == Kind::kMap ? " with a rule" : ""),
        step.report());
  }
  std::string name;
  for (const auto& [key, value] : node.entries) {
    if (key->text.size() > 128 ||
        !std::all_of(key->text.begin(), key->text.end(), [](char c) { return static_cast<unsigned char>(c) > ' '; }) ||
        key->text.empty()) {
      step.report().Add(key->position, Quoted(key->text) + " is no metric's name: 1 to 128 letters without spaces");
    } else if (const std::string_view hidden = FirstHidden(key->text); !hidden.empty()) {
      step.report().Add(key->position, "the metric " + Quoted(key->text) + " holds the character " +
                                           CharacterName(hidden) + ", which nobody sees; remove it");
    }
    if (value->kind != Kind::kScalar) {
      WrongKind(*value, "the rule for " + Quoted(key->text), "a comparison such as \">= 0.80\"", step.report());
      continue;
    }
    auto rule = ParseRule(key->text, value->text);
    if (!rule) {
      step.report().Add(value->position, "the rule for " + Quoted(key->text) + " " + rule.error().message);
      continue;
    }
    name += (name.empty() ? "check " : ", ") + rule->metric + " " + std::string(ComparisonText(rule->comparison)) +
            " " + NumberText(rule->bound);
    check.rules.push_back(std::move(*rule));
  }
  return {Shortened(name, kNameBytes), std::move(check)};
}

Step ReadStep(const YamlNode& node, const std::string& where, Report& report, std::vector<FileUse>& uses) {
  if (node.kind == Kind::kScalar) {
    report.Add(node.position, where + " must be a mapping, not a text; write `- run: …`");
    return {};
  }
  Fields step(node, Scope::kStep, where, node.position, report);
  if (!step.is_map()) return {};

  std::vector<std::string_view> kinds;
  for (const std::string_view kind : kKinds) {
    if (step.Has(kind)) kinds.push_back(kind);
  }
  if (kinds.empty()) {
    // A key that the step has but that was refused is reported already.
    const bool named_only = std::all_of(node.entries.begin(), node.entries.end(),
                                        [](const YamlNode::Entry& entry) { return entry.key->text == "name"; });
    if (named_only)
      report.Add(node.position,
                 where + " does nothing; it needs " + QuotedChoice({std::begin(kKinds), std::end(kKinds)}));
    return {};
  }
  if (kinds.size() > 1) {
    report.Add(node.position, where + " does several things (" + Quoted(kinds[0]) + ", " + Quoted(kinds[1]) +
                                  "); make each a step of its own");
  }

  const std::string_view kind = kinds.front();
  Step read = kind == "run"     ? ReadRun(step)
              : kind == "exec"  ? ReadExec(step)
              : kind == "check" ? ReadCheck(step)
                                : ReadTorch(kind, step, uses);
  if (const auto name = step.Text("name")) read.name = FirstLine(*name);
  return read;
}

}  // namespace

std::vector<Step> ReadSteps(Fields& job, std::vector<FileUse>& uses) {
  std::vector<Step> steps;
  job.Require("steps", "`steps: [{ run: make }]`");
  const YamlNode* list = job.Find("steps");
  if (!list) return steps;
  const auto items = job.List("steps", "[{ run: make }]");
  if (list->kind == Kind::kList && list->items.empty()) job.Wrong("steps", "is empty; a job needs at least one step");
  for (const YamlNode* item : items) {
    const std::string where = "step " + std::to_string(steps.size() + 1) + " of " + job.where();
    const std::size_t known = uses.size();
    steps.push_back(ReadStep(*item, where, job.report(), uses));
    for (std::size_t i = known; i < uses.size(); ++i) uses[i].step = steps.size() - 1;
    if (steps.size() == 1 && std::holds_alternative<CheckStep>(steps[0].action) && !job.Has("needs")) {
      job.report().Add(item->position, where + " checks the metrics of needed jobs, but the job has no `needs`");
    }
  }
  return steps;
}

}  // namespace furrow::pipeline
