// These views show enrolments and keys to a client.
#pragma once

#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

EnrolmentView ViewOf(const EnrolmentRecord& enrolment);
KeyView ViewOf(const State& state, const KeyRecord& key);

}  // namespace furrow
