// Parses and validates a furrow.yaml, so that it can become a run. schemas/pipeline.capnp defines the values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/pipeline.h"

namespace furrow {

using Env = std::map<std::string, std::string>;

struct ParsedPipeline {
  Pipeline pipeline;                    // meaningful only if there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // every mistake, in the file's order; past 1,000 the last one counts the rest
  bool ok() const { return diagnostics.empty(); }
};

// Tells what the sources hold that a pipeline starts from.
class SourceFiles {
 public:
  enum class Kind : std::uint8_t { kNone, kFile, kFolder };
  virtual ~SourceFiles() = default;

  // Returns what lies at `path`, which is relative to the sources' root and does not leave it.
  virtual Kind Look(const std::string& path) const = 0;
  // Returns the first bytes of a file, 64 KiB or what there is; empty: it cannot be read.
  virtual std::string Start(const std::string& path) const = 0;
};

// Parses and validates the text of a furrow.yaml. `default_name` names the pipeline where the file does not (usually
// the repository's or folder's name; a character that a name may not have becomes -). `overrides` (--set K=V) replace
// env values of every job, or add to them. With `sources`, files that native steps name are looked up there. Never
// throws, and reports every mistake at once. The time grows with the text: a loop that must not block parses elsewhere.
ParsedPipeline ParsePipeline(std::string_view text, std::string_view default_name, const Env& overrides = {},
                             const SourceFiles* sources = nullptr);

// Formats the diagnostics for a person, one a line: "furrow.yaml:12:5: message".
std::string FormatDiagnostics(std::string_view file, const std::vector<Diagnostic>& diagnostics);

// Returns why a push to `branch` that changed `changed_paths` starts no run; empty: it starts one. `all_paths`: no
// other path changed.
std::string WhyPushStartsNothing(const Pipeline& pipeline, const std::string& branch,
                                 const std::vector<std::string>& changed_paths, bool all_paths = true);

}  // namespace furrow
