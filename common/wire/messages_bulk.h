// What travels on the bulk channel: log frames and chunks, both ways. schemas/bulk.capnp is the wire
// form. Each side may have at most a window of unanswered data messages under way, so a slow reader
// costs bounded memory (kBulkWindow).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/chunks/chunker.h"

namespace furrow {

inline constexpr std::uint32_t kBulkWindow = 32;  // unanswered LogAppend or ChunkPut messages of one sender
inline constexpr std::size_t kMaxHashesPerMessage = 8192;
inline constexpr std::size_t kMaxTreeBytes = 64u << 20;  // encoding of one tree

// ---- to the controller -----------------------------------------------------------------------------------

// One frame of an attempt's log (common/logs/frames.h, header included), [offset, offset + raw_length) of
// the raw bytes. Agents only, for attempts that are theirs. Answered by LogAck once durable.
struct LogAppend {
  AttemptRef attempt;
  std::uint64_t offset = 0;
  std::uint32_t raw_length = 0;  // ≤ kMaxChunkBytes
  std::string compressed;        // the frame; its header says the same as the fields above
  friend bool operator==(const LogAppend&, const LogAppend&) = default;
};
// Where is the controller? Answered by LogAck. Sent before the first LogAppend and after a silence.
struct LogOpen {
  AttemptRef attempt;
  friend bool operator==(const LogOpen&, const LogOpen&) = default;
};
// The log is whole. Answered by LogSealed.
struct LogSeal {
  AttemptRef attempt;
  std::uint64_t length = 0;
  Hash hash;
  friend bool operator==(const LogSeal&, const LogSeal&) = default;
};
// Which of these does the controller lack? Answered by ChunksMissing with the same request number.
struct ChunkQuery {
  std::uint64_t request = 0;
  std::vector<Hash> hashes;  // ≤ kMaxHashesPerMessage
  friend bool operator==(const ChunkQuery&, const ChunkQuery&) = default;
};
// Answered by ChunkStored: received and verified. Durable once a tree that names it is committed.
struct ChunkPut {
  Hash hash;
  std::string bytes;  // ≤ kMaxChunkBytes
  friend bool operator==(const ChunkPut&, const ChunkPut&) = default;
};
// The encoding of a tree, in parts of ≤ kMaxChunkBytes in order, each answered by ChunkStored but the
// last: with that the controller checks that every chunk is there, makes all of it durable and answers
// TreeCommitted.
struct TreePut {
  Hash hash;                      // SHA-256 of the whole encoding
  std::uint64_t total_bytes = 0;  // ≤ kMaxTreeBytes
  std::uint64_t offset = 0;
  std::string bytes;
  friend bool operator==(const TreePut&, const TreePut&) = default;
};
// Send me this. Answered by ChunkData (for a tree: its encoding, in parts) or BulkError.
struct ChunkGet {
  Hash hash;
  bool tree = false;
  friend bool operator==(const ChunkGet&, const ChunkGet&) = default;
};
// Send me a log from `offset` on (raw bytes), or its last `tail_lines` lines; with `follow` until it is
// sealed. Clients only. Answered by LogData messages; the reader allows `credit` more bytes with LogMore.
struct LogRead {
  std::uint64_t request = 0;  // names the stream
  RunId run{};
  AttemptRef attempt;
  std::uint64_t offset = 0;
  std::uint32_t tail_lines = 0;  // 0: from offset
  bool follow = false;
  std::uint64_t credit = 0;  // bytes
  friend bool operator==(const LogRead&, const LogRead&) = default;
};
struct LogMore {
  std::uint64_t request = 0;
  std::uint64_t credit = 0;  // further bytes; 0: end the stream
  friend bool operator==(const LogMore&, const LogMore&) = default;
};

using BulkRequest =
    std::variant<LogAppend, LogOpen, LogSeal, ChunkQuery, ChunkPut, TreePut, ChunkGet, LogRead, LogMore>;

// ---- from the controller ---------------------------------------------------------------------------------

struct LogAck {
  AttemptRef attempt;
  std::uint64_t durable = 0;  // raw bytes on disk; send from here on
  friend bool operator==(const LogAck&, const LogAck&) = default;
};
struct LogSealed {
  AttemptRef attempt;
  std::string error;  // empty: sealed. Else what did not fit; send from LogAck's offset again
  friend bool operator==(const LogSealed&, const LogSealed&) = default;
};
struct ChunksMissing {
  std::uint64_t request = 0;
  std::vector<std::uint32_t> indexes;  // into the query's hashes
  friend bool operator==(const ChunksMissing&, const ChunksMissing&) = default;
};
struct ChunkStored {
  Hash hash;
  std::string error;  // empty: received and verified
  friend bool operator==(const ChunkStored&, const ChunkStored&) = default;
};
struct TreeCommitted {
  Hash hash;
  std::string error;          // empty: whole and durable
  std::vector<Hash> missing;  // chunks to send first; ≤ kMaxHashesPerMessage
  friend bool operator==(const TreeCommitted&, const TreeCommitted&) = default;
};
struct ChunkData {
  Hash hash;
  std::uint64_t total_bytes = 0;
  std::uint64_t offset = 0;
  std::string bytes;
  friend bool operator==(const ChunkData&, const ChunkData&) = default;
};
struct LogData {
  std::uint64_t request = 0;
  std::uint64_t offset = 0;
  std::string bytes;  // raw
  bool end = false;   // nothing more will come: sealed and all sent
  friend bool operator==(const LogData&, const LogData&) = default;
};
// The request cannot be done. The fields name what it was about.
struct BulkError {
  std::uint64_t request = 0;  // of LogRead and ChunkQuery, else 0
  AttemptRef attempt;         // of log messages, else 0/0
  Hash hash;                  // of chunk messages, else zero
  Errc code = Errc::kInternal;
  std::string message;
  friend bool operator==(const BulkError&, const BulkError&) = default;
};

using BulkReply =
    std::variant<LogAck, LogSealed, ChunksMissing, ChunkStored, TreeCommitted, ChunkData, LogData, BulkError>;

}  // namespace furrow
