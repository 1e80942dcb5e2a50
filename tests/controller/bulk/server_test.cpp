#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "common/chunks/tree.h"
#include "common/logs/frames.h"
#include "tests/support/data_farm.h"
#include "tests/support/failing_syncs.h"

namespace furrow::test {
namespace {

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};

LogAppend Frame(AttemptRef attempt, std::uint64_t offset, const std::string& raw) {
  static FrameEncoder encoder;
  LogAppend append{attempt, offset, static_cast<std::uint32_t>(raw.size()), {}};
  encoder.Append(attempt, offset, AsBytes(raw), append.compressed);
  return append;
}

// Acknowledgements up to `durable`: several appends may be answered by one.
void HearAcks(BulkPeer& peer, std::uint64_t durable) {
  std::uint64_t last = 0;
  while (last < durable) {
    const auto ack = peer.HearA<LogAck>();
    CHECK(ack.durable >= last);
    last = ack.durable;
  }
  CHECK(last == durable);
}

TEST_CASE("bulk logs: appended, acknowledged, sealed after the loop's word") {
  DataFarm farm;
  farm.Grant(kAttempt);
  farm.AnswerSeals(false);
  BulkPeer agent(farm, farm.agent);
  const std::string text = SomeText(300'000);
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<LogAck>().durable == 0);
  agent.Say(Frame(kAttempt, 0, text.substr(0, 100'000)));
  agent.Say(Frame(kAttempt, 100'000, text.substr(100'000)));
  HearAcks(agent, text.size());
  agent.Say(LogSeal{kAttempt, text.size(), HashOf(text)});
  const auto event = farm.events.Next();
  REQUIRE(event);
  const auto& sealed = std::get<BulkLogSealed>(*event);
  CHECK(sealed.attempt == kAttempt);
  CHECK(sealed.log == LogRecord{text.size(), HashOf(text), {LogStorage::kOwnFile, 0, 0}});
  CHECK_FALSE(agent.Hear(std::chrono::milliseconds(50)));  // not on record yet
  farm.server->Post(BulkSealDurable{kAttempt});
  CHECK(agent.HearA<LogSealed>() == LogSealed{kAttempt, ""});
  CHECK(farm.LogText(kAttempt) == text);
}

TEST_CASE("bulk logs: sealing again is answered again") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  agent.Say(Frame(kAttempt, 0, "hello\n"));
  HearAcks(agent, 6);
  for (int i = 0; i < 2; ++i) {
    agent.Say(LogSeal{kAttempt, 6, HashOf("hello\n")});
    CHECK(agent.HearA<LogSealed>().error.empty());
    CHECK(farm.events.Next());
  }
}

TEST_CASE("bulk logs: only the agent that holds the attempt may append") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer other(farm, farm.other_agent);
  BulkPeer client(farm, farm.client);
  for (BulkPeer* peer : {&other, &client}) {
    peer->Say(Frame(kAttempt, 0, "forged\n"));
    const auto error = peer->HearA<BulkError>();
    CHECK(error.code == Errc::kRejected);
    CHECK(error.attempt == kAttempt);
  }
  BulkPeer agent(farm, farm.agent);
  agent.Say(Frame({JobId{1}, Epoch{2}}, 0, "too early\n"));
  CHECK(agent.HearA<BulkError>().code == Errc::kRejected);
  farm.server->Post(BulkRevoke{kAttempt});
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<BulkError>().code == Errc::kRejected);
}

