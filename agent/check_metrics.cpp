#include "agent/check_metrics.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <vector>

#include "common/base/program.h"

namespace furrow {
namespace {

bool ParseNumber(const std::string& text, double& value) {
  char* end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

// Returns whether the value satisfies the rule. An infinite value or NaN satisfies none: a diverged training has no
// accuracy of infinity.
bool Holds(double value, const std::string& sign, double bound) {
  if (!std::isfinite(value)) return false;
  if (sign == "<") return value < bound;
  if (sign == "<=") return value <= bound;
  if (sign == ">") return value > bound;
  if (sign == ">=") return value >= bound;
  return value == bound;
}

// Returns the shortest text of exactly this number, so that 0.79999 is not printed as 0.8.
std::string Shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

int Usage(const std::string& argument) {
  Say("check-metrics: cannot read `" + argument + "`");
  return 2;
}

}  // namespace

int CheckMetricsMain(std::span<const std::string> arguments) {
  std::map<std::string, double> have;
  std::vector<std::string> rules;
  std::string reported;  // names of all reported metrics; empty: `have` holds all
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--have=")) {
      const std::string pair = argument.substr(7);
      const std::size_t split = pair.rfind('=');
      double value = 0;
      if (split == std::string::npos || !ParseNumber(pair.substr(split + 1), value)) return Usage(argument);
      have[pair.substr(0, split)] = value;
    } else if (argument.starts_with("--reported=")) {
      reported = argument.substr(11);
    } else if (argument.starts_with("--rule=")) {
      rules.push_back(argument.substr(7));
    } else {
      return Usage(argument);
    }
  }
  if (reported.empty())
    for (const auto& [name, value] : have) reported += (reported.empty() ? "" : ", ") + name;
  if (reported.empty()) reported = "nothing";
  bool all = true;
  for (const std::string& rule : rules) {
    std::istringstream words(rule);
    std::string name;
    std::string sign;
    std::string bound_text;
    double bound = 0;
    words >> name >> sign >> bound_text;
    const bool known_sign = sign == "<" || sign == "<=" || sign == ">" || sign == ">=" || sign == "==";
    if (!known_sign || !ParseNumber(bound_text, bound)) return Usage(rule);
    const auto value = have.find(name);
    if (value == have.end()) {
      std::printf("check: %s %s %s: FAILED: no needed job reported `%s` (reported: %s)\n", name.c_str(), sign.c_str(),
                  Shortest(bound).c_str(), name.c_str(), reported.c_str());
      all = false;
      continue;
    }
    const bool holds = Holds(value->second, sign, bound);
    std::printf("check: %s %s %s: %s (%s = %s)\n", name.c_str(), sign.c_str(), Shortest(bound).c_str(),
                holds ? "ok" : "FAILED", name.c_str(), Shortest(value->second).c_str());
    all = all && holds;
  }
  return all ? 0 : 1;
}

}  // namespace furrow
