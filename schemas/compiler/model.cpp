#include "schemas/compiler/model.h"

#include <capnp/schema-loader.h>
#include <capnp/schema.capnp.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>
#include <stdexcept>

namespace furrow::schema {
namespace {

constexpr std::uint64_t kNameBytes = 1024;
constexpr std::uint64_t kMessageBytes = 4096;

// Returns the part of "client.capnp:Selector.shard" behind the colon.
std::string LocalName(const std::string& display) {
  const std::size_t colon = display.find(':');
  return colon == display.npos ? "" : display.substr(colon + 1);
}
std::string StemOf(const std::string& display) {
  std::string path = display.substr(0, display.find(':'));
  path = path.substr(path.find_last_of('/') + 1);
  return path.substr(0, path.find('.'));
}

// Notes hold the numbers, texts and flags that annotations give, by the annotations' short names.
struct Notes {
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::string> texts;
  std::set<std::string> flags;

  bool Has(const std::string& flag) const { return flags.contains(flag); }
  std::uint64_t Number(const std::string& name) const {
    const auto found = numbers.find(name);
    return found == numbers.end() ? 0 : found->second;
  }
  std::string Text(const std::string& name) const {
    const auto found = texts.find(name);
    return found == texts.end() ? "" : found->second;
  }
};

class Reader {
 public:
  explicit Reader(capnp::schema::CodeGeneratorRequest::Reader request) : request_(request) {
    for (const auto node : request.getNodes()) {
      loader_.load(node);
      if (node.isAnnotation()) annotations_[node.getId()] = LocalName(node.getDisplayName());
    }
    for (const auto info : request.getSourceInfo()) {
      docs_[info.getId()] = Tidy(info.getDocComment());
      std::vector<std::string>& members = member_docs_[info.getId()];
      for (const auto member : info.getMembers()) members.push_back(Tidy(member.getDocComment()));
    }
  }

  std::vector<File> Files() {
    std::vector<File> files;
    for (const auto requested : request_.getRequestedFiles()) {
      if (StemOf(requested.getFilename()) == "annotations") continue;
      files.push_back(ReadFile(requested));
    }
    return files;
  }

 private:
  static std::string Tidy(capnp::Text::Reader text) {
    std::string tidy(text.begin(), text.size());
    while (!tidy.empty() && std::isspace(static_cast<unsigned char>(tidy.back())) != 0) tidy.pop_back();
    return tidy;
  }

  [[noreturn]] void Complain(const std::string& where, const std::string& what) const {
    throw std::runtime_error(where + ": " + what);
  }

  Notes NotesOf(capnp::List<capnp::schema::Annotation>::Reader annotations) const {
    Notes notes;
    for (const auto annotation : annotations) {
      const auto known = annotations_.find(annotation.getId());
      if (known == annotations_.end()) continue;  // one of Cap'n Proto's own annotations
      const auto value = annotation.getValue();
      if (value.isUint64()) notes.numbers[known->second] = value.getUint64();
      if (value.isText()) notes.texts[known->second] = Tidy(value.getText());
      if (value.isVoid()) notes.flags.insert(known->second);
      if (value.isText() || value.isUint64()) notes.flags.insert(known->second);
    }
    return notes;
  }

  File ReadFile(capnp::schema::CodeGeneratorRequest::RequestedFile::Reader requested) {
    File file;
    file.stem = StemOf(requested.getFilename());
    file.doc = docs_[requested.getId()];
    for (const auto import : requested.getImports()) {
      const std::string stem = StemOf(import.getName());
      if (stem != "annotations" && stem != "c++") file.imports.push_back(stem);
    }
    file_ = &file;
    const auto node = loader_.get(requested.getId()).getProto();
    for (const auto nested : node.getNestedNodes()) {
      const capnp::Schema schema = loader_.get(nested.getId());
      const auto proto = schema.getProto();
      if (proto.isConst()) {
        const auto value = proto.getConst().getValue();
        if (!value.isUint64()) Complain(proto.getDisplayName(), "a constant of a schema is a UInt64");
        file.constants.push_back(
            {"k" + Pascal(LocalName(proto.getDisplayName())), docs_[proto.getId()], value.getUint64()});
      }
      if (proto.isEnum()) EnumOf(schema.asEnum());
      if (proto.isStruct()) StructOf(schema.asStruct());
    }
    return file;
  }

