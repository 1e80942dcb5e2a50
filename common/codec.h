// Frames to owned messages and back. The one place that knows the generated Cap'n Proto types of the
// wire. A frame is capped before it is decoded; a decoder never throws and never crashes on any bytes:
// what is not a well-formed message of the schema with values in range is kInvalid.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/messages_agent.h"
#include "common/messages_bulk.h"
#include "common/messages_client.h"

namespace furrow {

using Bytes = std::span<const std::uint8_t>;

// Largest frames, in bytes; the transport refuses larger ones before reading them.
inline constexpr std::size_t kMaxAgentFrame = 4u << 20;
inline constexpr std::size_t kMaxClientFrame = 16u << 20;
inline constexpr std::size_t kMaxBulkFrame = (1u << 20) + (64u << 10);

// Versions of the protocol that this build speaks. Negotiated at registration, nowhere else.
inline constexpr std::uint16_t kOldestProtocol = 1;
inline constexpr std::uint16_t kNewestProtocol = 1;

std::string Encode(const AgentMessage& message);
std::string Encode(const ToAgent& message);
std::string Encode(std::uint64_t request, const ClientRequest& message);
std::string Encode(std::uint64_t request, const ClientReply& message);
std::string Encode(const BulkRequest& message);
std::string Encode(const BulkReply& message);

Result<AgentMessage> DecodeAgentMessage(Bytes frame);
Result<ToAgent> DecodeToAgent(Bytes frame);
Result<std::pair<std::uint64_t, ClientRequest>> DecodeClientRequest(Bytes frame);
Result<std::pair<std::uint64_t, ClientReply>> DecodeClientReply(Bytes frame);
Result<BulkRequest> DecodeBulkRequest(Bytes frame);
Result<BulkReply> DecodeBulkReply(Bytes frame);

}  // namespace furrow
