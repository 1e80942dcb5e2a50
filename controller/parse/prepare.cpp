#include "controller/parse/prepare.h"

#include <memory>
#include <utility>

#include "common/base/hash.h"
#include "controller/store/record_codec.h"

namespace furrow {

SharedSpec ShareSpec(Pipeline pipeline) {
  SharedSpec spec;
  if (const auto value = EncodeValue(pipeline)) spec.hash = HashOf(*value);
  spec.pipeline = std::make_shared<const Pipeline>(std::move(pipeline));
  return spec;
}

PreparedPipeline PrepareFile(std::string text, std::string_view default_name, const Env& overrides) {
  PreparedPipeline prepared;
  ParsedPipeline parsed = ParsePipeline(text, default_name, overrides);
  prepared.diagnostics = std::move(parsed.diagnostics);
  if (!prepared.ok()) return prepared;
  prepared.spec = ShareSpec(std::move(parsed.pipeline));
  prepared.text.hash = HashOf(text);
  prepared.text.bytes = std::make_shared<const std::string>(std::move(text));
  return prepared;
}

SubmissionPrepared PrepareFileOf(PrepareSubmission submission) {
  Submit& request = submission.request;
  PreparedPipeline pipeline = PrepareFile(std::move(request.text), request.default_name, request.overrides);
  request.text.clear();
  return {std::move(submission.asker), std::move(request), std::move(pipeline)};
}

std::string DefaultNameOf(std::string repository) {
  while (!repository.empty() && repository.back() == '/') repository.pop_back();
  repository = repository.substr(repository.find_last_of('/') + 1);
  if (repository.ends_with(".git")) repository.resize(repository.size() - 4);
  return repository.empty() ? "pipeline" : repository;
}

}  // namespace furrow
