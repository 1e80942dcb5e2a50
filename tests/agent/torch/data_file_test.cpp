#include "agent/torch/data_file.h"

#include <doctest/doctest.h>

#include "agent/torch/dataset.h"
#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("data file: gzip is unpacked whatever its name, plain bytes are not touched") {
  const Folder folder;
  std::string long_text;
  for (int i = 0; i < 100000; ++i) long_text += std::to_string(i % 997);
  CHECK(ReadDataFile(folder.Write("a", Gzip(long_text))) == long_text);
  CHECK(ReadDataFile(folder.Write("b.gz", long_text)) == long_text);
  CHECK(ReadDataFile(folder.Write("zeros", Gzip(std::string(5'000'000, '\0'))))->size() == 5'000'000);
  CHECK(ReadDataFile(folder.Write("empty", "")) == "");
}

TEST_CASE("data file: gzip members that follow one another are one file") {
  const Folder folder;
  CHECK(ReadDataFile(folder.Write("two.gz", Gzip("one") + Gzip("two"))) == "onetwo");
}

TEST_CASE("data file: a git-LFS pointer in place of a file of any format is named, with the cure") {
  const Folder folder;
  const std::string path = folder.Write("p", "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n");
  DataSpec spec;
  spec.inputs = spec.labels = path;
  for (const Format format : {Format::kIdx, Format::kNpy, Format::kCsv}) {
    spec.format = format;
    const auto read = LoadDataset(spec, Loss::kMse);
    REQUIRE(!read);
    CHECK(Has(read.error().message, "p: is a git-LFS pointer"));
    CHECK(Has(read.error().message, "git lfs pull"));
  }
  CHECK(ReadDataFile(folder.Write("text", "version 2\n")) == "version 2\n");
}

TEST_CASE("data file: truncated gzip names the file and the bytes found, wherever it is cut") {
  const Folder folder;
  const std::string packed = Gzip(std::string(1000, 'x') + "end");
  for (std::size_t size = 2; size < packed.size(); ++size) {
    const auto read = ReadDataFile(folder.Write("cut.gz", packed.substr(0, size)));
    REQUIRE(!read);
    CHECK(read.error().code == Errc::kCorrupt);
    CHECK(Has(read.error().message, "cut.gz: truncated gzip: " + std::to_string(size) + " bytes"));
  }
}

TEST_CASE("data file: a flipped bit in gzip is found") {
  const Folder folder;
  std::string packed = Gzip(std::string(1000, 'x') + "end");
  packed[packed.size() - 6] ^= 1;  // in the checksum
  const auto read = ReadDataFile(folder.Write("bad.gz", packed));
  REQUIRE(!read);
  CHECK(Has(read.error().message, "bad.gz: damaged gzip"));
}

TEST_CASE("data file: a missing file and a folder are errors with the name") {
  const Folder folder;
  CHECK(ReadDataFile(folder.Path("none")).error().code == Errc::kNotFound);
  CHECK(Has(ReadDataFile(folder.Path("")).error().message, "Is a directory"));
}
