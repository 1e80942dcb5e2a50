#include <algorithm>
#include <fstream>
#include <sstream>

#include "agent/doctor/doctor.h"
#include "agent/slot/workspace_folder.h"

namespace furrow::doctor {
namespace {

// The kernel writes blanks and backslashes in paths as octal numbers.
std::string Unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool octal =
        text[i] == '\\' && i + 3 < text.size() &&
        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                    text.begin() + static_cast<std::ptrdiff_t>(i) + 4, [](char c) { return c >= '0' && c <= '7'; });
    if (octal) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string> MountPoints(const std::string& proc) {
  std::vector<std::string> points;
  std::ifstream mounts(proc + "/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string point;
    for (int i = 0; i < 5; ++i) fields >> point;
    points.push_back(Unescape(point));
  }
  return points;
}

// Quotes a path for a shell.
std::string Quoted(const std::string& path) {
  std::string out = "'";
  for (const char c : path) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

}  // namespace

std::vector<FolderAside> LookAtWorkspaces(const std::string& state, const std::string& proc) {
  std::vector<FolderAside> aside;
  for (const std::string& path : FoldersAside(state + "/work")) aside.push_back({path, {}});
  if (aside.empty()) return aside;
  for (const std::string& point : MountPoints(proc))
    for (FolderAside& one : aside)
      if (point == one.path || point.starts_with(one.path + "/")) one.mounts.push_back(point);
  return aside;
}

Findings CheckWorkspaces(const std::vector<FolderAside>& aside) {
  Findings findings;
  for (const FolderAside& one : aside) {
    std::string cure;
    for (const std::string& mount : one.mounts) cure += "sudo umount " + Quoted(mount) + "; ";
    const std::string why = one.mounts.empty() ? "files of another user, perhaps, or files that are immutable"
                                               : "something is mounted in it";
    findings.push_back(Warning("workspaces",
                               one.path + " of an earlier job cannot be removed by the agent: " + why +
                                   ". It is put aside, and later jobs get other folders",
                               cure + "sudo rm -rf --one-file-system " + Quoted(one.path)));
  }
  return findings;
}

}  // namespace furrow::doctor