  const Enum* EnumOf(capnp::EnumSchema schema) {
    const auto proto = schema.getProto();
    if (const auto known = enums_.find(proto.getId()); known != enums_.end()) return known->second;
    auto made = std::make_unique<Enum>();
    const Notes notes = NotesOf(proto.getAnnotations());
    made->wire = LocalName(proto.getDisplayName());
    made->name = notes.Has("cxx") ? notes.Text("cxx") : made->wire;
    made->header = notes.Text("given");
    made->doc = docs_[proto.getId()];
    for (const auto value : schema.getEnumerants())
      made->values.push_back({Tidy(value.getProto().getName()), MemberDoc(proto.getId(), value.getIndex())});
    const Enum* result = made.get();
    enums_[proto.getId()] = result;
    const std::string wire = made->wire;
    Own(proto.getDisplayName());
    file_->order.push_back(wire);
    file_->enums[wire] = std::move(made);
    return result;
  }

  // Files are read in the order of the command line: a file that others use comes before them.
  void Own(const std::string& display) const {
    if (StemOf(display) != file_->stem) Complain(display, "its file must be named before " + file_->stem + ".capnp");
  }

  std::string MemberDoc(std::uint64_t id, std::size_t index) {
    const auto found = member_docs_.find(id);
    return found == member_docs_.end() || index >= found->second.size() ? "" : found->second[index];
  }

  // Returns the name that capnp's C++ gives a struct or group within its namespace: "JobView::LogAttempt".
  static std::string WireName(const std::string& display) {
    std::string name;
    std::string rest = LocalName(display);
    while (!rest.empty()) {
      const std::size_t dot = rest.find('.');
      const std::string part = rest.substr(0, dot);
      name += (name.empty() ? "" : "::") + (name.empty() ? part : Pascal(part));
      rest = dot == rest.npos ? "" : rest.substr(dot + 1);
    }
    return name;
  }

  const Struct* StructOf(capnp::StructSchema schema) {
    const auto proto = schema.getProto();
    if (const auto known = structs_.find(proto.getId()); known != structs_.end()) return known->second;
    auto made = std::make_unique<Struct>();
    Struct* result = made.get();
    structs_[proto.getId()] = result;
    const Notes notes = NotesOf(proto.getAnnotations());
    result->wire = WireName(proto.getDisplayName());
    result->name = notes.Has("cxx") ? notes.Text("cxx") : result->wire;
    result->doc = docs_[proto.getId()];
    if (const auto layout = proto.getStruct(); !layout.getIsGroup())
      result->words = layout.getDataWordCount() + layout.getPointerCount();
    result->check = notes.Has("check");
    result->json = notes.Has("json");
    result->variant = notes.Text("variant");
    result->frame = notes.Number("frame");
    result->noun = notes.Text("noun");
    ReadFields(schema, *result);
    const std::string wire = result->wire;
    Own(proto.getDisplayName());
    file_->order.push_back(wire);
    file_->structs[wire] = std::move(made);
    return result;
  }

  void ReadFields(capnp::StructSchema schema, Struct& to) {
    std::vector<std::pair<std::uint16_t, Field>> fields, arms;
    for (const auto field : schema.getFields()) {
      const auto proto = field.getProto();
      const bool arm = proto.getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
      (arm ? arms : fields).emplace_back(proto.getCodeOrder(), ReadField(schema, field, to.wire, arm));
    }
    const auto earlier = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(fields.begin(), fields.end(), earlier);
    for (auto& [order, field] : fields) {
      // A Void says nothing. It keeps the number of a field that became a group.
      if (field.kind == Kind::kVoid) continue;
      if (field.group && field.target != nullptr && to.json) const_cast<Struct*>(field.target)->json = true;
      to.fields.push_back(std::move(field));
    }
    // The arms are in the order of their numbers.
    for (auto& [order, field] : arms) to.arms.push_back(std::move(field));
  }

