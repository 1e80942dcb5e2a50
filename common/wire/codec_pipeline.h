// The parts of schemas/pipeline.capnp and agent.capnp that several messages and records carry. Only
// *codec*.cpp files include this. Readers throw codec::Malformed, see codec_wire.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_client.h"
#include "schemas/agent.capnp.h"
#include "schemas/pipeline.capnp.h"

namespace furrow::codec {

void Write(wire::JobSpec::Builder to, const JobSpec& spec);
JobSpec Read(wire::JobSpec::Reader from);

void Write(wire::PipelineSpec::Builder to, const Pipeline& pipeline);
Pipeline Read(wire::PipelineSpec::Reader from);

void Write(capnp::List<wire::EnvVar>::Builder to, const Env& env);
Env Read(capnp::List<wire::EnvVar>::Reader from, const char* field);

void Write(wire::SourceInfo::Builder to, const SourceInfo& info);
SourceInfo Read(wire::SourceInfo::Reader from);

void Write(wire::Outcome::Builder to, const Outcome& outcome);
Outcome Read(wire::Outcome::Reader from);

void Write(wire::Offer::Builder to, const Offer& offer);
Offer Read(wire::Offer::Reader from);

void Write(capnp::List<wire::MetricLine>::Builder to, const std::vector<MetricLine>& lines);
std::vector<MetricLine> Read(capnp::List<wire::MetricLine>::Reader from, const char* field);

using Metrics = std::vector<std::pair<std::string, double>>;
void Write(capnp::List<wire::Metric>::Builder to, const Metrics& metrics);
Metrics Read(capnp::List<wire::Metric>::Reader from, std::size_t max, const char* field);

}  // namespace furrow::codec
