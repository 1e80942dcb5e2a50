// Describes a state machine as a table: a row for each state, a column for each event. A transition that the table
// leaves out cannot happen.
#pragma once

#include <cstddef>
#include <optional>

#include "common/base/check.h"

namespace furrow {

// Returns the state that `table` names for `state` and `event`. Both enums count from 0 in the order of the table.
template <class State, class Event, std::size_t kStates, std::size_t kEvents>
constexpr State NextState(const std::optional<State> (&table)[kStates][kEvents], State state, Event event) {
  const std::optional<State> next = table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  FURROW_CHECK(next, "an event that cannot happen in this state");
  return *next;
}

}  // namespace furrow
