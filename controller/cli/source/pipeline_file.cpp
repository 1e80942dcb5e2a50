#include "controller/cli/source/pipeline_file.h"

#include <cctype>
#include <filesystem>
#include <system_error>

#include "common/base/file_io.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

bool LooksLikePipeline(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name.starts_with('.')) name.erase(0, 1);
  if (name.ends_with(".txt")) name.resize(name.size() - 4);
  return name == "furrow.yaml" || name == "furrow.yml";
}

// Returns what may have been meant where the file `path` is not there; empty: nothing looks like it.
std::string Meant(const std::string& path) {
  constexpr int kMostFolders = 1'000;
  std::error_code error;
  fs::path folder = fs::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const std::string wanted = fs::path(path).filename().string();
  std::string below;
  int left = kMostFolders;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file(error) && LooksLikePipeline(name))
      return "there is " + entry.path().lexically_normal().string() + "; call it " + wanted +
             ", or name it with --file";
    if (below.empty() && left-- > 0 && entry.is_directory(error) && fs::is_regular_file(entry.path() / wanted, error))
      below = (entry.path() / wanted).lexically_normal().string();
  }
  if (!below.empty()) return "there is " + below + "; name that";
  for (fs::path above = fs::weakly_canonical(folder, error); !error && above != above.parent_path();) {
    above = above.parent_path();
    if (fs::is_regular_file(above / wanted, error)) return "there is " + (above / wanted).string() + "; name that";
  }
  return "";
}

}  // namespace

std::string NameOfFolder(const std::string& root) {
  std::error_code error;
  std::string name = fs::weakly_canonical(root, error).filename().string();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return name.empty() ? "pipeline" : name;
}

Result<PipelineFile> ReadPipelineFile(const std::string& path, const std::string& shown, const std::string& root) {
  Result<std::string> text = ReadFile(path, kMaxPipelineBytes);
  if (!text) {
    if (text.error().code == Errc::kNotFound) {
      const std::string meant = Meant(path);
      return Fail(Errc::kInvalid, "there is no pipeline file " + shown + "; " +
                                      (meant.empty() ? "name it with --file, or write one" : meant));
    }
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
