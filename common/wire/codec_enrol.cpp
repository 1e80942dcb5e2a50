// EnrolRequest and EnrolReply of schemas/enrol.capnp.
#include <algorithm>
#include <variant>

#include "common/wire/codec.h"
#include "common/wire/codec_wire.h"
#include "schemas/enrol.capnp.h"

namespace furrow {
namespace {

using namespace codec;  // NOLINT: this file is a codec

static_assert(static_cast<int>(wire::KeyRole::CLIENT) == static_cast<int>(KeyRole::kClient));
static_assert(static_cast<int>(wire::EnrolRefusal::BUSY) == static_cast<int>(EnrolRefusal::kBusy));

EnrolSignature ReadSignature(capnp::Data::Reader data) {
  EnrolSignature signature{};
  if (data.size() != signature.size()) throw Malformed{"proof: a signature has 64 bytes"};
  std::copy(data.begin(), data.end(), signature.begin());
  return signature;
}

// ---- to the controller -----------------------------------------------------------------------------------------

void Write(wire::EnrolRequest::Builder root, const Probe& message) {
  auto to = root.initProbe();
  to.setNonce(message.nonce);
  WriteText(message.software, [&](auto text) { to.setSoftware(text); });
}

void Write(wire::EnrolRequest::Builder root, const EnrolBegin& message) {
  auto to = root.initBegin();
  to.setNonce(message.nonce);
  to.setOldestVersion(message.oldest_version);
  to.setNewestVersion(message.newest_version);
  WriteText(message.software, [&](auto text) { to.setSoftware(text); });
}

void Write(wire::EnrolRequest::Builder root, const EnrolProve& message) {
  auto to = root.initProve();
  to.setNonce(message.nonce);
  to.setEnrolment(Raw(message.enrolment));
  WriteText(message.name, [&](auto text) { to.setName(text); });
  WriteText(message.host, [&](auto text) { to.setHost(text); });
  WriteHash(message.challenge, [&](auto hash) { to.setChallenge(hash); });
  to.setProof(capnp::Data::Reader(message.proof.data(), message.proof.size()));
}

EnrolRequest Read(wire::EnrolRequest::Reader root) {
  switch (root.which()) {
    case wire::EnrolRequest::NONE: throw Malformed{"an empty message"};
    case wire::EnrolRequest::PROBE: {
      const auto from = root.getProbe();
      return Probe{from.getNonce(), ReadText(from.getSoftware(), kNameBytes, "software")};
    }
    case wire::EnrolRequest::BEGIN: {
      const auto from = root.getBegin();
      return EnrolBegin{from.getNonce(), from.getOldestVersion(), from.getNewestVersion(),
                        ReadText(from.getSoftware(), kNameBytes, "software")};
    }
    case wire::EnrolRequest::PROVE: {
      const auto from = root.getProve();
      return EnrolProve{.nonce = from.getNonce(),
                        .enrolment = EnrolmentId{from.getEnrolment()},
                        .name = ReadText(from.getName(), kNameBytes, "name"),
                        .host = ReadText(from.getHost(), kNameBytes, "host"),
                        .challenge = ReadHash(from.getChallenge(), "challenge"),
                        .proof = ReadSignature(from.getProof())};
    }
  }
  ThrowNewer();
}

// ---- from the controller ---------------------------------------------------------------------------------------

void Write(wire::EnrolReply::Builder root, const ProbeAnswer& message) {
  auto to = root.initProbe();
  to.setNonce(message.nonce);
  to.setWallMs(MsOf(message.wall));
  WriteText(message.software, [&](auto text) { to.setSoftware(text); });
  to.setOldestVersion(message.oldest_version);
  to.setNewestVersion(message.newest_version);
  to.setControlPort(message.control_port);
  to.setBulkPort(message.bulk_port);
  to.setRole(WireEnum<wire::KeyRole>(message.role));
  WriteText(message.name, [&](auto text) { to.setName(text); });
}

void Write(wire::EnrolReply::Builder root, const EnrolChallenge& message) {
  auto to = root.initChallenge();
  to.setNonce(message.nonce);
  WriteHash(message.challenge, [&](auto hash) { to.setChallenge(hash); });
}

void Write(wire::EnrolReply::Builder root, const Enrolled& message) {
  auto to = root.initEnrolled();
  to.setNonce(message.nonce);
  WriteText(message.name, [&](auto text) { to.setName(text); });
  WriteTexts(message.labels, [&](unsigned count) { return to.initLabels(count); });
  to.setControlPort(message.control_port);
  to.setBulkPort(message.bulk_port);
  WriteText(message.software, [&](auto text) { to.setSoftware(text); });
}

void Write(wire::EnrolReply::Builder root, const EnrolRefused& message) {
  auto to = root.initRefused();
  to.setNonce(message.nonce);
  to.setReason(WireEnum<wire::EnrolRefusal>(message.reason));
  WriteWords(message.words, kWordsBytes, [&](auto text) { to.setWords(text); });
}

EnrolReply Read(wire::EnrolReply::Reader root) {
  switch (root.which()) {
    case wire::EnrolReply::NONE: throw Malformed{"an empty message"};
    case wire::EnrolReply::PROBE: {
      const auto from = root.getProbe();
      return ProbeAnswer{.nonce = from.getNonce(),
                         .wall = WallTime{from.getWallMs()},
                         .software = ReadText(from.getSoftware(), kNameBytes, "software"),
                         .oldest_version = from.getOldestVersion(),
                         .newest_version = from.getNewestVersion(),
                         .control_port = from.getControlPort(),
                         .bulk_port = from.getBulkPort(),
                         .role = ReadEnum(from.getRole(), KeyRole::kClient, "role"),
                         .name = ReadText(from.getName(), kNameBytes, "name")};
    }
    case wire::EnrolReply::CHALLENGE: {
      const auto from = root.getChallenge();
      return EnrolChallenge{from.getNonce(), ReadHash(from.getChallenge(), "challenge")};
    }
    case wire::EnrolReply::ENROLLED: {
      const auto from = root.getEnrolled();
      return Enrolled{.nonce = from.getNonce(),
                      .name = ReadText(from.getName(), kNameBytes, "name"),
                      .labels = ReadTexts(from.getLabels(), kMaxEnrolmentLabels, kNameBytes, "labels"),
                      .control_port = from.getControlPort(),
                      .bulk_port = from.getBulkPort(),
                      .software = ReadText(from.getSoftware(), kNameBytes, "software")};
    }
    case wire::EnrolReply::REFUSED: {
      const auto from = root.getRefused();
      return EnrolRefused{from.getNonce(), ReadEnum(from.getReason(), EnrolRefusal::kBusy, "reason"),
                          ReadWords(from.getWords(), kWordsBytes, "words")};
    }
  }
  ThrowNewer();
}

}  // namespace

// ---- frames ----------------------------------------------------------------------------------------------------

std::string Encode(const EnrolRequest& message) {
  FrameBuilder frame;
  std::visit([root = frame.Init<wire::EnrolRequest>()](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

std::string Encode(const EnrolReply& message) {
  FrameBuilder frame;
  std::visit([root = frame.Init<wire::EnrolReply>()](const auto& kind) { Write(root, kind); }, message);
  return frame.Finish();
}

Result<EnrolRequest> DecodeEnrolRequest(Bytes frame) {
  EnrolRequest message;
  FURROW_TRY(OpenFrame(frame, kMaxEnrolFrame, "enrol request",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::EnrolRequest>()); }));
  return message;
}

Result<EnrolReply> DecodeEnrolReply(Bytes frame) {
  EnrolReply message;
  FURROW_TRY(OpenFrame(frame, kMaxEnrolFrame, "enrol reply",
                       [&](capnp::MessageReader& reader) { message = Read(reader.getRoot<wire::EnrolReply>()); }));
  return message;
}

}  // namespace furrow
