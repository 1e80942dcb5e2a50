#include "agent/torch/whole_file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <iterator>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

namespace {

std::string Content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::size_t Files(const Folder& folder) {
  const std::filesystem::directory_iterator files(folder.Path(""));
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace

TEST_CASE("whole file: nothing under the name before Commit, everything after") {
  const Folder folder;
  const std::string path = folder.Write("out", "old");
  auto file = WholeFile::Create(path);
  REQUIRE(file);
  CHECK(file->Write("new", 3));
  CHECK(Content(path) == "old");
  CHECK(file->Commit());
  CHECK(Content(path) == "new");
  CHECK(Files(folder) == 1);
}

TEST_CASE("whole file: given up, it leaves the old file and nothing else") {
  const Folder folder;
  const std::string path = folder.Write("out", "old");
  {
    auto file = WholeFile::Create(path);
    REQUIRE(file);
    CHECK(file->Write("new", 3));
  }
  CHECK(Content(path) == "old");
  CHECK(Files(folder) == 1);
}

TEST_CASE("whole file: a write that fails is what Commit says, and the old file stays") {
  const Folder folder;
  const std::string path = folder.Write("out", "old");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  {
    auto file = WholeFile::Create(path);
    REQUIRE(file);
    CHECK(!file->Write("12345678", 8));
    const auto done = file->Commit();
    CHECK(!done);
    CHECK(Has(done.error().message, "out was not written: File too large"));
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(Content(path) == "old");
  CHECK(Files(folder) == 1);
}

TEST_CASE("whole file: a folder that is not there is named") {
  CHECK(Has(WholeFile::Create("/nowhere/out").error().message, "/nowhere/out"));
}
