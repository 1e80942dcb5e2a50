@0xbfaf1faf74272372;
# What travels on the bulk channel: log frames and chunks; agents and clients on one side, the controller on the other.
# PROTOCOL.md tells who may send how much. Each side may have a window of unanswered data messages under way
# (maxBulkWindow), so a slow reader costs bounded memory.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".attempt;
using import "annotations.capnp".check;
using import "annotations.capnp".frame;
using import "annotations.capnp".hash;
using import "annotations.capnp".hashes;
using import "annotations.capnp".id;
using import "annotations.capnp".initial;
using import "annotations.capnp".large;
using import "annotations.capnp".max;
using import "annotations.capnp".message;
using import "annotations.capnp".noun;
using import "annotations.capnp".variant;

using import "agent.capnp".ErrorCode;

const bulkWindow :UInt64 = 32;
# Unanswered LogAppend or ChunkPut messages of one sender.
const maxHashesPerMessage :UInt64 = 8192;
const maxTreeBytes :UInt64 = 67108864;
# The encoding of one tree.
const maxPartBytes :UInt64 = 1048576;
# One chunk, one part of a tree or a log, the raw bytes of one log frame.
const maxBulkFrameBytes :UInt64 = 1114112;

# ---- to the controller ----

struct LogAppend $check {
  # Agents only, for attempts that are theirs. Answered by LogAck once durable.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  offset @2 :UInt64;
  # Of the frame's first raw byte in the log.
  rawLength @3 :UInt32 $max(.maxPartBytes);
  # Raw bytes in the frame.
  compressed @4 :Data $large $max(.maxBulkFrameBytes);
  # One frame as in controller/STORE.md, "Log files", header included: the controller appends it unchanged.
}

struct LogOpen {
  # Where is the controller? Agents only. Answered by LogAck; sent before the first LogAppend and after a silence.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
}

struct LogSeal {
  # The log is whole. Agents only. Answered by LogSealed.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  length @2 :UInt64;
  # Raw bytes of the whole log.
  hash @3 :Data $hash;
  # SHA-256 of them.
}

struct ChunkQuery {
  # Which of these does the controller lack? Answered by ChunksMissing.
  request @0 :UInt64;
  # Chosen by the sender; echoed in ChunksMissing.
  hashes @1 :Data $hashes $max(.maxHashesPerMessage);
}

struct ChunkPut {
  # Answered by ChunkStored: received and verified. Durable once a tree that names it is committed.
  hash @0 :Data $hash;
  bytes @1 :Data $large $max(.maxPartBytes);
}

struct TreePut $check {
  # The encoding of a tree, in parts in order, each answered by ChunkStored but the last: with that the controller checks
  # that every chunk is there, makes all of it durable and answers TreeCommitted.
  hash @0 :Data $hash;
  # Of the whole encoding.
  totalBytes @1 :UInt64 $max(.maxTreeBytes);
  offset @2 :UInt64;
  # Of this part.
  bytes @3 :Data $large $max(.maxPartBytes);
}

struct ChunkGet {
  # Answered by ChunkData (for a tree: its encoding, in parts) or BulkError.
  hash @0 :Data $hash;
  tree @1 :Bool;
}

struct LogRead {
  # A log from `offset` on, or its last lines; with `follow` until it is sealed. Clients only. Answered by LogData
  # messages or BulkError; the reader allows more bytes with LogMore.
  request @0 :UInt64;
  # Chosen by the client; names the stream.
  run @1 :UInt64 $id("RunId");
  attempt :group $attempt {
    job @2 :UInt64;
    epoch @3 :UInt64;
  }
  offset @4 :UInt64;
  # Raw bytes.
  tailLines @5 :UInt32;
  # The last so many lines. 0: from offset.
  follow @6 :Bool;
  credit @7 :UInt64;
  # Raw bytes that the client will take.
}

struct LogMore {
  request @0 :UInt64;
  credit @1 :UInt64;
  # Further raw bytes. 0: end the stream.
}

struct BulkRequest $variant("BulkRequest") $noun("bulk request") $frame(.maxBulkFrameBytes) {
  union {
    none @0 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    logAppend @1 :LogAppend;
    logOpen @2 :LogOpen;
    logSeal @3 :LogSeal;
    chunkQuery @4 :ChunkQuery;
    chunkPut @5 :ChunkPut;
    treePut @6 :TreePut;
    chunkGet @7 :ChunkGet;
    logRead @8 :LogRead;
    logMore @9 :LogMore;
  }
}

# ---- from the controller ----

struct LogAck {
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  durable @2 :UInt64;
  # Raw bytes on disk; the agent sends from here on.
}

struct LogSealed {
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  error @2 :Text $message;
  # What did not fit; the agent sends from LogAck's offset again. Absent: sealed.
}

struct ChunksMissing $check {
  request @0 :UInt64;
  indexes @1 :List(UInt32) $max(.maxHashesPerMessage);
  # Into the query's hashes, each below 8,192.
}

struct ChunkStored {
  hash @0 :Data $hash;
  error @1 :Text $message;
  # Absent: received and verified.
}

struct TreeCommitted {
  hash @0 :Data $hash;
  error @1 :Text $message;
  # Absent: whole and durable.
  missing @2 :Data $hashes $max(.maxHashesPerMessage);
  # Chunks to send first.
}

struct ChunkData $check {
  hash @0 :Data $hash;
  totalBytes @1 :UInt64 $max(.maxTreeBytes);
  # Of the chunk, or of the tree's encoding.
  offset @2 :UInt64;
  bytes @3 :Data $large $max(.maxPartBytes);
}

struct LogData {
  request @0 :UInt64;
  offset @1 :UInt64;
  # Of the first byte in the log.
  bytes @2 :Data $large $max(.maxPartBytes);
  # Raw.
  end @3 :Bool;
  # Nothing more will come: sealed and all sent.
}

struct BulkError {
  # The request cannot be done. The fields name what it was about.
  request @0 :UInt64;
  # Of LogRead and ChunkQuery. 0: not about one.
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  # Of log messages. 0/0: not about one.
  hash @3 :Data $hash;
  # Of chunk and tree messages. Absent: not about one.
  code @4 :ErrorCode $initial("Errc::kInternal");
  message @5 :Text $message;
}

struct BulkReply $variant("BulkReply") $noun("bulk reply") $frame(.maxBulkFrameBytes) {
  union {
    none @0 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    logAck @1 :LogAck;
    logSealed @2 :LogSealed;
    chunksMissing @3 :ChunksMissing;
    chunkStored @4 :ChunkStored;
    treeCommitted @5 :TreeCommitted;
    chunkData @6 :ChunkData;
    logData @7 :LogData;
    bulkError @8 :BulkError;
  }
}
