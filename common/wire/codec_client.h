// The parts of schemas/client.capnp that both of its directions use. Only *codec*.cpp files include
// this. Readers throw codec::Malformed, see codec_wire.h.
#pragma once

#include "common/wire/messages_client.h"
#include "schemas/client.capnp.h"

namespace furrow::codec {

inline constexpr std::size_t kMaxRunsListed = 1000;
inline constexpr std::size_t kMaxJobsShown = 10'000;

void Write(wire::RunSummary::Builder to, const RunSummary& run);
RunSummary Read(wire::RunSummary::Reader from);

void Write(wire::JobView::Builder to, const JobView& job);
JobView Read(wire::JobView::Reader from);

void Write(wire::AgentView::Builder to, const AgentView& agent);
AgentView Read(wire::AgentView::Reader from);

void Write(wire::EnrolmentView::Builder to, const EnrolmentView& enrolment);
EnrolmentView Read(wire::EnrolmentView::Reader from);

void Write(wire::KeyView::Builder to, const KeyView& key);
KeyView Read(wire::KeyView::Reader from);

}  // namespace furrow::codec