TEST_CASE("bulk logs: a gap is refused, a repeated frame is fine, a damaged one is not") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  agent.Say(Frame(kAttempt, 0, "first\n"));
  HearAcks(agent, 6);
  agent.Say(Frame(kAttempt, 10, "third\n"));
  CHECK(agent.HearA<BulkError>().code == Errc::kUnavailable);
  agent.Say(Frame(kAttempt, 0, "first\n"));
  CHECK(agent.HearA<LogAck>().durable == 6);
  LogAppend damaged = Frame(kAttempt, 6, SomeText(5000));
  damaged.compressed[damaged.compressed.size() / 2] ^= 0x10;
  agent.Say(damaged);
  CHECK(agent.HearA<BulkError>().code == Errc::kCorrupt);
  LogAppend other = Frame({JobId{2}, Epoch{1}}, 6, "other\n");
  other.attempt = kAttempt;  // a frame of another attempt under this one's name
  agent.Say(other);
  CHECK(agent.HearA<BulkError>().code == Errc::kCorrupt);
  CHECK(farm.LogText(kAttempt) == "first\n");
}

TEST_CASE("bulk logs: what goes far beyond the quota is refused") {
  DataFarm farm;
  farm.Grant(kAttempt, 1000);
  BulkPeer agent(farm, farm.agent);
  agent.Say(Frame(kAttempt, 0, SomeText(1100)));  // the quota and a last line with the reason
  HearAcks(agent, 1100);
  agent.Say(Frame(kAttempt, 1100, SomeText(200'000)));
  CHECK(agent.HearA<BulkError>().code == Errc::kRejected);
}

TEST_CASE("bulk logs: a log that is not what its agent has starts over") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  agent.Say(Frame(kAttempt, 0, "hello\n"));
  HearAcks(agent, 6);
  agent.Say(LogSeal{kAttempt, 9, HashOf("hello\nyou")});
  CHECK_FALSE(agent.HearA<LogSealed>().error.empty());  // bytes are missing
  agent.Say(LogSeal{kAttempt, 6, HashOf("hallo\n")});
  CHECK_FALSE(agent.HearA<LogSealed>().error.empty());
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<LogAck>().durable == 0);
  CHECK(farm.events.Empty());
}

TEST_CASE("bulk logs: what was acknowledged is there after a restart") {
  DataFarm farm;
  farm.Grant(kAttempt);
  const std::string text = SomeText(2'500'000);
  {
    BulkPeer agent(farm, farm.agent);
    agent.Say(Frame(kAttempt, 0, text.substr(0, 1'000'000)));
    HearAcks(agent, 1'000'000);
  }
  farm.Stop();
  farm.Start();
  BulkPeer agent(farm, farm.agent);
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<LogAck>().durable == 1'000'000);
}

TEST_CASE("bulk reading: a follower sees each line before the seal, and the end after it") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  BulkPeer reader(farm, farm.client);
  reader.Say(LogRead{5, farm.run, kAttempt, 0, 0, true, 1 << 20});
  agent.Say(Frame(kAttempt, 0, "one\n"));
  CHECK(reader.HearA<LogData>() == LogData{5, 0, "one\n", false});
  agent.Say(Frame(kAttempt, 4, "two\n"));
  CHECK(reader.HearA<LogData>() == LogData{5, 4, "two\n", false});
  agent.Say(LogSeal{kAttempt, 8, HashOf("one\ntwo\n")});
  CHECK(reader.HearA<LogData>() == LogData{5, 8, "", true});
}

