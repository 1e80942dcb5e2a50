// Provides what all JSON that schemas/compiler writes needs. Times are milliseconds since 1970 UTC, or null if there is
// none; hashes are hex, or "" if there is none.
#pragma once

#include <nlohmann/json.hpp>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace furrow {

using Json = nlohmann::ordered_json;

inline Json JsonTime(WallTime time) {
  return time == WallTime{} ? Json(nullptr) : Json(static_cast<std::int64_t>(time));
}
inline Json JsonHash(const Hash& hash) {
  return hash.IsZero() ? "" : hash.ToHex();
}

template <class List, class ToOne>
Json JsonList(const List& list, ToOne to_one) {
  Json json = Json::array();
  for (const auto& one : list) json.push_back(to_one(one));
  return json;
}
template <class List, class Key, class Value>
Json JsonObject(const List& list, Key key, Value value) {
  Json json = Json::object();
  for (const auto& one : list) json[key(one)] = value(one);
  return json;
}

}  // namespace furrow
