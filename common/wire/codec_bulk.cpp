// BulkRequest and BulkReply of schemas/bulk.capnp.
#include <variant>

#include "common/wire/codec.h"
#include "common/wire/codec_wire.h"
#include "schemas/bulk.capnp.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

static_assert(static_cast<int>(wire::ErrorCode::INTERNAL) == static_cast<int>(Errc::kInternal));

// ---- to the controller: writing ------------------------------------------------------------------------------

void Write(FrameBuilder& frame, wire::BulkRequest::Builder root, const LogAppend& message) {
  auto to = root.initLogAppend();
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setOffset(message.offset);
  to.setRawLength(message.raw_length);
  FURROW_SET_BYTES(frame, to, Compressed, message.compressed);
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const LogOpen& message) {
  WriteAttempt(root.initLogOpen().getAttempt(), message.attempt);
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const LogSeal& message) {
  auto to = root.initLogSeal();
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setLength(message.length);
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const ChunkQuery& message) {
  auto to = root.initChunkQuery();
  to.setRequest(message.request);
  WriteHashes(message.hashes, [&](auto hashes) { to.setHashes(hashes); });
}

void Write(FrameBuilder& frame, wire::BulkRequest::Builder root, const ChunkPut& message) {
  auto to = root.initChunkPut();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  FURROW_SET_BYTES(frame, to, Bytes, message.bytes);
}

void Write(FrameBuilder& frame, wire::BulkRequest::Builder root, const TreePut& message) {
  auto to = root.initTreePut();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  to.setTotalBytes(message.total_bytes);
  to.setOffset(message.offset);
  FURROW_SET_BYTES(frame, to, Bytes, message.bytes);
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const ChunkGet& message) {
  auto to = root.initChunkGet();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  to.setTree(message.tree);
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const LogRead& message) {
  auto to = root.initLogRead();
  to.setRequest(message.request);
  to.setRun(Raw(message.run));
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setOffset(message.offset);
  to.setTailLines(message.tail_lines);
  to.setFollow(message.follow);
  to.setCredit(message.credit);
}

void Write(FrameBuilder&, wire::BulkRequest::Builder root, const LogMore& message) {
  auto to = root.initLogMore();
  to.setRequest(message.request);
  to.setCredit(message.credit);
}

// ---- to the controller: reading ------------------------------------------------------------------------------

// Throws Malformed unless [offset, offset + size) lies in a whole of `total` bytes, itself at most a tree.
void CheckPart(std::uint64_t total, std::uint64_t offset, std::size_t size, const char* field) {
  ReadUpTo(total, kMaxTreeBytes, field);
  if (offset > total || size > total - offset) throw Malformed{std::string(field) + ": a part beyond the whole"};
}

LogAppend Read(wire::LogAppend::Reader from) {
  LogAppend message{ReadAttempt(from.getAttempt()), from.getOffset(),
                    ReadUpTo(from.getRawLength(), kMaxChunkBytes, "raw length"),
                    ReadBytes(from.getCompressed(), kMaxBulkFrame, "log frame")};
  if (message.offset > UINT64_MAX - message.raw_length) throw Malformed{"log offset: beyond any log"};
  return message;
}

TreePut Read(wire::TreePut::Reader from) {
  TreePut message{ReadHash(from.getHash(), "tree"), from.getTotalBytes(), from.getOffset(),
                  ReadBytes(from.getBytes(), kMaxChunkBytes, "part of a tree")};
  CheckPart(message.total_bytes, message.offset, message.bytes.size(), "tree");
  return message;
}

LogRead Read(wire::LogRead::Reader from) {
  return {.request = from.getRequest(),
          .run = RunId{from.getRun()},
          .attempt = ReadAttempt(from.getAttempt()),
          .offset = from.getOffset(),
          .tail_lines = from.getTailLines(),
          .follow = from.getFollow(),
          .credit = from.getCredit()};
}

