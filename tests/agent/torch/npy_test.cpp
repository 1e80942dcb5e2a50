#include "agent/torch/npy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("npy: floats and uint8 stay, other integers become int64") {
  const Folder folder;
  const auto floats = ReadNpy(folder.Write("f4", Npy<float>("<f4", "(2, 2)", {1, 2.5, -3, 4})));
  REQUIRE(floats);
  CHECK(floats->shape == Shape{2, 2});
  CHECK(std::get<std::vector<float>>(floats->values) == std::vector<float>{1, 2.5, -3, 4});
  const auto doubles = ReadNpy(folder.Write("f8", Gzip(Npy<double>("<f8", "(2,)", {0.5, 8}))));
  REQUIRE(doubles);
  CHECK(std::get<std::vector<double>>(doubles->values) == std::vector<double>{0.5, 8});
  const auto ints = ReadNpy(folder.Write("i2", Npy<std::int16_t>("<i2", "(3,)", {1, -2, 300})));
  REQUIRE(ints);
  CHECK(std::get<std::vector<std::int64_t>>(ints->values) == std::vector<std::int64_t>{1, -2, 300});
  const auto bytes = ReadNpy(folder.Write("u1", Npy<std::uint8_t>("|u1", "(1, 2)", {0, 255})));
  REQUIRE(bytes);
  CHECK(std::get<std::vector<std::uint8_t>>(bytes->values) == std::vector<std::uint8_t>{0, 255});
}

TEST_CASE("npy: every float16 is the number that it stands for") {
  const Folder folder;
  const std::vector<std::uint16_t> halves = {0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00};
  const auto read = ReadNpy(folder.Write("f2", Npy<std::uint16_t>("<f2", "(9,)", halves)));
  REQUIRE(read);
  CHECK(std::get<std::vector<float>>(read->values) == std::vector<float>{0, -0.0F, 0x1p-24F, 1023 * 0x1p-24F, 0x1p-14F,
                                                                         1, -2, 65504,
                                                                         std::numeric_limits<float>::infinity()});
  const auto none = ReadNpy(folder.Write("nan", Npy<std::uint16_t>("<f2", "(1,)", {0x7e00})));
  CHECK(std::isnan(std::get<std::vector<float>>(none->values)[0]));
}

TEST_CASE("npy: a bool is 0 or 1, and a uint64 that int64 does not hold is no negative number") {
  const Folder folder;
  const auto bools = ReadNpy(folder.Write("b1", Npy<std::uint8_t>("|b1", "(2,)", {0, 1})));
  CHECK(std::get<std::vector<std::int64_t>>(bools->values) == std::vector<std::int64_t>{0, 1});
  const auto small = ReadNpy(folder.Write("u8", Npy<std::uint64_t>("<u8", "(1,)", {7})));
  CHECK(std::get<std::vector<std::int64_t>>(small->values) == std::vector<std::int64_t>{7});
  const auto large = ReadNpy(folder.Write("u8", Npy<std::uint64_t>("<u8", "(1,)", {std::uint64_t{1} << 63})));
  CHECK(std::get<std::vector<double>>(large->values) == std::vector<double>{0x1p63});
}

TEST_CASE("npy: an archive of several arrays is named") {
  const Folder folder;
  CHECK(Has(ReadNpy(folder.Write("a.npz", std::string("PK\x03\x04") + "x.npy")).error().message, "numpy.savez"));
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
