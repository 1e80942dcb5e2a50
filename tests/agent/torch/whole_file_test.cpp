#include "agent/torch/whole_file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <iterator>
#include <utility>

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

TEST_CASE("whole file: what is no file is not replaced by one") {
  const Folder folder;
  std::filesystem::create_directory(folder.Path("folder"));
  REQUIRE(mkfifo(folder.Path("pipe").c_str(), 0600) == 0);
  std::filesystem::create_symlink("/dev/null", folder.Path("link"));
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  folder.Path("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const std::size_t before = Files(folder);
  for (const auto& [path, words] : {std::pair<std::string, std::string>{folder.Path("folder"), "is a folder"},
                                    {folder.Path("folder/"), "is the name of a folder"},
                                    {folder.Path("folder/.."), "is a folder"},
                                    {folder.Path("new/"), "is the name of a folder"},
                                    {"/", "is the name of a folder"},
                                    {"", "is the name of a folder"},
                                    {folder.Path("pipe"), "is a pipe"},
                                    {folder.Path("socket"), "is a socket"},
                                    {folder.Path("link"), "is a device"},
                                    {"/dev/null", "no place for files"},
                                    {"/dev/stdout", "no place for files"},
                                    {"/dev/a-new-name", "no place for files"},
                                    {"/dev/fd/1", "no place for files"},
                                    {"/proc/self/comm", "no place for files"}}) {
    const auto& shown = path;  // a lambda cannot take a part of a binding
    INFO(shown);
    const auto refused = WholeFile::Create(path);
    REQUIRE(!refused);
    CHECK(Has(refused.error().message, words));
  }
  close(listener);
  CHECK(Files(folder) == before);
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK(WholeFile::Create("/dev/shm/furrow-torch-test"));
}