BulkRequest Read(wire::BulkRequest::Reader root) {
  switch (root.which()) {
    case wire::BulkRequest::NONE: throw Malformed{"an empty message"};
    case wire::BulkRequest::LOG_APPEND: return Read(root.getLogAppend());
    case wire::BulkRequest::LOG_OPEN: return LogOpen{ReadAttempt(root.getLogOpen().getAttempt())};
    case wire::BulkRequest::LOG_SEAL: {
      const auto from = root.getLogSeal();
      return LogSeal{ReadAttempt(from.getAttempt()), from.getLength(), ReadHash(from.getHash(), "log hash")};
    }
    case wire::BulkRequest::CHUNK_QUERY: {
      const auto from = root.getChunkQuery();
      return ChunkQuery{from.getRequest(), ReadHashes(from.getHashes(), kMaxHashesPerMessage, "chunk query")};
    }
    case wire::BulkRequest::CHUNK_PUT: {
      const auto from = root.getChunkPut();
      return ChunkPut{ReadHash(from.getHash(), "chunk"), ReadBytes(from.getBytes(), kMaxChunkBytes, "chunk")};
    }
    case wire::BulkRequest::TREE_PUT: return Read(root.getTreePut());
    case wire::BulkRequest::CHUNK_GET: {
      const auto from = root.getChunkGet();
      return ChunkGet{ReadHash(from.getHash(), "chunk"), from.getTree()};
    }
    case wire::BulkRequest::LOG_READ: return Read(root.getLogRead());
    case wire::BulkRequest::LOG_MORE: {
      const auto from = root.getLogMore();
      return LogMore{from.getRequest(), from.getCredit()};
    }
  }
  ThrowNewer();
}

// ---- from the controller: writing ----------------------------------------------------------------------------

void Write(FrameBuilder&, wire::BulkReply::Builder root, const LogAck& message) {
  auto to = root.initLogAck();
  WriteAttempt(to.getAttempt(), message.attempt);
  to.setDurable(message.durable);
}

void Write(FrameBuilder&, wire::BulkReply::Builder root, const LogSealed& message) {
  auto to = root.initLogSealed();
  WriteAttempt(to.getAttempt(), message.attempt);
  WriteWords(message.error, kWordsBytes, [&](auto text) { to.setError(text); });
}

void Write(FrameBuilder&, wire::BulkReply::Builder root, const ChunksMissing& message) {
  auto to = root.initChunksMissing();
  to.setRequest(message.request);
  WriteNumbers(message.indexes, [&](unsigned count) { return to.initIndexes(count); });
}

void Write(FrameBuilder&, wire::BulkReply::Builder root, const ChunkStored& message) {
  auto to = root.initChunkStored();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  WriteWords(message.error, kWordsBytes, [&](auto text) { to.setError(text); });
}

void Write(FrameBuilder&, wire::BulkReply::Builder root, const TreeCommitted& message) {
  auto to = root.initTreeCommitted();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  WriteWords(message.error, kWordsBytes, [&](auto text) { to.setError(text); });
  WriteHashes(message.missing, [&](auto hashes) { to.setMissing(hashes); });
}

void Write(FrameBuilder& frame, wire::BulkReply::Builder root, const ChunkData& message) {
  auto to = root.initChunkData();
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  to.setTotalBytes(message.total_bytes);
  to.setOffset(message.offset);
  FURROW_SET_BYTES(frame, to, Bytes, message.bytes);
}

void Write(FrameBuilder& frame, wire::BulkReply::Builder root, const LogData& message) {
  auto to = root.initLogData();
  to.setRequest(message.request);
  to.setOffset(message.offset);
  FURROW_SET_BYTES(frame, to, Bytes, message.bytes);
  to.setEnd(message.end);
}

void Write(FrameBuilder&, wire::BulkReply::Builder root, const BulkError& message) {
  auto to = root.initBulkError();
  to.setRequest(message.request);
  WriteAttempt(to.getAttempt(), message.attempt);
  WriteHash(message.hash, [&](auto hash) { to.setHash(hash); });
  to.setCode(WireEnum<wire::ErrorCode>(message.code));
  WriteWords(message.message, kWordsBytes, [&](auto text) { to.setMessage(text); });
}

