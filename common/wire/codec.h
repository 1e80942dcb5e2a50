// Frames to owned messages and back. The one place that knows the generated Cap'n Proto types of the
// wire. A frame is capped before it is decoded; a decoder never throws and never crashes on any bytes:
// what is not a well-formed message of the schema with values in range is kInvalid. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_bulk.h"
#include "common/wire/messages_client.h"
#include "common/wire/messages_enrol.h"

namespace furrow {

using Bytes = std::span<const std::uint8_t>;

// Largest frames, in bytes; the transport refuses larger ones before reading them.
inline constexpr std::size_t kMaxAgentFrame = 4u << 20;
inline constexpr std::size_t kMaxClientFrame = 16u << 20;
inline constexpr std::size_t kMaxBulkFrame = (1u << 20) + (64u << 10);
inline constexpr std::size_t kMaxEnrolFrame = 8u << 10;

// Most that one message may hold of what a job or a machine decides; senders keep to them (a longer list
// of metrics travels in several reports), decoders refuse more. The rest is in schemas/*.capnp.
inline constexpr std::size_t kMaxHeldAttempts = 100'000;
inline constexpr std::size_t kMaxMetricLines = 10'000;  // in one report
inline constexpr std::size_t kMaxMetricsPerLine = 4'096;
inline constexpr std::size_t kMaxMetricNameBytes = 256;
inline constexpr std::size_t kMaxJobMetrics = 10'000;      // newest values of one job
inline constexpr std::size_t kMaxAssignMetrics = 100'000;  // of all needed jobs of one

// Bytes that a line takes in a message. The lines of one message together take at most kMaxMetricsBytes, so
// that the rest of a Finished has room in its frame; what is left over travels in a message of its own.
std::size_t WireBytes(const MetricLine& line);
inline constexpr std::size_t kMaxMetricsBytes = 3u << 20;

// Encoders never fail. Words for a person (a reason, a detail, a title) are cut to their cap. A reply that
// would not fit a client frame is encoded as a Failure that says so.
std::string Encode(const AgentMessage& message);
std::string Encode(const ToAgent& message);
std::string Encode(std::uint64_t request, const ClientRequest& message);
std::string Encode(std::uint64_t request, const ClientReply& message);
std::string Encode(const BulkRequest& message);
std::string Encode(const BulkReply& message);
std::string Encode(const EnrolRequest& message);
std::string Encode(const EnrolReply& message);

Result<AgentMessage> DecodeAgentMessage(Bytes frame);
Result<ToAgent> DecodeToAgent(Bytes frame);
Result<std::pair<std::uint64_t, ClientRequest>> DecodeClientRequest(Bytes frame);
Result<std::pair<std::uint64_t, ClientReply>> DecodeClientReply(Bytes frame);
Result<BulkRequest> DecodeBulkRequest(Bytes frame);
Result<BulkReply> DecodeBulkReply(Bytes frame);
Result<EnrolRequest> DecodeEnrolRequest(Bytes frame);
Result<EnrolReply> DecodeEnrolReply(Bytes frame);

// The request number of a client frame that DecodeClientRequest refuses, so that its sender can be told;
// 0 if not even that can be read.
std::uint64_t RequestNumberOf(Bytes frame);

}  // namespace furrow
