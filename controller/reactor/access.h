// Who may come in: enrolments and keys.
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
// Answered when the key is off the allowlist, durably, and its session over: KeyDropped.
void On(State& state, Outbox& out, Now now, const Asker& asker, const RevokeKey& request);
void On(State& state, Outbox& out, Now now, const KeyDropped& event);

// Checks a proof and everything else about an enrolment, and puts its use on record; AdmitKey leaves behind that
// record, so no crash lets one more in than was allowed. The same key asking again is let in again and costs no use.
void On(State& state, Outbox& out, Now now, const EnrolAsked& event);
// The allowlist holds the key now, or could not be written: then the use is given back.
void On(State& state, Outbox& out, Now now, const KeyAdmitted& event);
// The allowlist as it is now. Keys that left it lose their sessions at once; their jobs go as leases do.
void On(State& state, Outbox& out, Now now, const AllowlistRead& event);

// Agents whose key has been gone for a while are forgotten when they hold nothing any more.
void ForgetRevokedAgents(State& state, Outbox& out, Now now);

}  // namespace furrow
