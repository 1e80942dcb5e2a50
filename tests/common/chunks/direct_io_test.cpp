#include "common/chunks/direct_io.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "common/base/hash.h"
#include "tests/support/random_bytes.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

namespace {

std::string Contents(const TempFolder& folder) {
  return ReadFile(folder / "file", 64 << 20).value();
}

}  // namespace

TEST_CASE("direct io: bytes of any length and address arrive, and a tail may follow at any offset") {
  for (const bool direct : {true, false}) {  // false: as on a file system without
    for (const std::size_t size : {1UL, 4095UL, 4096UL, 4097UL, 1UL << 20, (1UL << 20) + 1, (3UL << 20) - 5}) {
      CAPTURE(direct);
      CAPTURE(size);
      TempFolder folder;
      const FileHandle dir(::open(folder.Path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const FileHandle file = CreateDirect(dir.Get(), "file");
      REQUIRE(file);
      if (!direct) StopDirect(file.Get());
      const std::string bytes = RandomBytes(size + 1, size);
      const auto odd = AsBytes(bytes).subspan(1);  // an address that no disk takes
      REQUIRE(WriteDirect(file.Get(), odd, 2 * kDirectAlignment, "file"));
      REQUIRE(WriteDirect(file.Get(), odd.first(1), 0, "file"));
      StopDirect(file.Get());
      REQUIRE(WriteAllAt(file.Get(), AsBytes("tail"), 2 * kDirectAlignment + size, "file"));
      const std::string gap(2 * kDirectAlignment - 1, '\0');
      const std::string wanted = bytes.substr(1, 1) + gap + bytes.substr(1) + "tail";
      CHECK(Contents(folder).substr(0, wanted.size()) == wanted);
    }
  }
}

TEST_CASE("direct io: a file that exists is left alone") {
  TempFolder folder;
  const FileHandle dir(::open(folder.Path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(CreateDirect(dir.Get(), "file"));
  CHECK_FALSE(CreateDirect(dir.Get(), "file"));
  CHECK(errno == EEXIST);
}

TEST_CASE("direct io: what cannot be written is an error") {
  TempFolder folder;
  const FileHandle dir(::open(folder.Path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(CreateDirect(dir.Get(), "file"));
  const FileHandle unwritable(::openat(dir.Get(), "file", O_RDONLY | O_CLOEXEC));
  const auto written = WriteDirect(unwritable.Get(), AsBytes("bytes"), 0, "the file");
  REQUIRE_FALSE(written);
  CHECK(written.error().message.find("cannot write the file") != std::string::npos);
}
