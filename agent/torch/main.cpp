// furrow-torch runs one train or evaluate step in the current folder. SPEC.md specifies both steps.

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "agent/torch/data_file.h"
#include "agent/torch/runtime.h"
#include "agent/torch/spec.h"
#include "agent/torch/steps.h"
#include "common/base/program.h"
#include "common/base/version.h"

namespace furrow::steps {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

constexpr const char* kHelp =
    "furrow-torch train --spec FILE     train a TorchScript module as the JSON object in FILE says\n"
    "furrow-torch evaluate --spec FILE  measure one\n"
    "                      --spec-json TEXT  the object itself, as the agent gives it\n"
    "furrow-torch --describe            Torch's version, devices, threads, quantised engines\n"
    "furrow-torch --version | --help\n"
    "\n"
    "FILE holds what stands under train: or evaluate: in furrow.yaml; paths in it are relative to the current\n"
    "folder. Metrics are appended to the file that FURROW_METRICS names. evaluate takes the part\n"
    "FURROW_SHARD_INDEX of FURROW_SHARD_COUNT of the data. Exit status: 0 done, 1 failed, 2 usage or spec.\n";

int Complain(const std::string& message, int status) {
  std::fflush(stdout);
  Say(message);
  return status;
}

// RunMain tells what stdout did not take, and makes it the exit status.
int Print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0) NoteOutputError(errno);
  return 0;
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Result<std::int64_t> NumberFromEnvironment(const char* name, std::int64_t otherwise) {
  const std::string text = FromEnvironment(name);
  if (text.empty()) return otherwise;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && end == text.data() + text.size() && number >= 0) return number;
  return Fail(Errc::kInvalid, std::string(name) + " is '" + text + "', expected a number");
}

Result<Shard> ShardFromEnvironment() {
  Shard shard;
  FURROW_ASSIGN(shard.index, NumberFromEnvironment("FURROW_SHARD_INDEX", 0));
  FURROW_ASSIGN(shard.count, NumberFromEnvironment("FURROW_SHARD_COUNT", 1));
  if (shard.index < shard.count) return shard;
  return Fail(Errc::kInvalid, "FURROW_SHARD_INDEX " + std::to_string(shard.index) +
                                  " must be less than FURROW_SHARD_COUNT " + std::to_string(shard.count));
}

// Makes OpenMP's threads sleep while they wait for each other. When jobs share CPUs, spinning threads take CPU time
// from the thread that they wait for: the example's training was 3 times slower beside a compiler. OpenMP reads the
// variable before main, when the library is loaded, so the program executes itself again.
void WaitWithoutSpinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
  execv("/proc/self/exe", argv);  // A failure costs only speed.
}

// Runs `step` on a parsed spec and returns the exit status.
template <class Spec, class Step>
int RunStep(const Result<Spec>& spec, const Step& step) {
  if (!spec) return Complain(spec.error().message, kUsage);
  PrepareProcess(spec->threads);
  auto metrics = MetricsFile::Open(FromEnvironment("FURROW_METRICS"));
  if (!metrics) return Complain(metrics.error().message, kFailed);
  const Status done = step(*spec, *metrics);
  return done ? 0 : Complain(done.error().message, kFailed);
}

int Run(const std::vector<std::string>& words) {
  const std::string verb = words.empty() ? "" : words[0];
  if (words.size() == 1 && (verb == "--help" || verb == "-h")) return Print(kHelp);
  if (words.size() == 1 && verb == "--version") return Print(std::string("furrow-torch ") + kVersion + "\n");
  if (words.size() == 1 && verb == "--describe") {
    PrepareProcess(0);
    return Print(DescribeTorch());
  }
  const bool given = words.size() == 3 && words[1] == "--spec-json";
  if (words.size() != 3 || (verb != "train" && verb != "evaluate") || (words[1] != "--spec" && !given)) {
    return Complain("usage: furrow-torch train|evaluate --spec FILE (--help says more)", kUsage);
  }
  const auto text = given ? Result<std::string>(words[2]) : ReadDataFile(words[2]);
  if (!text) return Complain(text.error().message, kUsage);
  if (verb == "train") return RunStep(ParseTrainSpec(*text), Train);
  const auto shard = ShardFromEnvironment();
  if (!shard) return Complain(shard.error().message, kUsage);
  return RunStep(ParseEvaluateSpec(*text),
                 [&](const EvaluateSpec& spec, MetricsFile& metrics) { return Evaluate(spec, *shard, metrics); });
}

int Main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  if (argc > 2) WaitWithoutSpinning(argv);  // A step has more than one argument, --help has not.
  try {
    return Run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    return Complain(ReasonOf(error), kFailed);
  }
}

}  // namespace
}  // namespace furrow::steps

int main(int argc, char** argv) {
  return furrow::RunMain({"furrow-torch", 12, 0, 0}, argc, argv, furrow::steps::Main);
}
