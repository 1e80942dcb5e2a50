// Plugs into `capnp compile`: reads the schemas on standard input and writes the generated files into the current
// folder. A file that would not change is left alone, so that nothing is compiled for it. Exit status 1: the schemas
// are wrong; standard error says where.
#include <unistd.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

void Put(const std::string& path, const std::string& text) {
  if (text.empty()) return;
  std::ifstream before(path);
  if (before && std::string(std::istreambuf_iterator<char>(before), {}) == text) return;
  std::ofstream file(path, std::ios::trunc);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

void WriteAll() {
  const std::vector<File> files = ReadSchemas(STDIN_FILENO);
  for (const File& file : files) {
    Put(file.stem + ".h", WriteValues(file));
    Put(file.stem + "_codec.h", WriteCodecHeader(file));
    Put(file.stem + "_codec.cpp", WriteCodec(file));
    Put(file.stem + "_json.h", WriteJsonHeader(file));
    Put(file.stem + "_json.cpp", WriteJson(file));
    Put(file.stem + "_arbitrary.h", WriteArbitraryHeader(file));
    Put(file.stem + "_arbitrary.cpp", WriteArbitrary(file));
  }
  Put("caps.md", WriteCaps(files));
}

}  // namespace
}  // namespace furrow::schema

int main() {
  try {
    furrow::schema::WriteAll();
  } catch (const std::exception& error) {
    std::cerr << "schemas: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
