#include "tests/support/codec_probe.h"

#include <capnp/dynamic.h>
#include <capnp/serialize.h>

#include <cstring>

namespace furrow::testing {
namespace {

void Walk(capnp::DynamicStruct::Reader reader, const std::string& path, std::vector<std::string>& unset);

void WalkList(capnp::DynamicList::Reader list, const std::string& path, std::vector<std::string>& unset) {
  if (list.getSchema().whichElementType() != capnp::schema::Type::STRUCT || list.size() == 0) return;
  const bool all = path.ends_with(".steps");
  for (unsigned i = 0; i < (all ? list.size() : 1); ++i) Walk(list[i].as<capnp::DynamicStruct>(), path, unset);
}

void Walk(capnp::DynamicStruct::Reader reader, const std::string& path, std::vector<std::string>& unset) {
  const auto active = reader.which();
  for (const auto field : reader.getSchema().getFields()) {
    const bool in_union = field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
    if (in_union) {
      KJ_IF_MAYBE (member, active) {
        if (*member != field) continue;
      }
    }
    const std::string name = path + "." + field.getProto().getName().cStr();
    switch (field.getType().which()) {
      case capnp::schema::Type::VOID: break;
      case capnp::schema::Type::STRUCT:
        if (field.getProto().isGroup() || reader.has(field))
          Walk(reader.get(field).as<capnp::DynamicStruct>(), name, unset);
        else
          unset.push_back(name);
        break;
      case capnp::schema::Type::LIST:
        if (reader.has(field))
          WalkList(reader.get(field).as<capnp::DynamicList>(), name, unset);
        else
          unset.push_back(name);
        break;
      default:
        if (!reader.has(field, capnp::HasMode::NON_DEFAULT)) unset.push_back(name);
    }
  }
}

}  // namespace

std::vector<std::string> UnsetFields(const std::string& frame, capnp::StructSchema root) {
  std::vector<std::uint64_t> words(frame.size() / sizeof(capnp::word));
  std::memcpy(words.data(), frame.data(), words.size() * sizeof(capnp::word));
  capnp::FlatArrayMessageReader message({reinterpret_cast<const capnp::word*>(words.data()), words.size()});
  std::vector<std::string> unset;
  Walk(message.getRoot<capnp::DynamicStruct>(root), "", unset);
  return unset;
}

std::uint64_t Fingerprint(const std::string& frame) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : frame) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash;
}

std::string HexOf(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char byte : bytes) {
    hex += kDigits[static_cast<unsigned char>(byte) >> 4];
    hex += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

}  // namespace furrow::testing
