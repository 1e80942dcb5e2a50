#include "controller/repos/trust.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "controller/repos/git.h"

namespace furrow::repos {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostAlternates = 100;

// Returns whether everybody may read `path`, a path without links, and pass the folders above it.
bool IsPublic(fs::path path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return false;
  const mode_t needed = S_ISDIR(facts.st_mode) ? S_IROTH | S_IXOTH : S_IROTH;
  if ((facts.st_mode & needed) != needed) return false;
  while (path != path.parent_path()) {
    path = path.parent_path();
    if (::stat(path.c_str(), &facts) != 0 || (facts.st_mode & S_IXOTH) == 0) return false;
  }
  return true;
}

class Check {
 public:
  Check(const fs::path& folder, const std::vector<std::string>& allowed) : folder_(folder), allowed_(allowed) {}

  Status Run() {
    struct stat facts {};
    if (::stat(folder_.c_str(), &facts) != 0) return {};  // Opening the repository says why.
    owner_ = facts.st_uid;
    std::error_code failed;
    fs::path git_dir = folder_ / ".git";
    if (fs::is_regular_file(git_dir, failed)) {
      git_dir = Named(git_dir, "gitdir: ");
      if (!git_dir.empty()) FURROW_TRY(Follow(git_dir, "its file .git"));
    } else if (!fs::exists(git_dir, failed)) {
      git_dir = folder_;
    }
    const fs::path common = Named(git_dir / "commondir", "");
    if (!common.empty()) FURROW_TRY(Follow(common, "its file commondir"));
    const fs::path objects = (common.empty() ? git_dir : common) / "objects";
    for (const fs::path& place : {git_dir, git_dir / "HEAD", objects}) FURROW_TRY(Follow(place, "a link"));
    return Objects(objects);
  }

 private:
  // Reads the path that a file names on its first line, relative to the file's folder; empty: it names none.
  static fs::path Named(const fs::path& file, std::string_view prefix) {
    std::ifstream in(file);
    std::string line;
    if (!std::getline(in, line) || !line.starts_with(prefix)) return {};
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    line.erase(0, prefix.size());
    return line.empty() ? fs::path() : file.parent_path() / line;
  }

  Status Follow(const fs::path& place, const std::string& by) const {
    std::error_code failed;
    const fs::path real = fs::canonical(place, failed);
    if (failed || Beneath(real.native(), folder_.native())) return {};
    struct stat facts {};
    if (::stat(real.c_str(), &facts) != 0) return {};
    if (!OnList(allowed_, real))
      return Fail(Errc::kRejected, "the repository " + folder_.string() + " leads by " + by + " to " + real.string() +
                                       ", which is not on the controller's list of allowed repositories");
    if (owner_ == 0 || facts.st_uid == owner_ || IsPublic(real)) return {};
    return Fail(Errc::kRejected, "the repository " + folder_.string() + " leads by " + by + " to " + real.string() +
                                     ", which belongs to another user and is not readable by all; `git repack -a -d` "
                                     "and then removing objects/info/alternates makes a repository stand alone");
  }

  // Checks the links in a folder of objects, and then its alternates.
  Status Objects(const fs::path& objects) {
    std::error_code failed;
    const fs::path real = fs::canonical(objects, failed);
    if (failed || !seen_.insert(real).second) return {};
    if (seen_.size() > kMostAlternates)
      return Fail(Errc::kRejected, "the repository " + folder_.string() + " has over " +
                                       std::to_string(kMostAlternates) + " alternates");
    for (auto at = fs::recursive_directory_iterator(real, failed); !failed && at != fs::recursive_directory_iterator();
         at.increment(failed)) {
      if (at->is_symlink(failed)) FURROW_TRY(Follow(at->path(), "the link " + at->path().filename().string()));
    }
    std::ifstream in(real / "info" / "alternates");
    for (std::string line; std::getline(in, line);) {
      if (line.empty() || line.starts_with('#')) continue;
      const fs::path alternate = real / line;
      FURROW_TRY(Follow(alternate, "its alternates"));
      FURROW_TRY(Objects(alternate));
    }
    return {};
  }

  const fs::path folder_;
  const std::vector<std::string>& allowed_;
  uid_t owner_ = 0;
  std::set<fs::path> seen_;
};

}  // namespace

bool Beneath(std::string_view path, std::string_view prefix) {
  while (prefix.size() > 1 && prefix.back() == '/') prefix.remove_suffix(1);
  if (!path.starts_with(prefix)) return false;
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

bool OnList(const std::vector<std::string>& allowed, const fs::path& path) {
  return allowed.empty() || std::ranges::any_of(allowed, [&](const std::string& prefix) {
           if (!prefix.starts_with('/')) return false;
           std::error_code ignored;
           const fs::path resolved = fs::canonical(prefix, ignored);
           return Beneath(path.native(), ignored ? prefix : resolved.native());
         });
}

Status CheckWhereItLeads(const fs::path& folder, const std::vector<std::string>& allowed) {
  return Check(folder, allowed).Run();
}

}  // namespace furrow::repos
