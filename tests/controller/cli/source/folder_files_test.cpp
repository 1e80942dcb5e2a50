#include "controller/cli/source/folder_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_folder.h"

using namespace furrow;
using namespace furrow::cli;

namespace fs = std::filesystem;

TEST_CASE("folder files: what a pipeline's own folder has, or the repository around it") {
  const TempFolder folder;
  const std::string root = folder / "repository";
  fs::create_directories(root + "/.git");
  fs::create_directories(root + "/ci/data");
  std::ofstream(root + "/net.pt") << "net";
  std::ofstream(root + "/ci/data/a.csv") << std::string(100'000, '1');
  fs::create_symlink("/nowhere", root + "/link");

  const FolderFiles around = FolderFiles::Around(root + "/ci/furrow.yaml");
  CHECK(around.Look("net.pt") == SourceFiles::Kind::kFile);
  CHECK(around.Look("data/a.csv") == SourceFiles::Kind::kFile);
  CHECK(around.Look("ci/data/a.csv") == SourceFiles::Kind::kFile);
  CHECK(around.Look("data") == SourceFiles::Kind::kFolder);
  CHECK(around.Look("none") == SourceFiles::Kind::kNone);
  CHECK(around.Look("link") == SourceFiles::Kind::kNone);
  CHECK(around.Start("net.pt") == "net");
  CHECK(around.Start("data/a.csv").size() == 65536);
  CHECK(around.Start("data").empty());

  const FolderFiles own({root + "/ci"});
  CHECK(own.Look("net.pt") == SourceFiles::Kind::kNone);
  CHECK(own.Look("data/a.csv") == SourceFiles::Kind::kFile);
}
