// Enrolments and keys as a client is shown them.
#pragma once

#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

EnrolmentView ViewOf(const EnrolmentRecord& enrolment);
KeyView ViewOf(const State& state, const KeyRecord& key);

}  // namespace furrow
