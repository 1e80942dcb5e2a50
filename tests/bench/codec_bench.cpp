// What encoding and decoding cost: nanoseconds per message, best of several rounds.
//   codec_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "controller/store/record_codec.h"
#include "schemas/agent.h"
#include "schemas/bulk.h"
#include "tests/support/codec_samples.h"

namespace furrow {
namespace {

// Keeps the compiler from dropping a result that nobody reads.
template <class T>
void Keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

template <class Work>
double NanosecondsPer(Work work) {
  constexpr int kRounds = 15;
  int repetitions = 1;
  double best = 1e18;
  for (int round = 0; round < kRounds;) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i) work();
    const double took = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    if (took < 2e6) {
      repetitions *= 2;
      continue;
    }
    best = std::min(best, took / repetitions);
    ++round;
  }
  return best;
}

template <class Encode, class Decode>
void Print(const char* name, Encode encode, Decode decode) {
  const std::string frame = encode().value();
  const double encoding = NanosecondsPer([&] { Keep(encode()); });
  const double decoding = NanosecondsPer([&] { Keep(decode(frame)); });
  std::printf("%-34s %9zu bytes  encode %8.0f ns  decode %8.0f ns\n", name, frame.size(), encoding, decoding);
}

JobSpec TrueSpec() {
  JobSpec spec;
  spec.name = "true";
  spec.shards = 10'000;
  spec.steps = {{"true", ExecStep{{"/bin/true"}}}};
  return spec;
}

void PrintAll() {
  const ToAgent rich = testing::SampleToAgent()[4];
  const ToAgent plain = Assign{.session = SessionId{1},
                               .attempt = {JobId{7}, Epoch{1}},
                               .run = RunId{1},
                               .run_name = "true#1",
                               .shard = 6,
                               .spec = std::make_shared<const JobSpec>(TrueSpec()),
                               .gpu_uuids = {},
                               .commit = {},
                               .branch = {},
                               .trees = {},
                               .metrics = {},
                               .log_quota_bytes = 1 << 30};
  const auto to_agent = [](const std::string& frame) { return DecodeToAgent(frame); };
  Print(
      "Assign, /bin/true", [&] { return Encode(plain); }, to_agent);
  Print(
      "Assign, four steps", [&] { return Encode(rich); }, to_agent);

  const auto from_agent = [](const std::string& frame) { return DecodeAgentMessage(frame); };
  Finished finished;
  finished.small_log = "";
  const AgentMessage silent = finished;
  Print(
      "Finished, silent", [&] { return Encode(silent); }, from_agent);
  finished.small_log = std::string(kSmallLogBytes, 'x');
  finished.log_length = kSmallLogBytes;
  const AgentMessage wordy = finished;
  Print(
      "Finished, 4 KiB of log", [&] { return Encode(wordy); }, from_agent);
  Heartbeat heartbeat{SessionId{1}, 1, {}};
  heartbeat.held.assign(16, {{JobId{7}, Epoch{1}}, Phase::kRunning});
  const AgentMessage beat = heartbeat;
  Print(
      "Heartbeat, 16 attempts", [&] { return Encode(beat); }, from_agent);
  heartbeat.held.assign(10'000, {{JobId{7}, Epoch{1}}, Phase::kRunning});
  const AgentMessage large_beat = heartbeat;
  Print(
      "Heartbeat, 10,000 attempts", [&] { return Encode(large_beat); }, from_agent);

  const auto bulk = [](const std::string& frame) { return DecodeBulkRequest(frame); };
  const std::string mebibyte(kMaxPartBytes, 'x');
  const BulkRequest append = LogAppend{{JobId{7}, Epoch{1}}, 0, kMaxPartBytes, mebibyte};
  Print(
      "LogAppend, 1 MiB", [&] { return Encode(append); }, bulk);
  const BulkRequest put = ChunkPut{{}, mebibyte};
  Print(
      "ChunkPut, 1 MiB", [&] { return Encode(put); }, bulk);
  const double copying = NanosecondsPer([&] { Keep(std::string(mebibyte)); });
  std::printf("%-34s %9zu bytes  copy   %8.0f ns\n", "(a std::string, for comparison)", mebibyte.size(), copying);

  JobRecord job;
  job.id = JobId{7};
  job.run = RunId{1};
  job.state = JobState::kPassed;
  job.epoch = Epoch{1};
  job.agent = "gpu-7";
  Print(
      "JobRecord", [&] { return EncodeValue(job); },
      [](const std::string& value) { return DecodeValue<JobRecord>(value); });
}

}  // namespace
}  // namespace furrow

int main() {
  furrow::PrintAll();
}
