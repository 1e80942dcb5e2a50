// Enrolments and keys as a client is shown them.
#pragma once

#include "common/wire/messages_client.h"
#include "controller/state/state.h"

namespace furrow {

EnrolmentView ViewOf(const EnrolmentRecord& enrolment);
KeyView ViewOf(const State& state, const KeyRecord& key);

}  // namespace furrow
