@0xb1d7f0a94c3e2865;
# Defines the enrol endpoint. Any key may connect there and send these messages, nothing else; PROTOCOL.md describes the
# conversation. One frame is one EnrolRequest or EnrolReply. The connection is CURVE, and the client knows the
# controller's key beforehand, so both sides know whose key the other has.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".exactly;
using import "annotations.capnp".frame;
using import "annotations.capnp".hash;
using import "annotations.capnp".id;
using import "annotations.capnp".max;
using import "annotations.capnp".message;
using import "annotations.capnp".noun;
using import "annotations.capnp".time;
using import "annotations.capnp".variant;

const maxEnrolmentLabels :UInt64 = 64;
const maxEnrolmentUses :UInt64 = 1000;
# Agents that one line lets in.

# ---- to the controller ----

struct Probe {
  nonce @0 :UInt64;
  # Chosen by the sender; the answer carries it.
  software @1 :Text;
  # "furrow-agent 0.1.0 (cdbc41d)", for people.
}

struct EnrolBegin {
  nonce @0 :UInt64;
  # Nonce as in Probe.
  oldestVersion @1 :UInt16;
  newestVersion @2 :UInt16;
  # Protocol versions that the agent speaks, as in Register.
  software @3 :Text;
}

struct EnrolProve {
  nonce @0 :UInt64;
  # Nonce as in Probe.
  enrolment @1 :UInt64 $id("EnrolmentId");
  # Number of the enrolment, from the line.
  name @2 :Text;
  # Name that the agent wants to have, as the allowlist allows names.
  host @3 :Text;
  # Name of the machine, for people.
  challenge @4 :Data $hash;
  # Challenge of the newest EnrolChallenge on this connection.
  proof @5 :Data $exactly(64);
  # Ed25519 signature by the key whose seed is the line's secret; common/enrol/proof.h says over which bytes.
}

struct EnrolRequest $variant("EnrolRequest") $noun("enrol request") $frame(8192) {
  union {
    none @0 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
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
  # Nonce of the Probe.
  wallMs @1 :Int64 $time;
  # The controller's time of day when it answered.
  software @2 :Text;
  oldestVersion @3 :UInt16;
  newestVersion @4 :UInt16;
  # Protocol versions that the controller speaks.
  controlPort @5 :UInt16;
  bulkPort @6 :UInt16;
  role @7 :KeyRole;
  # Role of the key that asks.
  name @8 :Text;
  # Name under which the key is allowed. Absent: the key is not allowed.
}

struct EnrolChallenge {
  nonce @0 :UInt64;
  # Nonce of the EnrolBegin.
  challenge @1 :Data $hash;
  # Random; valid on this connection, until the next EnrolBegin.
}

struct Enrolled {
  nonce @0 :UInt64;
  # Nonce of the EnrolProve.
  name @1 :Text;
  # Name that the agent has from now on.
  labels @2 :List(Text) $max(.maxEnrolmentLabels);
  # Labels that the agent offers beside its own.
  controlPort @3 :UInt16;
  bulkPort @4 :UInt16;
  software @5 :Text;
}

enum EnrolRefusal {
  unknown @0;
  # There is no such enrolment: it was never made, or is forgotten.
  revoked @1;
  wrongSecret @2;
  expired @3;
  usedUp @4;
  nameTaken @5;
  # Another key has this name.
  keyTaken @6;
  # The key is on the allowlist already, under another name or as a client's.
  badName @7;
  noCommonVersion @8;
  # The two sides have no protocol version in common.
  busy @9;
  # The controller cannot admit the agent now: there were too many tries, or it cannot write. Nothing was changed.
}

struct EnrolRefused {
  nonce @0 :UInt64;
  # Nonce of the request.
  reason @1 :EnrolRefusal;
  message @2 :Text $message;
}

struct EnrolReply $variant("EnrolReply") $noun("enrol reply") $frame(8192) {
  union {
    none @0 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
    probe @1 :ProbeAnswer;
    challenge @2 :EnrolChallenge;
    enrolled @3 :Enrolled;
    refused @4 :EnrolRefused;
  }
}