// ---- from the controller: reading ----------------------------------------------------------------------------

ChunksMissing Read(wire::ChunksMissing::Reader from) {
  ChunksMissing message{from.getRequest(),
                        ReadNumbers<std::uint32_t>(from.getIndexes(), kMaxHashesPerMessage, "missing chunks")};
  for (const std::uint32_t index : message.indexes) ReadUpTo(index, kMaxHashesPerMessage - 1, "missing chunk");
  return message;
}

ChunkData Read(wire::ChunkData::Reader from) {
  ChunkData message{ReadHash(from.getHash(), "chunk"), from.getTotalBytes(), from.getOffset(),
                    ReadBytes(from.getBytes(), kMaxChunkBytes, "part of a chunk")};
  CheckPart(message.total_bytes, message.offset, message.bytes.size(), "chunk");
  return message;
}

LogData Read(wire::LogData::Reader from) {
  return {from.getRequest(), from.getOffset(), ReadBytes(from.getBytes(), kMaxChunkBytes, "part of a log"),
          from.getEnd()};
}

BulkError Read(wire::BulkError::Reader from) {
  return {.request = from.getRequest(),
          .attempt = ReadAttempt(from.getAttempt()),
          .hash = ReadHash(from.getHash(), "chunk"),
          .code = ReadEnum(from.getCode(), Errc::kInternal, "error code"),
          .message = ReadWords(from.getMessage(), kWordsBytes, "error message")};
}

BulkReply Read(wire::BulkReply::Reader root) {
  switch (root.which()) {
    case wire::BulkReply::NONE: throw Malformed{"an empty message"};
    case wire::BulkReply::LOG_ACK: {
      const auto from = root.getLogAck();
      return LogAck{ReadAttempt(from.getAttempt()), from.getDurable()};
    }
    case wire::BulkReply::LOG_SEALED: {
      const auto from = root.getLogSealed();
      return LogSealed{ReadAttempt(from.getAttempt()), ReadWords(from.getError(), kWordsBytes, "error")};
    }
    case wire::BulkReply::CHUNKS_MISSING: return Read(root.getChunksMissing());
    case wire::BulkReply::CHUNK_STORED: {
      const auto from = root.getChunkStored();
      return ChunkStored{ReadHash(from.getHash(), "chunk"), ReadWords(from.getError(), kWordsBytes, "error")};
    }
    case wire::BulkReply::TREE_COMMITTED: {
      const auto from = root.getTreeCommitted();
      return TreeCommitted{ReadHash(from.getHash(), "tree"), ReadWords(from.getError(), kWordsBytes, "error"),
                           ReadHashes(from.getMissing(), kMaxHashesPerMessage, "missing chunks")};
    }
    case wire::BulkReply::CHUNK_DATA: return Read(root.getChunkData());
    case wire::BulkReply::LOG_DATA: return Read(root.getLogData());
    case wire::BulkReply::BULK_ERROR: return Read(root.getBulkError());
  }
  ThrowNewer();
}

}  // namespace

// ---- frames ----------------------------------------------------------------------------------------------------

std::string Encode(const BulkRequest& message) {
  FrameBuilder frame;
  std::visit([&](const auto& kind) { Write(frame, frame.Init<wire::BulkRequest>(), kind); }, message);
  return frame.Finish();
}

std::string Encode(const BulkReply& message) {
  FrameBuilder frame;
  std::visit([&](const auto& kind) { Write(frame, frame.Init<wire::BulkReply>(), kind); }, message);
  return frame.Finish();
}

Result<BulkRequest> DecodeBulkRequest(Bytes frame) {
  Result<BulkRequest> message;
  FURROW_TRY(OpenFrame(frame, kMaxBulkFrame, "bulk request",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::BulkRequest>()); }));
  return message;
}

Result<BulkReply> DecodeBulkReply(Bytes frame) {
  Result<BulkReply> message;
  FURROW_TRY(OpenFrame(frame, kMaxBulkFrame, "bulk reply",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::BulkReply>()); }));
  return message;
}

}  // namespace furrow
