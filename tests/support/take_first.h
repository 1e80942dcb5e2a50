#pragma once

#include <doctest/doctest.h>

#include <utility>
#include <variant>
#include <vector>

namespace furrow::testing {

// Takes the first element, which must hold a T.
template <class T, class Variant>
T TakeFirst(std::vector<Variant>& effects) {
  REQUIRE_MESSAGE(!effects.empty(), "an expected effect is missing");
  T* first = std::get_if<T>(&effects.front());
  REQUIRE_MESSAGE(first != nullptr, "another effect came first: alternative " << effects.front().index());
  T taken = std::move(*first);
  effects.erase(effects.begin());
  return taken;
}

}  // namespace furrow::testing