TEST_CASE("bulk reading: no more than the credit, then on") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  BulkPeer reader(farm, farm.client);
  const std::string text = SomeText(100'000);
  agent.Say(Frame(kAttempt, 0, text));
  HearAcks(agent, text.size());
  reader.Say(LogRead{1, farm.run, kAttempt, 0, 0, false, 30'000});
  std::string got = reader.HearA<LogData>().bytes;
  CHECK(got == text.substr(0, 30'000));
  CHECK_FALSE(reader.Hear(std::chrono::milliseconds(50)));
  for (bool end = false; !end;) {
    reader.Say(LogMore{1, 30'000});
    const auto data = reader.HearA<LogData>();
    CHECK(data.bytes.size() <= 30'000);
    got += data.bytes;
    end = data.end;
  }
  CHECK(got == text);
}

TEST_CASE("bulk reading: the last lines of a log") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  BulkPeer reader(farm, farm.client);
  agent.Say(Frame(kAttempt, 0, "one\ntwo\nthree\n"));
  HearAcks(agent, 14);
  reader.Say(LogRead{1, farm.run, kAttempt, 0, 2, false, 1 << 20});
  CHECK(reader.HearA<LogData>() == LogData{1, 4, "two\nthree\n", true});
}

TEST_CASE("bulk reading: a small log comes out of its pack when it is on record") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer follower(farm, farm.client);
  follower.Say(LogRead{1, farm.run, kAttempt, 0, 0, true, 1 << 20});
  CHECK_FALSE(follower.Hear(std::chrono::milliseconds(50)));  // nothing yet, but it may come
  const SmallLogView small{farm.run, kAttempt, "short\n"};
  const LogRef log_ref = farm.logs->AppendSmall({&small, 1}).value().front();
  const LogRecord record{6, HashOf("short\n"), {LogStorage::kPack, log_ref.pack, log_ref.file_offset}};
  farm.SetHistory(kAttempt, record);
  farm.server->Post(BulkLogFinal{farm.run, kAttempt, record});
  farm.server->Post(BulkRevoke{kAttempt});
  CHECK(follower.HearA<LogData>() == LogData{1, 0, "short\n", true});
  follower.Say(LogRead{2, farm.run, kAttempt, 0, 0, false, 1 << 20});  // from history
  CHECK(follower.HearA<LogData>() == LogData{2, 0, "short\n", true});
}

TEST_CASE("bulk reading: an attempt that was lost ends its followers with what there is") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  BulkPeer reader(farm, farm.client);
  agent.Say(Frame(kAttempt, 0, "cut off"));
  reader.Say(LogRead{1, farm.run, kAttempt, 0, 0, true, 1 << 20});
  CHECK(reader.HearA<LogData>() == LogData{1, 0, "cut off", false});
  farm.server->Post(BulkRevoke{kAttempt});
  CHECK(reader.HearA<LogData>() == LogData{1, 7, "", true});
  farm.SetHistory(kAttempt, LogRecord{});
  reader.Say(LogRead{2, farm.run, kAttempt, 0, 0, true, 1 << 20});
  CHECK(reader.HearA<LogData>() == LogData{2, 0, "cut off", true});
}

TEST_CASE("bulk reading: unknown logs and readers who may not") {
  DataFarm farm;
  BulkPeer reader(farm, farm.client);
  reader.Say(LogRead{1, farm.run, {JobId{99}, Epoch{1}}, 0, 0, true, 1 << 20});
  CHECK(reader.HearA<BulkError>().code == Errc::kNotFound);
  BulkPeer agent(farm, farm.agent);
  agent.Say(LogRead{1, farm.run, kAttempt, 0, 0, true, 1 << 20});
  CHECK(agent.HearA<BulkError>().code == Errc::kRejected);
}

TEST_CASE("bulk reading: readers that leave before they are answered harm nobody") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer witness(farm, farm.agent);
  const auto is_alive = [&] {
    witness.Say(LogOpen{kAttempt});
    return witness.HearA<LogAck>().durable == 0;
  };
  for (int round = 0; round < 20; ++round) {
    farm.history_gate.Close();
    {
      BulkPeer reader(farm, farm.client);
      for (std::uint64_t i = 1; i <= 8; ++i)
        reader.Say(LogRead{i, farm.run, {JobId{99}, Epoch{1}}, 0, 0, true, 1 << 20});
      REQUIRE(farm.history_gate.AwaitOne());
    }
    CHECK(is_alive());  // by then the server's network has heard that the reader left
    farm.history_gate.Open();
    CHECK(is_alive());
  }
}

struct Cargo {
  explicit Cargo(unsigned seed) : one(SomeText(100'000, seed)), two(SomeText(200'000, seed + 1)) {
    TreeEntry file;
    file.path = "dir/file";
    file.size = one.size() + two.size();
    file.chunks = {{HashOf(one), 100'000}, {HashOf(two), 200'000}};
    encoded = EncodeTree(MakeTree({file}).value()).value();
  }
  std::string one, two;
  EncodedTree encoded;
};

TEST_CASE("bulk chunks: only what is missing is asked for; a tree is committed when whole") {
  DataFarm farm;
  farm.Grant(kAttempt);
  const Cargo cargo(1);
  BulkPeer agent(farm, farm.agent);
  agent.Say(ChunkPut{HashOf(cargo.one), cargo.one});
  CHECK(agent.HearA<ChunkStored>() == ChunkStored{HashOf(cargo.one), ""});
  agent.Say(TreePut{cargo.encoded.name, cargo.encoded.bytes.size(), 0, cargo.encoded.bytes});
  const auto incomplete = agent.HearA<TreeCommitted>();
  CHECK(incomplete.missing == std::vector<Hash>{HashOf(cargo.two)});
  CHECK_FALSE(incomplete.error.empty());
  agent.Say(ChunkQuery{3, {HashOf(cargo.one), HashOf(cargo.two)}});
  CHECK(agent.HearA<ChunksMissing>() == ChunksMissing{3, {1}});
  agent.Say(ChunkPut{HashOf(cargo.two), cargo.two});
  CHECK(agent.HearA<ChunkStored>().error.empty());
  agent.Say(TreePut{cargo.encoded.name, cargo.encoded.bytes.size(), 0, cargo.encoded.bytes});
  CHECK(agent.HearA<TreeCommitted>() == TreeCommitted{cargo.encoded.name, "", {}});

  farm.Stop();
  farm.Start();
  BulkPeer client(farm, farm.client);
  client.Say(ChunkGet{cargo.encoded.name, true});
  CHECK(client.HearA<ChunkData>().bytes == cargo.encoded.bytes);
  client.Say(ChunkGet{HashOf(cargo.two), false});
  CHECK(client.HearA<ChunkData>().bytes == cargo.two);
}

TEST_CASE("bulk chunks: wrong bytes, unknown hashes and parts out of order are refused") {
  DataFarm farm;
  farm.Grant(kAttempt);
  const Cargo cargo(2);
  BulkPeer agent(farm, farm.agent);
  agent.Say(ChunkPut{HashOf(cargo.one), cargo.two});
  CHECK_FALSE(agent.HearA<ChunkStored>().error.empty());
  agent.Say(ChunkGet{HashOf(cargo.one), false});
  const auto error = agent.HearA<BulkError>();
  CHECK(error.code == Errc::kNotFound);
  CHECK(error.hash == HashOf(cargo.one));
  agent.Say(TreePut{cargo.encoded.name, cargo.encoded.bytes.size(), 10, cargo.encoded.bytes.substr(10)});
  CHECK_FALSE(agent.HearA<TreeCommitted>().error.empty());
  const std::string nonsense = "this is no tree";
  agent.Say(TreePut{HashOf(nonsense), nonsense.size(), 0, nonsense});
  CHECK_FALSE(agent.HearA<TreeCommitted>().error.empty());
}

TEST_CASE("bulk chunks: while the disk is low nothing is taken, in words, but what is there already") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  const Cargo cargo(1);
  const std::string late = SomeText(80'000);
  const TreePut put{cargo.encoded.name, cargo.encoded.bytes.size(), 0, cargo.encoded.bytes};
  for (const std::string& chunk : {cargo.one, cargo.two}) {
    agent.Say(ChunkPut{HashOf(chunk), chunk});
    CHECK(agent.HearA<ChunkStored>().error.empty());
  }
  for (const DiskHealth health : {DiskHealth::kLow, DiskHealth::kFull}) {
    CAPTURE(DiskHealthName(health));
    farm.DiskIs(health);
    agent.Say(ChunkPut{HashOf(late), late});
    const auto refused = agent.HearA<BulkError>();
    CHECK(refused.hash == HashOf(late));
    CHECK(refused.code == Errc::kUnavailable);
    CHECK(refused.message == "no uploads are taken, for the controller's disk is " +
                                 std::string(DiskHealthName(health)) + "; they go on when there is space");
    agent.Say(put);
    CHECK(agent.HearA<BulkError>().code == Errc::kUnavailable);
  }
  farm.DiskIs(DiskHealth::kOk);
  agent.Say(put);
  CHECK(agent.HearA<TreeCommitted>().error.empty());
  CHECK_FALSE(farm.chunks->Has(HashOf(late)));
  farm.DiskIs(DiskHealth::kLow);
  agent.Say(put);
  CHECK(agent.HearA<TreeCommitted>().error.empty());
}

TEST_CASE("bulk logs: they go on while the disk is low, and wait while it is full") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  farm.DiskIs(DiskHealth::kLow);
  agent.Say(Frame(kAttempt, 0, "first\n"));
  HearAcks(agent, 6);
  farm.DiskIs(DiskHealth::kFull);
  agent.Say(Frame(kAttempt, 6, "second\n"));
  const auto refused = agent.HearA<BulkError>();
  CHECK(refused.attempt == kAttempt);
  CHECK(refused.code == Errc::kUnavailable);
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<LogAck>().durable == 6);
  farm.DiskIs(DiskHealth::kOk);
  agent.Say(Frame(kAttempt, 6, "second\n"));
  HearAcks(agent, 13);
  CHECK(farm.LogText(kAttempt) == "first\nsecond\n");
}

TEST_CASE("bulk chunks: a store that can promise nothing any more ends the controller") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  const Cargo cargo(1);
  for (const std::string& chunk : {cargo.one, cargo.two}) {
    agent.Say(ChunkPut{HashOf(chunk), chunk});
    CHECK(agent.HearA<ChunkStored>().error.empty());
  }
  const FailingSyncs faults("/" + HashOf(cargo.one).ToHex().substr(0, 2));
  agent.Say(TreePut{cargo.encoded.name, cargo.encoded.bytes.size(), 0, cargo.encoded.bytes});
  CHECK_FALSE(agent.HearA<TreeCommitted>().error.empty());
  const auto event = farm.events.Next();
  REQUIRE(event);
  CHECK(std::get<BulkFailed>(*event).message.find("can promise no chunk any more") != std::string::npos);
}