  Field ReadField(capnp::StructSchema parent, capnp::StructSchema::Field from, const std::string& owner, bool arm) {
    const auto proto = from.getProto();
    Field field;
    field.wire = Tidy(proto.getName());
    const std::string where = owner + "." + field.wire;
    Notes notes = NotesOf(proto.getAnnotations());
    field.doc = MemberDoc(parent.getProto().getId(), from.getIndex());
    field.name = Snake(field.wire);
    field.max = notes.Number("max");
    field.min = notes.Number("min");
    field.each = notes.Number("each");
    field.without = notes.Text("without");
    field.initial = notes.Text("initial");
    field.key_given = notes.Has("key");
    field.key = field.key_given ? notes.Text("key") : Snake(field.wire);
    field.thousandths = notes.Has("thousandths");
    field.keyed = notes.Has("keyed");
    if (proto.isGroup()) {
      ReadGroup(from.getType().asStruct(), field, notes);
    } else {
      ReadType(from.getType(), field, notes, where);
      if (field.initial.empty()) SetDefault(proto.getSlot().getDefaultValue(), field);
    }
    return Armed(field, notes, arm);
  }

  static Field Armed(Field field, const Notes& notes, bool arm) {
    if (!arm) return field;
    const std::string given = notes.Text("arm");
    const std::size_t dot = given.find('.');
    field.arm_type = given.substr(0, dot);
    field.arm_field = dot == given.npos ? "" : given.substr(dot + 1);
    if (field.arm_type.empty()) field.arm_type = field.kind == Kind::kStruct ? field.type : Pascal(field.wire);
    return field;
  }

  void ReadGroup(capnp::StructSchema schema, Field& field, const Notes& notes) {
    field.group = true;
    field.kind = Kind::kStruct;
    const auto proto = schema.getProto();
    Notes own = NotesOf(proto.getAnnotations());
    own.flags.insert(notes.flags.begin(), notes.flags.end());
    field.wire_type = WireName(proto.getDisplayName());
    if (own.Has("uuid")) {
      field.form = Form::kUuid;
      field.type = "Uuid";
      return;
    }
    if (own.Has("attempt")) {
      field.form = Form::kAttempt;
      field.type = "AttemptRef";
      return;
    }
    const Struct* target = StructOf(schema);
    if (own.Has("json")) const_cast<Struct*>(target)->json = true;
    field.target = target;
    field.type = notes.Has("cxx") ? notes.Text("cxx") : target->name;
    if (!target->arms.empty()) {
      field.kind = Kind::kUnion;
      if (own.Has("maybe")) field.form = Form::kMaybe;
    } else if (notes.Has("cxx")) {
      const_cast<Struct*>(target)->name = field.type;
    }
  }

  void ReadType(capnp::Type type, Field& field, const Notes& notes, const std::string& where) {
    using Which = capnp::schema::Type::Which;
    const auto number = [&](Kind kind, const char* cxx) {
      field.kind = kind;
      field.type = cxx;
    };
    switch (type.which()) {
      case Which::VOID: field.kind = Kind::kVoid; break;
      case Which::BOOL: number(Kind::kBool, "bool"); break;
      case Which::INT8: number(Kind::kInteger, "std::int8_t"); break;
      case Which::INT16: number(Kind::kInteger, "std::int16_t"); break;
      case Which::INT32: number(Kind::kInteger, "std::int32_t"); break;
      case Which::INT64: number(Kind::kInteger, "std::int64_t"); break;
      case Which::UINT8: number(Kind::kInteger, "std::uint8_t"); break;
      case Which::UINT16: number(Kind::kInteger, "std::uint16_t"); break;
      case Which::UINT32: number(Kind::kInteger, "std::uint32_t"); break;
      case Which::UINT64: number(Kind::kInteger, "std::uint64_t"); break;
      case Which::FLOAT32: number(Kind::kFloat, "float"); break;
      case Which::FLOAT64: number(Kind::kFloat, "double"); break;
      case Which::ENUM:
        field.kind = Kind::kEnum;
        field.enumeration = EnumOf(type.asEnum());
        field.type = field.enumeration->name;
        field.wire_type = field.enumeration->wire;
        break;
      case Which::TEXT:
        number(Kind::kText, "std::string");
        if (notes.Has("message")) field.form = Form::kMessage;
        if (field.max == 0) field.max = notes.Has("message") ? kMessageBytes : kNameBytes;
        break;
      case Which::DATA: ReadData(field, notes, where); break;
      case Which::STRUCT:
        field.kind = Kind::kStruct;
        field.target = StructOf(type.asStruct());
        field.type = field.target->name;
        field.wire_type = field.target->wire;
        if (notes.Has("optional")) field.form = Form::kOptional;
        if (notes.Has("shared")) field.form = Form::kShared;
        break;
      case Which::LIST: ReadList(type.asList().getElementType(), field, notes, where); break;
      default: Complain(where, "no type for it");
    }
    if (notes.Has("id")) {
      field.form = Form::kId;
      field.type = notes.Text("id");
    }
    if (notes.Has("time")) field.form = Form::kTime;
    if (notes.Has("millis")) field.form = Form::kMillis;
    if (field.form == Form::kTime || field.form == Form::kMillis) {
      if (!field.name.ends_with("_ms")) Complain(where, "a time's name ends with Ms");
      field.name.resize(field.name.size() - 3);
    }
  }

