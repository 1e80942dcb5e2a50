#include "agent/torch/npy.h"

#include <doctest/doctest.h>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("npy: floats become float32, integers int64, uint8 stays") {
  const Folder folder;
  const auto floats = ReadNpy(folder.Write("f4", Npy<float>("<f4", "(2, 2)", {1, 2.5, -3, 4})));
  REQUIRE(floats);
  CHECK(floats->shape == Shape{2, 2});
  CHECK(std::get<std::vector<float>>(floats->values) == std::vector<float>{1, 2.5, -3, 4});
  const auto doubles = ReadNpy(folder.Write("f8", Gzip(Npy<double>("<f8", "(2,)", {0.5, 8}))));
  REQUIRE(doubles);
  CHECK(std::get<std::vector<float>>(doubles->values) == std::vector<float>{0.5, 8});
  const auto ints = ReadNpy(folder.Write("i2", Npy<std::int16_t>("<i2", "(3,)", {1, -2, 300})));
  REQUIRE(ints);
  CHECK(std::get<std::vector<std::int64_t>>(ints->values) == std::vector<std::int64_t>{1, -2, 300});
  const auto bytes = ReadNpy(folder.Write("u1", Npy<std::uint8_t>("|u1", "(1, 2)", {0, 255})));
  REQUIRE(bytes);
  CHECK(std::get<std::vector<std::uint8_t>>(bytes->values) == std::vector<std::uint8_t>{0, 255});
}

TEST_CASE("npy: truncated says expected and found bytes") {
  const Folder folder;
  const std::string bytes = Npy<float>("<f4", "(2, 2)", {1, 2, 3, 4});
  const auto cut = ReadNpy(folder.Write("cut", bytes.substr(0, bytes.size() - 3)));
  REQUIRE(!cut);
  CHECK(Has(cut.error().message, "truncated: its header says [2, 2] of '<f4', so " + std::to_string(bytes.size()) +
                                     " bytes were expected, " + std::to_string(bytes.size() - 3) + " found"));
  CHECK(Has(ReadNpy(folder.Write("head", bytes.substr(0, 20))).error().message, "20 found"));
}

TEST_CASE("npy: no header of any length makes the reader fail otherwise than with an error") {
  const Folder folder;
  const std::string bytes = Npy<float>("<f4", "(1,)", {1});
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(!ReadNpy(folder.Write("cut", bytes.substr(0, size))));
}

TEST_CASE("npy: what is not read is refused with its name and a cure") {
  const Folder folder;
  CHECK(Has(ReadNpy(folder.Write("a", "PK..........")).error().message, "is no NPY file: it starts with 50 4b"));
  CHECK(Has(ReadNpy(folder.Write("b", Npy<float>(">f4", "(1,)", {1}))).error().message, "'>f4'"));
  CHECK(Has(ReadNpy(folder.Write("c", Npy<double>("|O", "(1,)", {1}))).error().message, "'|O'"));
  CHECK(Has(ReadNpy(folder.Write("d", Npy<float>("<f4", "()", {1}))).error().message, "single number"));
  CHECK(Has(ReadNpy(folder.Write("e", Npy<float>("<f4", "(2, 2)", {1, 2, 3, 4}, "True"))).error().message, "Fortran"));
  CHECK(Has(ReadNpy(folder.Write("f", Npy<float>("<f4", "(-2,)", {1}))).error().message, "header can't be read"));
}
