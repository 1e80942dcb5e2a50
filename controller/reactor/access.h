// These reactors manage enrolments and keys, which decide who may connect.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const NewEnrolment& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const ListEnrolments& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const RevokeEnrolment& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const ListKeys& request);
// Answers when the key is durably off the allowlist and its session is over: see KeyDropped.
void On(State& state, Outbox& out, Now now, const Asker& asker, const RevokeKey& request);
void On(State& state, Outbox& out, Now now, const KeyDropped& event);

// Checks a proof and everything else about an enrolment, and records the use. AdmitKey leaves after that record, so no
// crash lets in more agents than allowed. A key that asks again is let in again and costs no use.
void On(State& state, Outbox& out, Now now, const EnrolAsked& event);
// Marks the use as admitted, or gives the use back if the allowlist could not be written.
void On(State& state, Outbox& out, Now now, const KeyAdmitted& event);
// Takes the allowlist as it is now. Keys that left the list lose their sessions at once; their jobs stay assigned until
// the lease ends.
void On(State& state, Outbox& out, Now now, const AllowlistRead& event);

// Forgets agents whose key has been gone for a while and that hold no jobs any more.
void ForgetRevokedAgents(State& state, Outbox& out, Now now);

}  // namespace furrow
