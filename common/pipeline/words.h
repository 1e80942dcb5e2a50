// The vocabulary of furrow.yaml: which word may stand where, and which has no machinery yet.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace furrow::pipeline {

// Where a key may stand.
enum class Scope {
  kPipeline,
  kOn,
  kPush,
  kJob,
  kResources,
  kRetry,
  kStep,
  kTrain,
  kEvaluate,
  kData,
  kOptimizer,
  kSgd,
  kAdam,
};

struct Word {
  std::string_view text;
  bool ready;  // false: reserved, refused with "not yet"
};

// Every key that may stand in `scope`.
std::span<const Word> WordsOf(Scope scope);

// What is wrong with the key `word`, which stands in `where` ("job `test`") and is none of `scope`'s:
// names the place where it belongs, the word that is meant, or else all that may stand there.
std::string UnknownKey(std::string_view word, Scope scope, std::string_view where);

// "`matrix` is known but not yet built; remove it"
std::string NotYet(std::string_view word);

// The one of `known` that `word` was most likely meant to be, case ignored; none if all are far away.
std::optional<std::string_view> NearestWord(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace furrow::pipeline
