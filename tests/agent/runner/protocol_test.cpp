#include "agent/runner/protocol.h"

#include <doctest/doctest.h>

#include "agent/runner/wire.h"

using namespace furrow;
using namespace furrow::runner;

namespace {

std::vector<Frame> AllKinds() {
  Start start;
  start.ref = {JobId{7}, Epoch{3}};
  start.workspace = "/w";
  start.spool = "/s";
  start.metrics = "/m";
  start.env = {"A=1", "B="};
  start.steps = {{{"sh", "-c", "true"}, "run true"}, {{"x"}, ""}};
  start.timeout_ms = 1;
  start.kill_grace_ms = 2;
  start.log_quota_bytes = 3;
  start.blob = std::string("a\0b", 3);
  const Exited exited{start.ref, 1, {OutcomeKind::kKilled, -9, "why"}, 5, WallTime{6}, WallTime{7}, 8, 9, 10};
  Start held = start;
  held.after = AttemptRef{JobId{7}, Epoch{8}};
  return {Hello{1, 2},
          Hello{1, 2, true},
          start,
          held,
          Kill{start.ref, "reason", 5000},
          Forget{start.ref},
          List{},
          Shutdown{true},
          Lease{123456789},
          Started{start.ref, 4321, WallTime{99}},
          exited,
          Listed{{start.ref, true, WallTime{5}, exited, "blob", std::nullopt}},
          Listed{{start.ref, true, WallTime{5}, exited, "blob", held.after}},
          ListEnd{}};
}

}  // namespace

TEST_CASE("protocol: every frame survives the wire, however the stream is cut") {
  const std::vector<Frame> sent = AllKinds();
  std::string bytes;
  for (const Frame& frame : sent) REQUIRE(AppendFrame(frame, bytes));
  for (std::size_t piece : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    FrameReader reader;
    std::vector<Frame> received;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      REQUIRE(reader.Feed(std::string_view(bytes).substr(at, piece), received));
    CHECK(received == sent);
  }
}

TEST_CASE("protocol: no damaged frame is read past its end") {
  std::string bytes;
  for (const Frame& frame : AllKinds()) REQUIRE(AppendFrame(frame, bytes));
  for (std::size_t at = 0; at < bytes.size(); ++at) {  // under ASan this is where a decoder would be caught
    for (const char value : {'\0', '\xff', '\x7f'}) {
      std::string damaged = bytes;
      damaged[at] = value;
      FrameReader reader;
      std::vector<Frame> frames;
      const Status status = reader.Feed(damaged, frames);
      CHECK((status || status.error().code == Errc::kCorrupt));
    }
  }
}

TEST_CASE("protocol: fields that a newer peer appends are ignored") {
  std::string bytes;
  REQUIRE(AppendFrame(Forget{{JobId{1}, Epoch{2}}}, bytes));
  bytes += "more";
  bytes[0] = static_cast<char>(bytes[0] + 4);
  FrameReader reader;
  std::vector<Frame> frames;
  REQUIRE(reader.Feed(bytes, frames));
  CHECK(frames == std::vector<Frame>{Forget{{JobId{1}, Epoch{2}}}});
}

TEST_CASE("protocol: a frame or blob over its cap is refused by sender and receiver") {
  Start start;
  start.blob.assign(kMaxBlobBytes + 1, 'x');
  std::string bytes = "before";
  CHECK(AppendFrame(start, bytes).error().code == Errc::kInvalid);
  start.blob.clear();
  start.env = {std::string(kMaxFrameBytes, 'x')};
  CHECK(AppendFrame(start, bytes).error().code == Errc::kInvalid);
  CHECK(bytes == "before");
  std::string header;
  Writer(header).U32(kMaxFrameBytes + 1);
  FrameReader reader;
  std::vector<Frame> frames;
  CHECK(reader.Feed(header, frames).error().code == Errc::kCorrupt);
}

TEST_CASE("protocol: the checksum is zlib's") {
  CHECK(Crc32("123456789") == 0xCBF43926u);
}
