@0xb1d7f0a94c3e2865;
# The enrol endpoint: common/wire/messages_enrol.h on the wire. Any key may connect there and say what stands here, nothing
# else; PROTOCOL.md tells the conversation. One frame is one EnrolRequest or EnrolReply, of at most 8 KiB. The connection
# is CURVE with the controller's key known beforehand, so both sides know whose key the other has.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

# ---- to the controller ----

struct Probe {
  nonce @0 :UInt64;
  # Chosen by the sender; its answer carries it.
  software @1 :Text;
  # "furrow-agent 0.1.0 (cdbc41d)", for people.
}

struct EnrolBegin {
  nonce @0 :UInt64;
  # As in Probe.
  oldestVersion @1 :UInt16;
  newestVersion @2 :UInt16;
  # Protocol versions that the agent speaks, as in Register.
  software @3 :Text;
}

struct EnrolProve {
  nonce @0 :UInt64;
  # As in Probe.
  enrolment @1 :UInt64;
  # Which one, from the line.
  name @2 :Text;
  # That the agent wants to have; a name as on the allowlist.
  host @3 :Text;
  # Of the machine, for people.
  challenge @4 :Data;
  # From the controller's EnrolChallenge on this connection; 32 bytes.
  proof @5 :Data;
  # Ed25519 signature, 64 bytes, by the key that the line's secret is the seed of; common/enrol/proof.h says over what.
}

struct EnrolRequest {
  union {
    none @0 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    probe @1 :Probe;
    begin @2 :EnrolBegin;
    prove @3 :EnrolProve;
  }
}

# ---- from the controller ----

enum KeyRole {
  none @0;
  # The key is not on the allowlist.
  agent @1;
  client @2;
}

struct ProbeAnswer {
  nonce @0 :UInt64;
  # Of the Probe.
  wallMs @1 :Int64;
  # The controller's time of day when it answered.
  software @2 :Text;
  oldestVersion @3 :UInt16;
  newestVersion @4 :UInt16;
  # Protocol versions that the controller speaks.
  controlPort @5 :UInt16;
  bulkPort @6 :UInt16;
  role @7 :KeyRole;
  # Of the key that asks.
  name @8 :Text;
  # Under which it is allowed. Absent: it is not.
}

struct EnrolChallenge {
  nonce @0 :UInt64;
  # Of the EnrolBegin.
  challenge @1 :Data;
  # 32 random bytes; good for this connection, until the next EnrolBegin.
}

struct Enrolled {
  nonce @0 :UInt64;
  # Of the EnrolProve.
  name @1 :Text;
  # That the agent has from now on.
  labels @2 :List(Text);
  # That it offers beside its own; at most 64.
  controlPort @3 :UInt16;
  bulkPort @4 :UInt16;
  software @5 :Text;
}

enum EnrolRefusal {
  unknown @0;
  # No such enrolment: never made, or forgotten.
  revoked @1;
  wrongSecret @2;
  expired @3;
  usedUp @4;
  nameTaken @5;
  # Another key has that name.
  keyTaken @6;
  # The key is on the allowlist already, under another name or as a client's.
  badName @7;
  version @8;
  # No common protocol version.
  busy @9;
  # Not now: too many tries, or the controller cannot write. Nothing was changed.
}

struct EnrolRefused {
  nonce @0 :UInt64;
  # Of the request.
  reason @1 :EnrolRefusal;
  words @2 :Text;
  # For a person; at most 4 KiB.
}

struct EnrolReply {
  union {
    none @0 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    probe @1 :ProbeAnswer;
    challenge @2 :EnrolChallenge;
    enrolled @3 :Enrolled;
    refused @4 :EnrolRefused;
  }
}