TEST_CASE("bulk: garbage is answered and harms nobody") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  REQUIRE(agent.channel->Send("garbage") == SendResult::kSent);
  REQUIRE(agent.channel->Send(std::string(kMaxBulkRequestFrame, 'x')) == SendResult::kSent);
  for (int i = 0; i < 2; ++i) CHECK(agent.HearA<BulkError>().code == Errc::kInvalid);
  agent.Say(LogOpen{kAttempt});
  CHECK(agent.HearA<LogAck>().durable == 0);
}

TEST_CASE("bulk: a reader that never reads delays nobody") {
  DataFarm farm;
  farm.Grant(kAttempt);
  BulkPeer agent(farm, farm.agent);
  std::string noise(1 << 20, '\0');  // does not compress
  std::uint64_t state = 88172645463325252ULL;
  for (char& c : noise) state ^= state << 13, state ^= state >> 7, state ^= state << 17, c = static_cast<char>(state);
  for (std::uint64_t i = 0; i < 16; ++i) agent.Say(Frame(kAttempt, i << 20, noise));
  HearAcks(agent, 16u << 20);
  BulkPeer stopped(farm, farm.client);
  for (std::uint64_t i = 1; i <= 8; ++i) stopped.Say(LogRead{i, farm.run, kAttempt, 0, 0, false, 64u << 20});
  BulkPeer reader(farm, farm.client);
  reader.Say(LogRead{1, farm.run, kAttempt, (16u << 20) - 5, 0, false, 1 << 20});
  const auto data = reader.HearA<LogData>();
  CHECK(data.bytes == noise.substr(noise.size() - 5));
  CHECK(data.end);
}

}  // namespace
}  // namespace furrow::test
