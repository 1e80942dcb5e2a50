#include "common/pipeline/words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "common/base/check.h"
#include "common/pipeline/report.h"

namespace furrow::pipeline {

namespace {

constexpr Word kPipelineWords[] = {{"name", true}, {"on", true}, {"env", true}, {"jobs", true}};
constexpr Word kOnWords[] = {{"push", true}, {"schedule", false}};
constexpr Word kPushWords[] = {{"branches", true}, {"paths", true}};
constexpr Word kJobWords[] = {
    {"needs", true},   {"resources", true}, {"labels", true},    {"env", true},           {"timeout", true},
    {"retry", true},   {"shards", true},    {"artifacts", true}, {"allow_failure", true}, {"steps", true},
    {"if", false},     {"secrets", false},  {"matrix", false},   {"nodes", false},        {"concurrency", false},
    {"image", false},  {"priority", false}, {"cache", false},    {"pure", false},         {"checkpoint", false},
    {"reports", false}};
constexpr Word kResourceWords[] = {{"gpus", true}, {"gpu_memory", true}, {"cpus", true}, {"memory", true}};
constexpr Word kRetryWords[] = {{"max", true}, {"on", true}};
constexpr Word kStepWords[] = {{"name", true},      {"run", true},      {"exec", true},
                               {"train", true},     {"evaluate", true}, {"check", true},
                               {"compress", false}, {"export", false},  {"benchmark", false}};
// agent/torch/SPEC.md defines the words of furrow-torch.
constexpr Word kTrainWords[] = {{"model", true},   {"data", true},      {"out", true},       {"optimizer", true},
                                {"loss", true},    {"epochs", true},    {"batch", true},     {"seed", true},
                                {"shuffle", true}, {"drop_last", true}, {"log_every", true}, {"device", true},
                                {"threads", true}};
constexpr Word kEvaluateWords[] = {{"model", true}, {"data", true},   {"loss", true},   {"metrics", true},
                                   {"batch", true}, {"device", true}, {"threads", true}};
constexpr Word kDataWords[] = {{"format", true}, {"dir", true},   {"images", true}, {"labels", true}, {"inputs", true},
                               {"file", true},   {"label", true}, {"header", true}, {"shape", true},  {"limit", true},
                               {"scale", true},  {"mean", true},  {"std", true}};
constexpr Word kOptimizerWords[] = {{"sgd", true}, {"adam", true}, {"adamw", true}};
constexpr Word kSgdWords[] = {
    {"lr", true}, {"momentum", true}, {"dampening", true}, {"weight_decay", true}, {"nesterov", true}};
constexpr Word kAdamWords[] = {{"lr", true}, {"betas", true}, {"eps", true}, {"weight_decay", true}, {"amsgrad", true}};

// Says where a misplaced word belongs.
constexpr std::pair<Scope, std::string_view> kHomes[] = {{Scope::kPipeline, "at the top of the file"},
                                                         {Scope::kOn, "under `on`"},
                                                         {Scope::kPush, "under `on: push`"},
                                                         {Scope::kJob, "in a job"},
                                                         {Scope::kResources, "under `resources`"},
                                                         {Scope::kRetry, "under `retry`"},
                                                         {Scope::kStep, "in a step"},
                                                         {Scope::kTrain, "under `train`"},
                                                         {Scope::kEvaluate, "under `evaluate`"},
                                                         {Scope::kData, "under `data`"},
                                                         {Scope::kOptimizer, "under `optimizer`"},
                                                         {Scope::kSgd, "under `optimizer: { sgd: … }`"},
                                                         {Scope::kAdam, "under `optimizer: { adam: … }`"}};
constexpr std::size_t kHomesNamed = 2;

// Maps the words of other systems to Furrow's, in lower case and with `_` for `-`. Where a word has several meanings,
// the one that may stand where the word does comes first.
constexpr std::pair<std::string_view, std::string_view> kForeign[] = {{"script", "run"},
                                                                      {"before_script", "run"},
                                                                      {"after_script", "run"},
                                                                      {"cmd", "run"},
                                                                      {"command", "run"},
                                                                      {"commands", "run"},
                                                                      {"bash", "run"},
                                                                      {"sh", "run"},
                                                                      {"training", "train"},
                                                                      {"eval", "evaluate"},
                                                                      {"validate", "evaluate"},
                                                                      {"assert", "check"},
                                                                      {"verify", "check"},
                                                                      {"gate", "check"},
                                                                      {"environment", "env"},
                                                                      {"variables", "env"},
                                                                      {"variable", "env"},
                                                                      {"vars", "env"},
                                                                      {"cron", "schedule"},
                                                                      {"runs_on", "labels"},
                                                                      {"tags", "labels"},
                                                                      {"label", "labels"},
                                                                      {"queue", "labels"},
                                                                      {"agents", "labels"},
                                                                      {"agent", "labels"},
                                                                      {"machine", "labels"},
                                                                      {"host", "labels"},
                                                                      {"pool", "labels"},
                                                                      {"depends_on", "needs"},
                                                                      {"dependson", "needs"},
                                                                      {"depends", "needs"},
                                                                      {"dependencies", "needs"},
                                                                      {"requires", "needs"},
                                                                      {"after", "needs"},
                                                                      {"parallel", "shards"},
                                                                      {"parallelism", "shards"},
                                                                      {"replicas", "shards"},
                                                                      {"timeout_minutes", "timeout"},
                                                                      {"timeout_in_minutes", "timeout"},
                                                                      {"time_limit", "timeout"},
                                                                      {"continue_on_error", "allow_failure"},
                                                                      {"soft_fail", "allow_failure"},
                                                                      {"retries", "retry"},
                                                                      {"max_retries", "retry"},
                                                                      {"max_retries", "max"},
                                                                      {"attempts", "max"},
                                                                      {"limits", "resources"},
                                                                      {"requests", "resources"},
                                                                      {"gpu", "gpus"},
                                                                      {"gpu_count", "gpus"},
                                                                      {"num_gpus", "gpus"},
                                                                      {"mem", "memory"},
                                                                      {"ram", "memory"},
                                                                      {"vram", "gpu_memory"},
                                                                      {"cpu", "cpus"},
                                                                      {"cores", "cpus"},
                                                                      {"num_cpus", "cpus"},
                                                                      {"outputs", "artifacts"},
                                                                      {"artifact_paths", "artifacts"},
                                                                      {"strategy", "matrix"},
                                                                      {"container", "image"},
                                                                      {"docker", "image"},
                                                                      {"when", "on"},
                                                                      {"when", "if"},
                                                                      {"only", "if"},
                                                                      {"except", "if"},
                                                                      {"rules", "if"},
                                                                      {"condition", "if"},
                                                                      {"trigger", "on"},
                                                                      {"triggers", "on"},
                                                                      {"true", "on"},
                                                                      {"tasks", "jobs"},
                                                                      {"workflow", "jobs"},
                                                                      {"workflows", "jobs"},
                                                                      {"pipelines", "jobs"},
                                                                      {"learning_rate", "lr"},
                                                                      {"batch_size", "batch"}};

// Says what to do instead of words of other systems that have no word here. Without a scope it counts for all.
struct Advice {
  std::string_view word;
  std::optional<Scope> scope;
  std::string_view words;
};
constexpr std::string_view kNoStages = "there are no stages: a job starts when the jobs in its `needs` have passed";
constexpr std::string_view kOnlyPushes =
    "only pushes of branches start runs by themselves; `furrow run` starts one by hand";
constexpr std::string_view kOnlyBranches =
    "pushes of tags start nothing; `branches` names the branches whose pushes do";
constexpr std::string_view kFolder = "write `run: cd FOLDER && …`";
constexpr Advice kAdvice[] = {
    {"stage", {}, kNoStages},
    {"stages", {}, kNoStages},
    {"uses", {}, "actions of other systems are not known here; write what it does as a step `run: …`"},
    {"with", {}, "a step `run: …` gets its arguments in its script, and variables from `env`"},
    {"shell", {}, "`run` is a script of bash; write `exec: [PROGRAM, …]` for another one"},
    {"services", {}, "there are no services; start what the job needs in its step `run: …`"},
    {"working_directory", {}, kFolder},
    {"workdir", {}, kFolder},
    {"cwd", {}, kFolder},
    {"dir", Scope::kStep, kFolder},
    {"dir", Scope::kJob, kFolder},
    {"tags", Scope::kPush, kOnlyBranches},
    {"tag", Scope::kPush, kOnlyBranches},
    {"tags_ignore", Scope::kPush, kOnlyBranches},
    {"branches_ignore", Scope::kPush, "exclude with a `!`: `branches: [\"**\", \"!wip\"]`"},
    {"paths_ignore", Scope::kPush, "exclude with a `!`: `paths: [\"**\", \"!doc/**\"]`"},
    {"tag", Scope::kOn, kOnlyPushes},
    {"tags", Scope::kOn, kOnlyPushes},
    {"release", Scope::kOn, kOnlyPushes},
    {"pull_request", Scope::kOn, kOnlyPushes},
    {"pull_request_target", Scope::kOn, kOnlyPushes},
    {"merge_request", Scope::kOn, kOnlyPushes},
    {"merge_requests", Scope::kOn, kOnlyPushes},
    {"workflow_dispatch", Scope::kOn, kOnlyPushes},
    {"workflow_call", Scope::kOn, kOnlyPushes},
    {"manual", Scope::kOn, kOnlyPushes}};

// Says what to write for a key without a value.
struct Empty {
  Scope scope;
  std::string_view word;
  std::string_view words;
};
constexpr Empty kEmpty[] = {
    {Scope::kPipeline, "on", "write `on: { push: {} }` for every push, or remove it"},
    {Scope::kPipeline, "jobs", "write a job, such as `jobs: { test: { steps: [{ run: make test }] } }`"},
    {Scope::kOn, "push", "write `push: {}` for every push, `push: { branches: [main] }` for some, or remove it"},
    {Scope::kPush, "branches", "write them, such as `branches: [main]`, or remove it for all of them"},
    {Scope::kPush, "paths", "write them, such as `paths: [\"train/**\"]`, or remove it for all of them"},
    {Scope::kJob, "steps", "write a step, such as `steps: [{ run: make }]`"}};

// Returns a word as the tables above have it.
std::string Folded(std::string_view word) {
  std::string folded(word);
  for (char& c : folded)
    c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return folded;
}

bool IsOfTorch(Scope scope) {
  return scope == Scope::kTrain || scope == Scope::kEvaluate || scope == Scope::kData || scope == Scope::kOptimizer ||
         scope == Scope::kSgd || scope == Scope::kAdam;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool Contains(std::span<const Word> words, std::string_view word) {
  return std::any_of(words.begin(), words.end(), [&](const Word& known) { return known.text == word; });
}

// Counts the insertions, deletions, replacements and swaps of neighbours between a and b (optimal string alignment); a
// distance above `limit` counts as limit + 1.
std::size_t Distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > limit) return limit + 1;
  std::array<std::vector<std::size_t>, 3> rows;  // the row two above, the row above, and this row
  for (auto& row : rows) row.resize(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) rows[1][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    rows[2][0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t best =
          std::min({rows[1][j] + 1, rows[2][j - 1] + 1, rows[1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = std::min(best, rows[0][j - 2] + 1);
      rows[2][j] = best;
    }
    std::rotate(rows.begin(), rows.begin() + 1, rows.end());
  }
  return std::min(rows[1][b.size()], limit + 1);
}

// Returns ", which is …" for a word that the scope only knows; empty for one that works.
std::string NotReady(std::span<const Word> words, std::string_view word) {
  for (const Word& known : words)
    if (known.text == word && !known.ready) return ", which is known but not yet built";
  return "";
}

// Returns where a word belongs that is not one of this scope's, and whether it works there; empty: it is no word of any
// scope. Words that work come first, for nobody is to be sent from one refusal to the next.
std::string HomeOf(std::string_view word, Scope scope) {
  std::string homes;
  std::size_t named = 0;
  for (const bool ready : {true, false}) {
    for (const auto& [home, phrase] : kHomes) {
      const std::span<const Word> words = WordsOf(home);
      if (home == scope || !Contains(words, word) || NotReady(words, word).empty() != ready) continue;
      if (named++ < kHomesNamed) homes += (homes.empty() ? "" : " or ") + std::string(phrase);
    }
    if (named > 0) return homes + (ready ? "" : ", but is not yet built: remove it");
  }
  return "";
}

// Says what a word of another system is called where it stands, or what to do instead; empty: it is none.
std::string ForeignHere(std::string_view word, Scope scope) {
  const std::string folded = Folded(word);
  for (const Advice& advice : kAdvice)
    if (advice.word == folded && advice.scope.value_or(scope) == scope) return "; " + std::string(advice.words);
  for (const auto& [foreign, ours] : kForeign) {
    if (foreign != folded) continue;
    if (Contains(WordsOf(scope), ours)) return "; here it is called " + Quoted(ours) + NotReady(WordsOf(scope), ours);
    if (scope == Scope::kJob && ours == "run") return "; write `steps:` with `- run: …`";
  }
  return "";
}

// Says where a word of another system belongs, and what it is called there; empty: it is none.
std::string ForeignElsewhere(std::string_view word, Scope scope) {
  const std::string folded = Folded(word);
  for (const auto& [foreign, ours] : kForeign) {
    if (foreign != folded) continue;
    if (const std::string home = HomeOf(ours, scope); !home.empty())
      return "; it is called " + Quoted(ours) + " and belongs " + home;
  }
  return "";
}

}  // namespace

std::span<const Word> WordsOf(Scope scope) {
  switch (scope) {
    case Scope::kPipeline: return kPipelineWords;
    case Scope::kOn: return kOnWords;
    case Scope::kPush: return kPushWords;
    case Scope::kJob: return kJobWords;
    case Scope::kResources: return kResourceWords;
    case Scope::kRetry: return kRetryWords;
    case Scope::kStep: return kStepWords;
    case Scope::kTrain: return kTrainWords;
    case Scope::kEvaluate: return kEvaluateWords;
    case Scope::kData: return kDataWords;
    case Scope::kOptimizer: return kOptimizerWords;
    case Scope::kSgd: return kSgdWords;
    case Scope::kAdam: return kAdamWords;
  }
  FURROW_CHECK(false, "a scope without words");
}

std::optional<std::string_view> NearestWord(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongest = 64;  // no word is longer, so no longer text is a typo of one
  if (word.empty() || word.size() > kLongest) return std::nullopt;
  const std::string lower = Lower(word);
  std::size_t best = std::max<std::size_t>(1, word.size() / 3);  // more wrong letters make another word
  std::optional<std::string_view> nearest;
  for (const std::string_view candidate : known) {
    const std::size_t distance = Distance(lower, Lower(candidate), best);
    if (distance > best || (nearest && distance == best)) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string UnknownKey(std::string_view word, Scope scope, std::string_view where) {
  const std::span<const Word> words = WordsOf(scope);
  const std::string unknown = "unknown key " + Quoted(word) + " in " + std::string(where);
  std::vector<std::string_view> ready, known;
  for (const Word& candidate : words) {
    known.push_back(candidate.text);
    if (candidate.ready) ready.push_back(candidate.text);
  }
  if (const std::string here = ForeignHere(word, scope); !here.empty()) return unknown + here;
  // One wrong letter of a word that may stand here is likelier than a word from elsewhere: `label` for `labels`.
  for (const std::string_view candidate : ready)
    if (word.size() > 2 && Distance(Lower(word), candidate, 1) <= 1)
      return unknown + "; did you mean " + Quoted(candidate) + "?";
  const std::string home = HomeOf(word, scope), foreign = ForeignElsewhere(word, scope);
  // What the steps of furrow-torch call so is hardly meant outside of them.
  if (!foreign.empty() && (home.empty() || !IsOfTorch(scope))) return unknown + foreign;
  if (!home.empty()) return unknown + "; it belongs " + home;
  if (const auto nearest = NearestWord(word, known)) {
    const std::string not_ready = NotReady(words, *nearest);
    return unknown + (not_ready.empty() ? "; did you mean " + Quoted(*nearest) + "?"
                                        : "; it may be meant as " + Quoted(*nearest) + not_ready + ": remove it");
  }
  return unknown + "; it may have " + QuotedChoice(ready);
}

std::string NoValue(std::string_view word, Scope scope) {
  for (const Empty& empty : kEmpty)
    if (empty.scope == scope && empty.word == word) return "has no value; " + std::string(empty.words);
  return "has no value; give it one, or remove it";
}

std::string NotYet(std::string_view word) {
  return Quoted(word) + " is known but not yet built; remove it";
}

}  // namespace furrow::pipeline
