// What a schema file says, without Cap'n Proto's types: made by ReadSchemas, read by the writers of C++ and Markdown.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace furrow::schema {

struct Struct;
struct Enum;

enum class Kind {
  kVoid,
  kBool,
  kInteger,  // signed or not, 8 to 64 bits
  kFloat,
  kEnum,
  kText,
  kData,
  kList,
  kStruct,  // a struct, or a group
  kUnion,   // a named union: one of `Struct::arms`
};

// How a field is held in C++, where its kind alone does not say it.
enum class Form {
  kPlain,
  kMessage,   // Text for a person
  kId,        // an integer of a type of its own
  kTime,      // WallTime
  kMillis,    // std::chrono::milliseconds
  kHash,      // Data of 32 bytes
  kHashes,    // Data of many of them
  kArray,     // Data of a fixed size
  kLarge,     // Data that is referred to
  kUuid,      // group
  kAttempt,   // group
  kMap,       // a list of two Texts
  kMaybe,     // a union of nothing and one value
  kOptional,  // a struct, or Data, that may be absent
  kShared,    // a struct behind a pointer
};

struct Field {
  std::string wire;  // "startedMs"
  std::string name;  // "started"
  std::string doc;
  Kind kind = Kind::kVoid;
  Form form = Form::kPlain;
  bool group = false;              // kStruct: lies in its parent
  Kind element = Kind::kVoid;      // of a list
  std::string type;                // "std::uint64_t", "RunId": of the C++ field, or of a list's entry
  std::string wire_type;           // of an enum, a struct or a list's entry: "Outcome", "Selector::Shard"
  const Struct* target = nullptr;  // of a struct, a union, a list of structs
  const Enum* enumeration = nullptr;
  std::uint64_t max = 0, min = 0, each = 0;  // 0: none
  std::string without;
  std::string initial;  // C++ expression; empty: the type's own
  // Of a member of a union: what it is in C++.
  std::string arm_type, arm_field;  // `arm_field` empty: the struct itself
  // JSON.
  std::string key;
  bool key_given = false;
  bool thousandths = false;
  bool keyed = false;

  bool IsList() const { return kind == Kind::kList; }
};

struct Struct {
  std::string wire;  // "PipelineSpec", "JobView::LogAttempt"
  std::string name;  // "Pipeline"
  std::string doc;
  std::vector<Field> fields;  // in the order of the text
  std::vector<Field> arms;    // of its union; empty: it has none
  unsigned words = 0;         // of its data and its pointers; a group has those of its parent: 0
  bool check = false;
  bool json = false;
  // Of a root.
  std::string variant;      // "ClientRequest"; empty: no root
  std::uint64_t frame = 0;  // bytes
  std::string noun;         // "request"
};

struct Enum {
  std::string wire;
  std::string name;
  std::string header;  // where it is written by hand; empty: here
  std::string doc;
  struct Value {
    std::string wire;  // "agentLost"
    std::string doc;
  };
  std::vector<Value> values;
};

struct Constant {
  std::string name;  // "kNameBytes"
  std::string doc;
  std::uint64_t value = 0;
};

struct File {
  std::string stem;  // "agent"
  std::string doc;
  std::vector<std::string> imports;  // stems
  std::vector<std::string> order;    // names of `enums` and `structs`, each behind those that it holds
  std::vector<Constant> constants;
  std::map<std::string, std::unique_ptr<Enum>> enums;      // by wire name
  std::map<std::string, std::unique_ptr<Struct>> structs;  // groups with fields of their own, too
};

// The schemas of a capnp CodeGeneratorRequest, read from the descriptor. Throws std::runtime_error with the place where
// a schema says what cannot be.
std::vector<File> ReadSchemas(int descriptor);

std::string Snake(const std::string& camel);   // "started_ms"
std::string Pascal(const std::string& camel);  // "StartedMs"
std::string Upper(const std::string& camel);   // "STARTED_MS"

}  // namespace furrow::schema
