#include "controller/cli/source/pipeline_file.h"

#include <filesystem>

#include "common/base/file_io.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

std::string NameOfFolder(const std::string& root) {
  std::error_code error;
  std::string name = fs::weakly_canonical(root, error).filename().string();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return name.empty() ? "pipeline" : name;
}

}  // namespace

Result<PipelineFile> ReadPipelineFile(const std::string& path, const std::string& shown, const std::string& root) {
  Result<std::string> text = ReadFile(path, kMaxPipelineBytes);
  if (!text) {
    if (text.error().code == Errc::kNotFound)
      return Fail(Errc::kInvalid, "there is no pipeline file " + shown + "; name it with --file, or write one");
    return Fail(Errc::kInvalid, text.error().message);
  }
  return PipelineFile{shown, std::move(*text), NameOfFolder(root)};
}

Result<Env> ParseSettings(const std::vector<std::string>& settings) {
  Env env;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0)
      return Fail(Errc::kInvalid, "--set " + setting + ": say --set NAME=VALUE");
    env[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return env;
}

}  // namespace furrow::cli
