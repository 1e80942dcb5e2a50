@0xbfaf1faf74272372;
# Defines what travels on the bulk channel: log frames and chunks, between agents or clients on one side and the
# controller on the other. PROTOCOL.md says who may send how much. Each side may have a window of unanswered data
# messages under way (bulkWindow), so a slow reader costs bounded memory.

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
# Bytes of the encoding of one tree.
const maxPartBytes :UInt64 = 1048576;
# Bytes of one chunk, of one part of a tree or a log, or of the raw content of one log frame.
const maxBulkFrameBytes :UInt64 = 1114112;

# ---- to the controller ----

struct LogAppend $check {
  # Only an agent sends LogAppend, for its own attempts. LogAck answers once the frame is durable.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  offset @2 :UInt64;
  # Offset of the frame's first raw byte in the log.
  rawLength @3 :UInt32 $max(.maxPartBytes);
  # Raw bytes in the frame.
  compressed @4 :Data $large $max(.maxBulkFrameBytes);
  # One frame as controller/STORE.md, "Log files", defines it, header included: the controller appends the frame
  # unchanged.
}

struct LogOpen {
  # Asks how much of the log the controller has. Only an agent sends LogOpen, before the first LogAppend and after a
  # silence. LogAck answers.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
}

struct LogSeal {
  # Says that the log is whole. Only an agent sends LogSeal. LogSealed answers.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  length @2 :UInt64;
  # Raw bytes of the whole log.
  hash @3 :Data $hash;
  # SHA-256 of the whole log.
}

struct ChunkQuery {
  # Asks which of these chunks the controller lacks. ChunksMissing answers.
  request @0 :UInt64;
  # Chosen by the sender; ChunksMissing echoes it.
  hashes @1 :Data $hashes $max(.maxHashesPerMessage);
}

struct ChunkPut {
  # ChunkStored answers when the chunk is received and verified. A chunk is durable once a tree that names it is
  # committed.
  hash @0 :Data $hash;
  bytes @1 :Data $large $max(.maxPartBytes);
}

struct TreePut $check {
  # Carries the encoding of a tree in parts, in order. ChunkStored answers each part but the last: at the last the
  # controller checks that every chunk is there, makes tree and chunks durable and answers TreeCommitted.
  hash @0 :Data $hash;
  # Hash of the whole encoding.
  totalBytes @1 :UInt64 $max(.maxTreeBytes);
  offset @2 :UInt64;
  # Offset of this part in the encoding.
  bytes @3 :Data $large $max(.maxPartBytes);
}

struct ChunkGet {
  # ChunkData (for a tree: its encoding, in parts) or BulkError answers. PROTOCOL.md says what the asker reaches.
  hash @0 :Data $hash;
  tree @1 :Bool;
}

struct LogRead {
  # Asks for a log from `offset` on, or for its last lines; with `follow` until the log is sealed. Only a client sends
  # LogRead. LogData messages or BulkError answer; the client allows more bytes with LogMore.
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
  # Number of last lines to send. 0: from offset.
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
    # Never sent: a reader sees this member in an empty message, and refuses the message.
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
  # Raw bytes on disk; the agent sends from this offset on.
}

struct LogSealed {
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  error @2 :Text $message;
  # Says what did not fit; the agent sends from LogAck's offset again. Absent: the log is sealed.
}

struct ChunksMissing $check {
  request @0 :UInt64;
  indexes @1 :List(UInt32) $max(.maxHashesPerMessage);
  # Indexes of the query's hashes, each below 8,192.
}

struct ChunkStored {
  hash @0 :Data $hash;
  error @1 :Text $message;
  # Absent: the chunk is received and verified.
}

struct TreeCommitted {
  hash @0 :Data $hash;
  error @1 :Text $message;
  # Absent: the tree is whole and durable.
  missing @2 :Data $hashes $max(.maxHashesPerMessage);
  # Chunks that the sender sends first.
}

struct ChunkData $check {
  hash @0 :Data $hash;
  totalBytes @1 :UInt64 $max(.maxTreeBytes);
  # Bytes of the chunk, or of the tree's encoding.
  offset @2 :UInt64;
  bytes @3 :Data $large $max(.maxPartBytes);
}

struct LogData {
  request @0 :UInt64;
  offset @1 :UInt64;
  # Offset of the first byte in the log.
  bytes @2 :Data $large $max(.maxPartBytes);
  # Raw bytes.
  end @3 :Bool;
  # true: no data follows, because the log is sealed and all of it is sent.
}

struct BulkError {
  # The request cannot be done. The fields name the request.
  request @0 :UInt64;
  # Number of a LogRead or ChunkQuery. 0: the error is about neither.
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  # Attempt of a log message. 0/0: the error is about none.
  hash @3 :Data $hash;
  # Hash of a chunk or tree message. Absent: the error is about none.
  code @4 :ErrorCode $initial("Errc::kInternal");
  message @5 :Text $message;
}

struct BulkReply $variant("BulkReply") $noun("bulk reply") $frame(.maxBulkFrameBytes) {
  union {
    none @0 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
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
