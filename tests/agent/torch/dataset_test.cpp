#include "agent/torch/dataset.h"

#include <doctest/doctest.h>

#include <cstdint>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

namespace {

DataSpec IdxSpec(const Folder& folder, const std::string& images, const std::string& labels) {
  DataSpec spec;
  spec.inputs = folder.Write("images", images);
  spec.labels = folder.Write("labels", labels);
  return spec;
}

// Two grey images of 1 x 2, classes 1 and 0.
DataSpec TwoImages(const Folder& folder) {
  return IdxSpec(folder, Idx({2, 1, 2}, std::string("\x00\xff\x33\x66", 4)), Idx({2}, std::string("\x01\x00", 2)));
}

std::vector<float> Inputs(const Dataset& data, const std::vector<std::int64_t>& rows) {
  std::vector<float> values(rows.size() * static_cast<std::size_t>(*CountOf(data.input_shape)));
  data.CopyInputs(rows, values.data());
  return values;
}

}  // namespace

TEST_CASE("dataset: grey images get a channel, bytes are scaled to 0 … 1, rows come in the order asked") {
  const Folder folder;
  const auto data = LoadDataset(TwoImages(folder), Loss::kNll);
  REQUIRE(data);
  CHECK(data->count == 2);
  CHECK(data->input_shape == Shape{1, 1, 2});
  CHECK(Inputs(*data, {1, 0}) == std::vector<float>{0.2F, 0.4F, 0.0F, 1.0F});
  std::vector<std::int64_t> classes(2);
  data->CopyClasses(std::vector<std::int64_t>{1, 0}, classes.data());
  CHECK(classes == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("dataset: mean and std, for all channels or one each") {
  const Folder folder;
  DataSpec spec = TwoImages(folder);
  spec.mean = {0.5};
  spec.deviation = {0.25};
  CHECK(Inputs(*LoadDataset(spec, Loss::kNll), {0}) == std::vector<float>{-2, 2});
  spec.shape = {2, 1};
  spec.scale = 1;
  spec.mean = {0, 5};
  CHECK(Inputs(*LoadDataset(spec, Loss::kNll), {0}) == std::vector<float>{0, 1000});
  spec.mean = {1, 2, 3};
  CHECK(Has(LoadDataset(spec, Loss::kNll).error().message, "data.mean has 3 numbers"));
}

TEST_CASE("dataset: limit takes the first examples and may not ask for more than there are") {
  const Folder folder;
  DataSpec spec = TwoImages(folder);
  spec.limit = 1;
  CHECK(LoadDataset(spec, Loss::kNll)->count == 1);
  spec.limit = 3;
  CHECK(Has(LoadDataset(spec, Loss::kNll).error().message, "data.limit is 3"));
}

TEST_CASE("dataset: labels and images that differ in number name both files and both counts") {
  const Folder folder;
  const auto data = LoadDataset(IdxSpec(folder, Idx({2, 1, 1}, "ab"), Idx({3}, "abc")), Loss::kNll);
  REQUIRE(!data);
  CHECK(Has(data.error().message, "labels: 3 labels"));
  CHECK(Has(data.error().message, "images has 2 examples"));
}

TEST_CASE("dataset: a shape with another number of values names both") {
  const Folder folder;
  DataSpec spec = TwoImages(folder);
  spec.shape = {3};
  const auto data = LoadDataset(spec, Loss::kNll);
  REQUIRE(!data);
  CHECK(Has(data.error().message, "data.shape is [3]"));
  CHECK(Has(data.error().message, "is [1, 1, 2]"));
}

TEST_CASE("dataset: a class the module does not have names the example") {
  const Folder folder;
  const auto data = LoadDataset(TwoImages(folder), Loss::kCrossEntropy);
  CHECK(CheckClasses(*data, 2));
  CHECK(
      Has(CheckClasses(*data, 1).error().message, "label 1 of example 0 is out of range: the module gives 1 classes"));
}

TEST_CASE("dataset: npy float labels are refused for classes and kept for mse") {
  const Folder folder;
  DataSpec spec;
  spec.format = Format::kNpy;
  spec.inputs = folder.Write("x", Npy<float>("<f4", "(2, 1)", {1, 2}));
  spec.labels = folder.Write("y", Npy<float>("<f4", "(2, 1)", {0.5, 1}));
  CHECK(Has(LoadDataset(spec, Loss::kNll).error().message, "labels of shape [2, 1]"));
  const auto data = LoadDataset(spec, Loss::kMse);
  REQUIRE(data);
  CHECK(data->target_shape == Shape{1});
  std::vector<float> targets(1);
  data->CopyTargets(std::vector<std::int64_t>{1}, targets.data());
  CHECK(targets == std::vector<float>{1});
  CHECK(Inputs(*data, {1}) == std::vector<float>{2});
  spec.labels = folder.Write("z", Npy<float>("<f4", "(2,)", {0, 1}));
  CHECK(Has(LoadDataset(spec, Loss::kNll).error().message, "floating-point labels"));
}

TEST_CASE("dataset: labels of each type are refused as what they are") {
  const Folder folder;
  DataSpec spec;
  spec.format = Format::kNpy;
  spec.inputs = folder.Write("x", Npy<float>("<f4", "(2, 1)", {1, 2}));
  const auto said = [&](const std::string& labels) {
    spec.labels = folder.Write("y", labels);
    const auto data = LoadDataset(spec, Loss::kNll);
    return data ? std::string() : data.error().message;
  };
  constexpr std::uint64_t kBeyond = std::uint64_t{1} << 63;
  for (const std::uint64_t label : {kBeyond, kBeyond + 1, ~std::uint64_t{0}}) {
    const std::string words = said(Npy<std::uint64_t>("<u8", "(2,)", {0, label}));
    CHECK(Has(words, "integer labels (uint64) beyond"));
    CHECK_FALSE(Has(words, "floating-point"));
  }
  CHECK(said(Npy<std::uint64_t>("<u8", "(2,)", {0, 1})).empty());
  CHECK(Has(said(Npy<double>("<f8", "(2,)", {0, 0x1p63})), "floating-point labels"));
  CHECK(Has(said(Npy<float>("<f4", "(2,)", {0, 1})), "floating-point labels"));
  spec.labels = folder.Write("y", Npy<std::uint64_t>("<u8", "(2,)", {0, kBeyond}));
  CHECK(LoadDataset(spec, Loss::kMse));
}

TEST_CASE("dataset: a csv label that is no whole number is refused for classes") {
  const Folder folder;
  DataSpec spec;
  spec.format = Format::kCsv;
  spec.inputs = folder.Write("a.csv", "x,y\n1,0\n2,0.5\n");
  CHECK(Has(LoadDataset(spec, Loss::kNll).error().message, "the label of example 1 is no class number"));
  CHECK(std::get<std::vector<double>>(LoadDataset(spec, Loss::kMse)->targets) == std::vector<double>{0, 0.5});
}

TEST_CASE("dataset: a csv label keeps every digit") {
  const Folder folder;
  DataSpec spec;
  spec.format = Format::kCsv;
  spec.inputs = folder.Write("a.csv", "x,y\n0.1,16777217\n");
  CHECK(LoadDataset(spec, Loss::kNll)->classes == std::vector<std::int64_t>{16777217});
  spec.inputs = folder.Write("b.csv", "x,y\n1,0.1\n");
  double target = 0;
  LoadDataset(spec, Loss::kMse)->CopyTargets(std::vector<std::int64_t>{0}, &target);
  CHECK(target == 0.1);
}

TEST_CASE("dataset: inputs of every type come as the float32 and float64 that a tensor of this type is") {
  const Folder folder;
  DataSpec spec;
  spec.format = Format::kNpy;
  spec.labels = folder.Write("y", Npy<std::int64_t>("<i8", "(1,)", {0}));
  const auto check = [&](const std::string& bytes, float narrow, double wide) {
    spec.inputs = folder.Write("x", bytes);
    const auto data = LoadDataset(spec, Loss::kNll);
    REQUIRE(data);
    float one = 0;
    double other = 0;
    data->CopyInputs(std::vector<std::int64_t>{0}, &one);
    data->CopyInputs(std::vector<std::int64_t>{0}, &other);
    CHECK(one == narrow);
    CHECK(other == wide);
  };
  check(Npy<std::uint8_t>("|b1", "(1, 1)", {1}), 1, 1);
  check(Npy<std::uint8_t>("|u1", "(1, 1)", {1}), 1.0F / 255, 1.0 / 255);
  check(Npy<std::int8_t>("|i1", "(1, 1)", {-3}), -3, -3);
  check(Npy<std::uint16_t>("<u2", "(1, 1)", {65535}), 65535, 65535);
  check(Npy<std::int16_t>("<i2", "(1, 1)", {-32768}), -32768, -32768);
  check(Npy<std::uint32_t>("<u4", "(1, 1)", {4294967295U}), 4294967295.0F, 4294967295.0);
  check(Npy<std::int32_t>("<i4", "(1, 1)", {16777217}), 16777216, 16777217);
  check(Npy<std::uint64_t>("<u8", "(1, 1)", {std::uint64_t{1} << 63}), 9223372036854775808.0F, 9223372036854775808.0);
  check(Npy<std::int64_t>("<i8", "(1, 1)", {9007199254740992}), 9007199254740992.0F, 9007199254740992.0);
  check(Npy<std::uint16_t>("<f2", "(1, 1)", {0x3555}), 0.333251953125F, 0.333251953125);
  check(Npy<float>("<f4", "(1, 1)", {0.1F}), 0.1F, static_cast<double>(0.1F));
  check(Npy<double>("<f8", "(1, 1)", {0.1}), 0.1F, 0.1);
  spec.scale = 3;
  spec.mean = {0.1};
  spec.deviation = {0.7};
  check(Npy<float>("<f4", "(1, 1)", {0.1F}), (0.1F * 3.0F - 0.1F) / 0.7F,
        (static_cast<double>(0.1F) * 3.0 - 0.1) / 0.7);
}

TEST_CASE("dataset: shards are contiguous, complete and differ by one at most") {
  std::int64_t next = 0;
  for (std::int64_t shard = 0; shard < 4; ++shard) {
    const auto [begin, end] = ShardRange(10, shard, 4);
    CHECK(begin == next);
    CHECK((end - begin == 2 || end - begin == 3));
    next = end;
  }
  CHECK(next == 10);
  CHECK(ShardRange(1, 0, 2) == std::pair<std::int64_t, std::int64_t>{0, 0});
}
