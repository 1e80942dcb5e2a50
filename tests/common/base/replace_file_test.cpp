#include "common/base/replace_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/base/file_io.h"
#include "tests/support/failing_syncs.h"

using namespace furrow;

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "furrow-replace-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::size_t Count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  fs::path path;
};

}  // namespace

TEST_CASE("replace file: the bytes and the mode are the new ones, and nothing else is left") {
  const Folder folder;
  const std::string file = folder.path / "file";
  for (const Durability durability : {Durability::kSynced, Durability::kNotSynced}) {
    for (const mode_t mode : {0600, 0664, 0755}) {
      const std::string bytes = std::string(100'000, 'x') + std::to_string(mode);
      REQUIRE(ReplaceFile(file, bytes, mode, durability).has_value());
      CHECK(ReadFile(file, 1 << 20).value() == bytes);
      struct stat facts {};
      REQUIRE(::stat(file.c_str(), &facts) == 0);
      CHECK((facts.st_mode & 07777) == mode);
      CHECK(folder.Count() == 1);
    }
  }
}

TEST_CASE("replace file: where that fails the old file stays, and no other one") {
  const Folder folder;
  fs::create_directories(folder.path / "taken" / "full");
  const Status replaced = ReplaceFile(folder.path / "taken", "x", 0600);  // a folder is no file
  REQUIRE_FALSE(replaced.has_value());
  CHECK(replaced.error().message.find("cannot replace") != std::string::npos);
  CHECK(fs::is_directory(folder.path / "taken" / "full"));
  CHECK(folder.Count() == 1);
  CHECK_FALSE(ReplaceFile(folder.path / "none" / "file", "x", 0600).has_value());
  CHECK(folder.Count() == 1);
}

TEST_CASE("replace file: bytes whose sync failed are written anew, to another file") {
  const Folder folder;
  const std::string file = folder.path / "file";
  REQUIRE(ReplaceFile(file, "old", 0600).has_value());
  {
    const FailingSyncs faults;
    CHECK_FALSE(ReplaceFile(file, "new", 0600).has_value());
    CHECK(faults.failed() == 1);
  }
  CHECK(ReadFile(file, 100).value() == "old");
  CHECK(folder.Count() == 1);
  REQUIRE(ReplaceFile(file, "new", 0600).has_value());
  CHECK(ReadFile(file, 100).value() == "new");
}
