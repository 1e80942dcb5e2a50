#include "agent/torch/csv.h"

#include <doctest/doctest.h>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("csv: the last column is the label, blanks, quotes and blank lines are forgiven") {
  const Folder folder;
  const auto table = ReadCsv(folder.Write("a.csv", "x,y,\"class\"\r\n1, 2.5 ,0\r\n\r\n+3,-4e1,\"1\"\n"), {});
  REQUIRE(table);
  CHECK(table->inputs.shape == Shape{2, 2});
  CHECK(std::get<std::vector<float>>(table->inputs.values) == std::vector<float>{1, 2.5, 3, -40});
  CHECK(table->labels == std::vector<double>{0, 1});
}

TEST_CASE("csv: the label by name, by number, without a header") {
  const Folder folder;
  const std::string file = folder.Write("a.csv", "c,x\n7,1\n");
  CHECK(ReadCsv(file, {true, "c"})->labels == std::vector<double>{7});
  CHECK(ReadCsv(file, {true, 0})->labels == std::vector<double>{7});
  CHECK(ReadCsv(folder.Write("b.csv", "7,1\n8,2"), {false, -1})->labels == std::vector<double>{1, 2});
  CHECK(Has(ReadCsv(file, {true, "class"}).error().message, "no column 'class' for data.label; its columns are c, x"));
  CHECK(Has(ReadCsv(file, {true, 2}).error().message, "0 to 1"));
}

TEST_CASE("csv: a mistake is named by line and column") {
  const Folder folder;
  CHECK(Has(ReadCsv(folder.Write("a.csv", "x,y\n1,2\n3\n"), {}).error().message,
            "a.csv:3: 1 columns, the first line has 2"));
  CHECK(Has(ReadCsv(folder.Write("b.csv", "x,y\n1,two\n"), {}).error().message, "b.csv:2: column 1 ('two')"));
  CHECK(Has(ReadCsv(folder.Write("c.csv", "x,y\n1,2\n"), {false, -1}).error().message, "set data.header to true"));
  CHECK(Has(ReadCsv(folder.Write("d.csv", "x,y\n1,nan\n"), {}).error().message, "no finite number"));
  CHECK(Has(ReadCsv(folder.Write("e.csv", "x,y\n"), {}).error().message, "has no line of numbers"));
  CHECK(Has(ReadCsv(folder.Write("f.csv", ""), {}).error().message, "has no line of numbers"));
  CHECK(Has(ReadCsv(folder.Write("g.csv", "x\n1\n"), {}).error().message, "one column only"));
}
