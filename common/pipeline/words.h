// Defines the vocabulary of furrow.yaml: which word may stand where, and which word is reserved for a feature not yet
// built.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace furrow::pipeline {

// A Scope is a mapping in which a key may stand.
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
  bool ready;  // false: the word is reserved and refused with "not yet"
};

// Returns every key that may stand in `scope`.
std::span<const Word> WordsOf(Scope scope);

// Says what is wrong with the key `word`, which stands in `where` ("job `test`") and is none of the keys of `scope`:
// the message names the scope where the key belongs, the word that is meant, or else every word that may stand there.
std::string UnknownKey(std::string_view word, Scope scope, std::string_view where);

// Says that the key `word` of `scope` has no value, and what to write. The words complete "`on` in the file ".
std::string NoValue(std::string_view word, Scope scope);

// Returns "`matrix` is known but not yet built; remove it".
std::string NotYet(std::string_view word);

// Returns the word of `known` that `word` was most likely meant to be, case ignored; none if all differ too much.
std::optional<std::string_view> NearestWord(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace furrow::pipeline
