#include "controller/cli/source/pipeline_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "tests/support/temp_folder.h"

namespace furrow::cli {
namespace {

std::string Said(const std::string& path) {
  const auto read = ReadPipelineFile(path, path, ".");
  return read ? "= " + read->text : read.error().message;
}

TEST_CASE("pipeline file: what is no file is refused in words, and waited for never") {
  TempFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_directory(folder / "folder");
  folder.Write("file", "jobs: {}\n");
  CHECK(Said(folder / "pipe").ends_with("is a pipe and no file"));
  CHECK(Said(folder / "folder").ends_with("is a folder and no file"));
  CHECK(Said("/dev/zero") == "/dev/zero is a device and no file");
  CHECK(Said(folder / "file") == "= jobs: {}\n");
}

TEST_CASE("pipeline file: a stream that the program was started with is read to its end") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "jobs: {}\n", 9) == 9);
  ::close(ends[1]);
  CHECK(Said("/dev/fd/" + std::to_string(ends[0])) == "= jobs: {}\n");
  ::close(ends[0]);
}

TEST_CASE("pipeline file: where it is not there, the file that was meant is named") {
  const std::pair<const char*, const char*> cases[] = {
      {"furrow.yml", "furrow.yml; call it furrow.yaml, or name it"},
      {"sub/furrow.yaml", "sub/furrow.yaml; name that"},
  };
  for (const auto& [file, words] : cases) {
    TempFolder folder;
    folder.Write(file, "jobs: {}\n");
    CHECK(PipelineMeant(folder / "furrow.yaml").ends_with(words));
  }
  TempFolder folder;
  folder.Write("furrow.yaml", "jobs: {}\n");
  CHECK(PipelineMeant(folder / "nosuch.yaml").ends_with("furrow.yaml; name that"));
}

}  // namespace
}  // namespace furrow::cli