  void ReadData(Field& field, const Notes& notes, const std::string& where) {
    field.kind = Kind::kData;
    field.type = "std::string";
    if (notes.Has("hash")) {
      field.form = Form::kHash;
      field.type = "Hash";
    } else if (notes.Has("hashes")) {
      field.form = Form::kHashes;
      field.type = "Hash";
    } else if (notes.Has("exactly")) {
      field.form = Form::kArray;
      field.max = field.min = notes.Number("exactly");
      field.type = "std::array<std::uint8_t, " + std::to_string(field.max) + ">";
    } else if (notes.Has("large")) {
      field.form = Form::kLarge;
    } else if (notes.Has("optional")) {
      field.form = Form::kOptional;
    }
    if (field.form != Form::kHash && field.max == 0) Complain(where, "Data without a cap: $max");
  }

  void ReadList(capnp::Type element, Field& field, const Notes& notes, const std::string& where) {
    Field entry;
    ReadType(element, entry, {}, where);
    if (entry.kind == Kind::kList || entry.kind == Kind::kData) Complain(where, "no lists of lists or of Data");
    field.kind = Kind::kList;
    field.element = entry.kind;
    field.type = entry.type;
    field.wire_type = entry.wire_type;
    field.target = entry.target;
    field.enumeration = entry.enumeration;
    if (entry.kind == Kind::kText && field.each == 0) field.each = kNameBytes;
    if (notes.Has("map")) field.form = Form::kMap;
    if (field.max == 0) Complain(where, "a list without a cap: $max");
  }

  static void SetDefault(capnp::schema::Value::Reader value, Field& field) {
    switch (value.which()) {
      case capnp::schema::Value::INT32: field.initial = std::to_string(value.getInt32()); break;
      case capnp::schema::Value::INT64: field.initial = std::to_string(value.getInt64()); break;
      case capnp::schema::Value::UINT32: field.initial = std::to_string(value.getUint32()); break;
      case capnp::schema::Value::UINT64: field.initial = std::to_string(value.getUint64()); break;
      case capnp::schema::Value::BOOL: field.initial = value.getBool() ? "true" : ""; break;
      default: break;
    }
    if (field.initial == "0") field.initial.clear();
  }

  capnp::schema::CodeGeneratorRequest::Reader request_;
  capnp::SchemaLoader loader_;
  std::map<std::uint64_t, std::string> annotations_;
  std::map<std::uint64_t, std::string> docs_;
  std::map<std::uint64_t, std::vector<std::string>> member_docs_;
  std::map<std::uint64_t, const Enum*> enums_;
  std::map<std::uint64_t, const Struct*> structs_;
  File* file_ = nullptr;
};

}  // namespace

std::string Snake(const std::string& camel) {
  std::string snake;
  for (const char c : camel) {
    const bool upper = std::isupper(static_cast<unsigned char>(c)) != 0;
    if (upper && !snake.empty()) snake += '_';
    snake += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return snake;
}

std::string Pascal(const std::string& camel) {
  std::string pascal = camel;
  if (!pascal.empty()) pascal[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(pascal[0])));
  return pascal;
}

std::string Upper(const std::string& camel) {
  std::string upper = Snake(camel);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

std::vector<File> ReadSchemas(int descriptor) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 1 << 30;
  capnp::StreamFdMessageReader message(descriptor, options);
  Reader reader(message.getRoot<capnp::schema::CodeGeneratorRequest>());
  return reader.Files();
}

}  // namespace furrow::schema
