#include "agent/torch/csv.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("csv: the last column is the label, blanks, quotes and blank lines are forgiven") {
  const Folder folder;
  const auto table = ReadCsv(folder.Write("a.csv", "x,y,\"class\"\r\n1, 2.5 ,0\r\n\r\n+3,-4e1,\"1\"\n"), {});
  REQUIRE(table);
  CHECK(table->inputs.shape == Shape{2, 2});
  CHECK(std::get<std::vector<double>>(table->inputs.values) == std::vector<double>{1, 2.5, 3, -40});
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

TEST_CASE("csv: numbers are not taken for names, unless the user says so") {
  const Folder folder;
  for (const std::string text :
       {"1,2\n3,4\n", "\n\n 1 , 2 \n3,4\n", "\xef\xbb\xbf\"1\",2\r\n3,4\r\n", "-1e3,+.5\n3,4"}) {
    const std::string file = folder.Write("a.csv", text);
    const auto refused = ReadCsv(file, {});
    REQUIRE(!refused);
    CHECK(Has(refused.error().message, ": the first line has numbers ("));
    CHECK(Has(refused.error().message, "set data.header to false"));
    CHECK(ReadCsv(file, {false, -1})->labels.size() == 2);
    CHECK(ReadCsv(file, {true, -1, true})->labels == std::vector<double>{4});
  }
  CHECK(ReadCsv(folder.Write("b.csv", "1,2\n3,4\n"), {true, "2"})->labels == std::vector<double>{4});
  CHECK(ReadCsv(folder.Write("c.csv", "1,y\n3,4\n"), {})->labels == std::vector<double>{4});
}

TEST_CASE("csv: another separator than the comma is named") {
  const Folder folder;
  for (const auto& [text, words] : {std::pair<std::string, std::string>{"x;y\n1;2\n", "separated by ';'"},
                                    {"x,a;y,b\n1,5;2,5\n", "separated by ';'"},
                                    {"1,5;2;3\n2,5;3;4\n", "separated by ';'"},
                                    {"x\ty\n1\t2\n", "separated by tabs"},
                                    {"x|y\n1|2\n", "separated by '|'"},
                                    {"1.0 2.0\n3.0 4.0\n", "separated by blanks"}}) {
    const auto refused = ReadCsv(folder.Write("a.csv", text), {});
    REQUIRE(!refused);
    INFO(refused.error().message);
    CHECK(Has(refused.error().message, words));
    CHECK(Has(refused.error().message, "save it with commas"));
  }
}

TEST_CASE("csv: a file that is no CSV, or not quite, is named as what it is") {
  const Folder folder;
  for (const auto& [text, words] : std::vector<std::pair<std::string, std::string>>{
           {"# made by hand\nx,y\n1,2\n", "it is a comment"},
           {"\n  # made by hand\nx,y\n1,2\n", "it is a comment"},
           {"# made, by, hand\nx,y\n1,2\n", ":2: 2 columns, the first line has 3; is the first line a comment"},
           {"x,y\n# half\n1,2\n", "a.csv:2: 1 columns, the first line has 2; it is a comment"},
           {"x,y\n# half,2\n1,2\n", "it is a comment"},
           {"x,y\n1,2\n#\n", "it is a comment"},
           {"gr\xf6\xdf"
            "e,y\n1,2\n",
            "a.csv:1: is not UTF-8 (it has f6 df"},
           {"x,y\n1,2\n\xe9,2\n", "a.csv:3: is not UTF-8"},
           {"x,y\n1,\x80\n", "iconv -f LATIN1"},
           {std::string("x\0,\0y\0\n\0", 8), "UTF-16"},
           {std::string("x,y\n1,2\n\0\0", 10), "a.csv:3: has a zero byte"},
           {"\xff\xfex", "is UTF-16"},
           {"PK\x03\x04xl/workbook", "zip archive"},
           {"PAR1xx", "Parquet"},
           {"\x93NUMPY\1", "set data.format to npy"},
           {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"}}) {
    const auto refused = ReadCsv(folder.Write("a.csv", text), {});
    REQUIRE(!refused);
    INFO(refused.error().message);
    CHECK(Has(refused.error().message, words));
    CHECK_FALSE(Has(refused.error().message, "separated by blanks"));
  }
  CHECK(ReadCsv(folder.Write("b.csv", "# x,größe\n1,2\n"), {})->labels == std::vector<double>{2});
}

TEST_CASE("csv: a name that several columns have is no label, and harmless elsewhere") {
  const Folder folder;
  const std::string file = folder.Write("a.csv", "x,y,\"x\",x,y\n1,2,3,4,5\n");
  CHECK(Has(ReadCsv(file, {true, "x"}).error().message, "has several columns 'x' (0, 2, 3)"));
  CHECK(Has(ReadCsv(file, {true, "y"}).error().message, "give the number of one"));
  CHECK(ReadCsv(file, {true, -1})->labels == std::vector<double>{5});
  CHECK(ReadCsv(folder.Write("b.csv", "x,x,y\n1,2,3\n"), {true, "y"})->labels == std::vector<double>{3});
}

TEST_CASE("csv: quoted names and fields, every kind of line end") {
  const Folder folder;
  const auto quoted =
      ReadCsv(folder.Write("a.csv", "\"a, b\",\"the \"\"x\"\"\",\"two\nlines\"\n\"1\", \"2\" ,3\n"), {});
  REQUIRE(quoted);
  CHECK(quoted->inputs.shape == Shape{1, 2});
  CHECK(quoted->labels == std::vector<double>{3});
  CHECK(ReadCsv(folder.Write("b.csv", "\"a, b\",y\n1,2\n"), {true, "a, b"})->labels == std::vector<double>{1});
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const std::string text = "x,y" + end + end + "1,2" + end + " \t" + end + "3,4";
    CHECK(ReadCsv(folder.Write("c.csv", text), {})->labels == std::vector<double>{2, 4});
    CHECK(ReadCsv(folder.Write("c.csv", text + end), {})->labels == std::vector<double>{2, 4});
    CHECK(Has(ReadCsv(folder.Write("c.csv", text + ",5" + end), {}).error().message, "c.csv:5: 3 columns"));
  }
  CHECK(Has(ReadCsv(folder.Write("d.csv", "x,y\n\"1,2\n"), {}).error().message, "a quote is not closed"));
  CHECK(Has(ReadCsv(folder.Write("e.csv", std::string("\xff\xfe"
                                                      "1\0,\0",
                                                      6)),
                    {})
                .error()
                .message,
            "is UTF-16"));
}

TEST_CASE("csv: what is missing or no class says what to do") {
  const Folder folder;
  CHECK(Has(ReadCsv(folder.Write("a.csv", "x,y\n,1\n"), {}).error().message, "fill in the value that is missing"));
  CHECK(Has(ReadCsv(folder.Write("b.csv", "x,y\n1,setosa\n"), {}).error().message, "must be a number, from 0 on"));
}
