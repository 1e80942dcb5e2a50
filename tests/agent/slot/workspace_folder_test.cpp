#include "agent/slot/workspace_folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/as_nobody.h"
#include "tests/support/temp_folder.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

bool IsNew(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && (status.st_mode & 07777) == 0700 &&
         fs::is_empty(path) && IsNewWorkspaceFolder(path);
}

}  // namespace

TEST_CASE("workspace folder: whatever is there, it becomes a new folder") {
  TempFolder folder;
  TempFolder outside;
  outside.Write("victim", "untouched");
  CHECK(MakeWorkspaceFolder(folder / "deep/er/ws"));
  CHECK(IsNew(folder / "deep/er/ws"));
  folder.Write("full/a/b", "x");
  folder.Write("file", "x");
  fs::create_directory_symlink(outside.Path(), folder / "link");
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  fs::create_directory(folder / "open");
  REQUIRE(::chmod((folder / "open").c_str(), 01777) == 0);
  fs::create_directory(folder / "shut");
  REQUIRE(::chmod((folder / "shut").c_str(), 0000) == 0);
  CHECK_FALSE(IsNewWorkspaceFolder(folder / "open"));
  for (const char* name : {"full", "file", "link", "fifo", "open", "shut"}) {
    INFO(name);
    CHECK(MakeWorkspaceFolder(folder / name));
    CHECK(IsNew(folder / name));
  }
  CHECK(outside.Read("victim") == "untouched");
  CHECK(FoldersAside(folder.Path()).empty());
}

TEST_CASE("workspace folder: the agent's own folders are repaired, and what is in them stays") {
  TempFolder folder;
  folder.Write("fine/a", "x");
  folder.Write("closed/a", "x");
  REQUIRE(::chmod((folder / "closed").c_str(), 0000) == 0);
  folder.Write("file", "x");
  folder.Write("elsewhere/a", "x");
  fs::create_directory_symlink(folder / "elsewhere", folder / "link");
  for (const char* name : {"fine", "closed", "file", "link", "gone", "deep/er/gone"}) {
    INFO(name);
    CHECK(KeepOwnFolder(folder / name));
    CHECK(fs::is_directory(folder / name));
  }
  CHECK(fs::is_symlink(folder / "link"));
  for (const char* file : {"fine/a", "closed/a", "elsewhere/a"}) CHECK(folder.Read(file) == "x");
  struct stat status {};
  REQUIRE(::stat((folder / "closed").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
}

TEST_CASE("workspace folder: what cannot be emptied is put aside, as often as it takes, and tried again") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make files of another user");
    return;
  }
  TempFolder folder;
  for (int i = 1; i <= 2; ++i) {
    REQUIRE(AsNobody(folder, [&] { return MakeWorkspaceFolder(folder / "0").has_value(); }));
    folder.Write("0/of-root/file", "x");  // a job's sudo, or its podman
    REQUIRE(AsNobody(folder, [&] { return MakeWorkspaceFolder(folder / "0").has_value(); }));
    CHECK(IsNew(folder / "0"));
    CHECK(FoldersAside(folder.Path()).size() == static_cast<std::size_t>(i));
  }
  CHECK(FoldersAside(folder.Path()) == std::vector<std::string>{folder / "0.aside-1", folder / "0.aside-2"});
  CHECK(AsNobody(folder, [&] {
    RemoveLeftover(folder / "0.aside-1");
    return fs::exists(folder / "0.aside-1/of-root/file");
  }));
  RemoveLeftover(folder / "0.aside-1");
  CHECK(FoldersAside(folder.Path()) == std::vector<std::string>{folder / "0.aside-2"});
}

}  // namespace furrow
