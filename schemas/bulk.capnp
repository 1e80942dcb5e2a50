@0xbfaf1faf74272372;
# Bulk channel: log frames and chunks. common/wire/messages_bulk.h on the wire; agents and clients on one side, the
# controller on the other. A frame is at most 1 MiB + 64 KiB. PROTOCOL.md tells who may send how much.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "agent.capnp".ErrorCode;

# ---- to the controller ----

struct LogAppend {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  offset @2 :UInt64;
  # Of the frame's first raw byte in the log.
  rawLength @3 :UInt32;
  # Raw bytes in the frame, 1 to 1 MiB.
  compressed @4 :Data;
  # One frame as in controller/STORE.md, "Log files", header included: the controller appends it unchanged.
}
# Agents only. Answered by LogAck once durable.

struct LogOpen {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
}
# Agents only. Answered by LogAck.

struct LogSeal {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  length @2 :UInt64;
  # Raw bytes of the whole log.
  hash @3 :Data;
  # SHA-256 of them.
}
# Agents only. Answered by LogSealed.

struct ChunkQuery {
  request @0 :UInt64;
  # Chosen by the sender; echoed in ChunksMissing.
  hashes @1 :Data;
  # Hashes; at most 8,192.
}

struct ChunkPut {
  hash @0 :Data;
  bytes @1 :Data;
  # At most 1 MiB.
}
# Answered by ChunkStored.

struct TreePut {
  hash @0 :Data;
  # Of the whole encoding.
  totalBytes @1 :UInt64;
  # At most 64 MiB.
  offset @2 :UInt64;
  # Of this part; parts come in order.
  bytes @3 :Data;
  # At most 1 MiB.
}
# The last part is answered by TreeCommitted, each before it by ChunkStored.

struct ChunkGet {
  hash @0 :Data;
  tree @1 :Bool;
  # The encoding of a tree, in parts.
}
# Answered by ChunkData or BulkError.

struct LogRead {
  request @0 :UInt64;
  # Chosen by the client; names the stream.
  run @1 :UInt64;
  attempt :group {
    job @2 :UInt64;
    epoch @3 :UInt64;
  }
  offset @4 :UInt64;
  # Raw bytes.
  tailLines @5 :UInt32;
  # The last so many lines. 0: from offset.
  follow @6 :Bool;
  # Until the log is sealed.
  credit @7 :UInt64;
  # Raw bytes that the client will take.
}
# Clients only. Answered by LogData messages or BulkError.

struct LogMore {
  request @0 :UInt64;
  credit @1 :UInt64;
  # Further raw bytes. 0: end the stream.
}

struct BulkRequest {
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
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  durable @2 :UInt64;
  # Raw bytes on disk; the agent sends from here on.
}

struct LogSealed {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  error @2 :Text;
  # What did not fit; the agent sends from LogAck's offset again. At most 4 KiB. Absent: sealed.
}

struct ChunksMissing {
  request @0 :UInt64;
  indexes @1 :List(UInt32);
  # Into the query's hashes; at most 8,192, each below 8,192.
}

struct ChunkStored {
  hash @0 :Data;
  error @1 :Text;
  # At most 4 KiB. Absent: received and verified.
}

struct TreeCommitted {
  hash @0 :Data;
  error @1 :Text;
  # At most 4 KiB. Absent: whole and durable.
  missing @2 :Data;
  # Hashes of chunks to send first; at most 8,192. Absent: none.
}

struct ChunkData {
  hash @0 :Data;
  totalBytes @1 :UInt64;
  # Of the chunk, or of the tree's encoding; at most 64 MiB.
  offset @2 :UInt64;
  bytes @3 :Data;
  # At most 1 MiB.
}

struct LogData {
  request @0 :UInt64;
  offset @1 :UInt64;
  # Of the first byte in the log.
  bytes @2 :Data;
  # Raw; at most 1 MiB.
  end @3 :Bool;
  # Nothing more will come: sealed and all sent.
}

struct BulkError {
  request @0 :UInt64;
  # Of LogRead and ChunkQuery. 0: not about one.
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  # Of log messages. 0/0: not about one.
  hash @3 :Data;
  # Of chunk and tree messages. Absent: not about one.
  code @4 :ErrorCode;
  message @5 :Text;
  # For a person; at most 4 KiB.
}

struct BulkReply {
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
