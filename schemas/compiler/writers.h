// Declares what is written from a schema. Each function returns the text of one generated file.
#pragma once

#include <string>
#include <vector>

#include "schemas/compiler/model.h"

namespace furrow::schema {

std::string WriteValues(const File& file);              // X.h: the owned structs and enums, and the codec of the roots
std::string WriteCodecHeader(const File& file);         // X_codec.h: Read and Write of each struct, for other codecs
std::string WriteCodec(const File& file);               // X_codec.cpp
std::string WriteJsonHeader(const File& file);          // X_json.h; empty: X has no JSON
std::string WriteJson(const File& file);                // X_json.cpp
std::string WriteArbitraryHeader(const File& file);     // X_arbitrary.h: values for tests, any within their ranges
std::string WriteArbitrary(const File& file);           // X_arbitrary.cpp
std::string WriteCaps(const std::vector<File>& files);  // caps.md: the table of caps

// ---- functions that the writers share ----

std::string WriteSize(const Struct& s, const std::string& value);  // WireBytes of the C++ type `value`, for WriteCodec
std::string ValueOf(const Struct& s);                              // the C++ type of the struct: "Pipeline"
std::string CxxType(const Field& field);                           // the C++ type of the field: "std::vector<Gpu>"
std::string VariantOf(const Struct& holder);                       // "std::variant<Submit, Trigger>" of its arms
bool IsMaybe(const Struct& s);                                     // true: a union of nothing and one value
bool IsNothing(const Field& arm);                                  // true: the arm of a root that is never sent
std::string Lines(const std::string& doc, const std::string& indent);  // turns a doc into comment lines
std::string Preamble(const File& file);                                // "Made by … from …"

}  // namespace furrow::schema
