#include "controller/cli/source/pipeline_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
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

// Says what `path` is instead of a file; empty: it is one, or is not there.
std::string OtherThanFile(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || S_ISREG(facts.st_mode)) return "";
  if (S_ISDIR(facts.st_mode)) return "a folder";
  if (S_ISFIFO(facts.st_mode)) return "a pipe";
  return S_ISSOCK(facts.st_mode) ? "a socket" : "a device";
}

// Returns whether the path names a stream that this program was started with, as the shell's `<(…)` does.
bool IsOwnStream(const std::string& path) {
  return path == "/dev/stdin" || path.starts_with("/dev/fd/") || path.starts_with("/proc/self/fd/");
}

Result<std::string> ReadStream(const std::string& path) {
  const FileHandle stream(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!stream) return tl::unexpected(ErrnoError("cannot open " + path, errno));
  std::string text;
  char part[64 << 10];
  for (;;) {
    const ssize_t got = ::read(stream.Get(), part, sizeof(part));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(ErrnoError("cannot read " + path, errno));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > kMaxPipelineBytes)
      return Fail(Errc::kInvalid, path + " is larger than " + std::to_string(kMaxPipelineBytes) + " bytes");
  }
}

}  // namespace

std::string PipelineMeant(const std::string& path) {
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
      return "there is " + entry.path().lexically_normal().string() +
             (wanted == "furrow.yaml" ? "; call it furrow.yaml, or name it" : "; name that");
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

std::string NameOfFolder(const std::string& root) {
  std::error_code error;
  std::string name = fs::weakly_canonical(root, error).filename().string();
  if (name.ends_with(".git")) name.resize(name.size() - 4);
  return name.empty() ? "pipeline" : name;
}

Result<PipelineFile> ReadPipelineFile(const std::string& path, const std::string& shown, const std::string& root) {
  const std::string other = OtherThanFile(path);
  // A pipe that nobody writes to would be waited for without an end.
  if (!other.empty() && (!IsOwnStream(path) || other == "a folder"))
    return Fail(Errc::kInvalid, shown + " is " + other + " and no file");
  Result<std::string> text = other.empty() ? ReadFile(path, kMaxPipelineBytes) : ReadStream(path);
  if (!text) {
    if (text.error().code == Errc::kNotFound) {
      const std::string meant = PipelineMeant(path);
      return Fail(Errc::kInvalid, "there is no pipeline file " + shown + "; " +
                                      (meant.empty() ? "name it with --file, or write one" : meant));
    }
    return Fail(Errc::kInvalid, text.error().message);
  }
  return PipelineFile{shown, std::move(*text), NameOfFolder(other.empty() ? root : ".")};
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
