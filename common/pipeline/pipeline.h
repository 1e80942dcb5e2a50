// A furrow.yaml: parsed, validated, ready to become a run. The values are those of schemas/pipeline.capnp.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/pipeline.h"

namespace furrow {

using Env = std::map<std::string, std::string>;

struct ParsedPipeline {
  Pipeline pipeline;                    // meaningful only if there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // every mistake, in the file's order; past 1,000 only how many more
  bool ok() const { return diagnostics.empty(); }
};

// Parses and validates the text of a furrow.yaml. `default_name` names the pipeline where the file
// does not (usually the repository's or folder's name; what a name may not have becomes -).
// `overrides` (--set K=V) replace env values of every job, or add to them. Never throws; every mistake
// is reported at once. Time grows with the text: a loop that must not block parses elsewhere.
ParsedPipeline ParsePipeline(std::string_view text, std::string_view default_name, const Env& overrides = {});

// "furrow.yaml:12:5: message", one a line: what a person sees.
std::string FormatDiagnostics(std::string_view file, const std::vector<Diagnostic>& diagnostics);

// Whether a glob matches the whole of `text`: * (not over /), ** (over /), ? (not /), everything else
// literally. `**/` at the start of a part is any number of folders, none too: **/a.py matches a.py.
bool GlobMatch(std::string_view glob, std::string_view text);

// Whether a push to `branch` that changed `changed_paths` starts a run.
bool PushStarts(const Pipeline& pipeline, std::string_view branch, const std::vector<std::string>& changed_paths);

}  // namespace furrow
