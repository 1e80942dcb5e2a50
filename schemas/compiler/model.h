// Describes a schema file without Cap'n Proto's types: ReadSchemas makes the description, and the writers of C++ and
// Markdown read it.
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

// A Form says how C++ holds a field, if the field's kind alone does not say it.
enum class Form {
  kPlain,
  kMessage,   // Text for a person
  kId,        // an integer of a type of its own
  kTime,      // WallTime
  kMillis,    // std::chrono::milliseconds
  kHash,      // Data of 32 bytes
  kHashes,    // Data of many hashes
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
  bool group = false;              // a kStruct that lies in its parent
  Kind element = Kind::kVoid;      // the kind of a list's entry
  std::string type;                // the type of the C++ field, or of a list's entry: "std::uint64_t", "RunId"
  std::string wire_type;           // the wire type of an enum, a struct or a list's entry: "Outcome", "Selector::Shard"
  const Struct* target = nullptr;  // what a struct, a union or a list of structs holds
  const Enum* enumeration = nullptr;
  std::uint64_t max = 0, min = 0, each = 0;  // 0: none
  std::string without;
  std::string initial;  // C++ expression; empty: the type's own
  // These name what a union's member is in C++.
  std::string arm_type, arm_field;  // `arm_field` empty: the struct itself
  // These describe the field in JSON.
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
  std::vector<Field> arms;    // the members of its union; empty: it has none
  unsigned words = 0;         // the words of its data and its pointers; a group has those of its parent: 0
  bool check = false;
  bool json = false;
  // Only a root has these.
  std::string variant;      // "ClientRequest"; empty: no root
  std::uint64_t frame = 0;  // bytes
  std::string noun;         // "request"
};

struct Enum {
  std::string wire;
  std::string name;
  std::string header;  // the header where the enum is written by hand; empty: it is generated
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

// Reads the schemas of a capnp CodeGeneratorRequest from the descriptor. Throws std::runtime_error if a schema says
// what cannot be; the message names the struct or field.
std::vector<File> ReadSchemas(int descriptor);

std::string Snake(const std::string& camel);   // "started_ms"
std::string Pascal(const std::string& camel);  // "StartedMs"
std::string Upper(const std::string& camel);   // "STARTED_MS"

}  // namespace furrow::schema
