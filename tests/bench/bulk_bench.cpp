// How fast logs and chunks go from an agent to the controller, durably, over a real connection with CURVE.
//   bulk_bench [MIB] [FOLDER]     1024 MiB in a folder of the working directory by default
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/inputs/workspace.h"
#include "agent/slot/workspace_folder.h"
#include "agent/uploads/uploader.h"
#include "common/base/hash.h"
#include "common/base/mailbox.h"
#include "common/chunks/store.h"
#include "common/transport/transport.h"
#include "controller/bulk/server.h"
#include "controller/logs/store.h"

namespace {

using namespace furrow;
namespace fs = std::filesystem;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

template <class T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "bulk_bench: %s\n", result.error().message.c_str());
  std::exit(1);
}
void Must(Status status) {
  if (status) return;
  std::fprintf(stderr, "bulk_bench: %s\n", status.error().message.c_str());
  std::exit(1);
}

// Numbers of a training log, or bytes that nothing compresses.
void WriteFile(const fs::path& path, std::uint64_t bytes, bool text) {
  std::ofstream out(path, std::ios::binary);
  std::mt19937_64 random(text ? 1 : 2);
  std::string block;
  for (std::uint64_t written = 0; written < bytes; written += block.size()) {
    block.clear();
    while (block.size() < (1 << 20)) {
      const std::uint64_t number = random();
      if (text) {
        block += "epoch 3 step " + std::to_string(written + block.size()) + " loss 0." + std::to_string(number >> 40) +
                 " images/s " + std::to_string(4000 + number % 500) + '\n';
      } else {
        block.append(reinterpret_cast<const char*>(&number), sizeof(number));
      }
    }
    block.resize(std::min<std::uint64_t>(1 << 20, bytes - written));
    out << block;
  }
}

template <class T>
T Wait(Mailbox<T>& events) {
  Poller poller;
  poller.AddFd(events.fd());
  for (;;) {
    auto all = events.TakeAll();
    if (!all.empty()) return std::move(all.front());
    poller.Wait(std::chrono::milliseconds(1000));
  }
}

template <class Work>
void Measure(const char* what, std::uint64_t bytes, Work work) {
  const double begin = Seconds(), cpu = CpuSeconds();
  work();
  const double took = Seconds() - begin;
  std::printf("%-44s %8.3f s %8.0f MB/s   (CPU of both ends %.2f s)\n", what, took,
              static_cast<double>(bytes) / took / 1e6, CpuSeconds() - cpu);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t bytes = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1024) << 20;
  std::string folder = std::string(argc > 2 ? argv[2] : ".") + "/bulk-bench-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    std::perror("bulk_bench: cannot make a folder");
    return 1;
  }
  const fs::path dir = fs::absolute(folder);
  {
    const KeyPair server_keys = GenerateKeyPair(), keys = GenerateKeyPair();
    Must(AddToAllowlist(dir / "allow", {{Role::kAgent, "one"}, keys.public_key}));
    Context context;
    Must(context.ServeAllowlist(dir / "allow"));
    const auto logs = Must(LogStore::Open((dir / "logs").string()));
    const auto chunks = Must(ChunkStore::Open((dir / "blobs").string(), {.packs = true}));
    BulkServer* loop = nullptr;
    const auto server = Must(BulkServer::Start(
        context, {"127.0.0.1", 0, server_keys}, *logs, *chunks,
        [](RunId, AttemptRef) -> Result<std::optional<LogRecord>> { return std::nullopt; },
        [&](BulkEvent event) {
          if (const auto* sealed = std::get_if<BulkLogSealed>(&event)) loop->Post(BulkSealDurable{sealed->attempt});
        }));
    loop = server.get();
    ChannelOptions bulk;
    bulk.address = "127.0.0.1:" + std::to_string(server->port());
    bulk.keys = keys;
    bulk.server_key = server_keys.public_key;
    Mailbox<UploadEvent> uploaded;
    const auto uploader = Must(
        Uploader::Start(context, {bulk, dir / "state"}, [&](UploadEvent event) { uploaded.Post(std::move(event)); }));
    Mailbox<WorkspaceEvent> prepared;
    const auto workspace = Must(Workspace::Start(context, {bulk, dir / "cache", 100ull << 30},
                                                 [&](WorkspaceEvent event) { prepared.Post(std::move(event)); }));

    std::uint64_t job = 0;
    for (const bool text : {true, false}) {
      const AttemptRef attempt{JobId{++job}, Epoch{1}};
      const fs::path spool = dir / "spool";
      WriteFile(spool, bytes, text);
      server->Post(BulkGrant{attempt, RunId{1}, "one", 0});
      Measure(text ? "log, training text: spool to sealed" : "log, random bytes: spool to sealed", bytes, [&] {
        uploader->Post(Follow{attempt, spool.string(), "", 0, false});
        uploader->Post(FinishLog{attempt, bytes});
        Wait(uploaded);
      });
      fs::remove(spool);
    }

    fs::create_directory(dir / "ws");
    WriteFile(dir / "ws" / "model.pt", bytes, false);
    Hash tree;
    const auto collect = [&](const char* what) {
      server->Post(BulkGrant{{JobId{++job}, Epoch{1}}, RunId{1}, "one", 0});
      Measure(what, bytes, [&] {
        uploader->Post(Collect{{JobId{job}, Epoch{1}}, (dir / "ws").string(), {"model.pt"}});
        const UploadEvent event = Wait(uploaded);
        if (const auto* failed = std::get_if<ArtifactsFailed>(&event)) std::printf("%s\n", failed->message.c_str());
        if (const auto* done = std::get_if<ArtifactsCommitted>(&event)) tree = done->tree;
      });
    };
    collect("artifact, random bytes: file to committed");
    Poller().Wait(std::chrono::milliseconds(2500));  // a file's stamps have to settle before its hashes are trusted
    collect("artifact again, not yet in the hash cache");
    collect("artifact again, unchanged");
    {
      std::fstream file(dir / "ws" / "model.pt", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(bytes / 2));
      file.put('x');
    }
    collect("artifact again, one byte changed");
    const auto prepare = [&](const char* what) {
      server->Post(BulkGrant{{JobId{++job}, Epoch{1}},
                             RunId{1},
                             "one",
                             0,
                             std::make_shared<const std::vector<Hash>>(std::vector<Hash>{tree})});
      Measure(what, bytes, [&] {
        workspace->Post(Prepare{{JobId{job}, Epoch{1}}, (dir / "inputs").string(), {tree}});
        const WorkspaceEvent event = Wait(prepared);
        if (const auto* failed = std::get_if<PrepareFailed>(&event)) std::printf("%s\n", failed->message.c_str());
      });
    };
    prepare("input: controller to workspace");
    prepare("input again: cache to workspace");

    const int short_logs = 10'000;
    { std::ofstream(dir / "short") << "hello\n"; }
    const double begin = Seconds(), cpu = CpuSeconds();
    for (int i = 0; i < short_logs; ++i) {
      uploader->Post(Follow{{JobId{++job}, Epoch{1}}, (dir / "short").string(), "", 0, false});
      uploader->Post(FinishLog{{JobId{job}, Epoch{1}}, 6});
      Wait(uploaded);
    }
    std::printf("%-44s %8.1f us each, CPU %.1f us\n", "log of a short job, inline, one at a time",
                (Seconds() - begin) / short_logs * 1e6, (CpuSeconds() - cpu) / short_logs * 1e6);
    const double made = Seconds();
    for (int i = 0; i < 1000; ++i) Must(MakeWorkspaceFolder((dir / ("empty" + std::to_string(i))).string()));
    std::printf("%-44s %8.1f us each\n", "workspace without inputs", (Seconds() - made) / 1000 * 1e6);
  }
  fs::remove_all(dir);
  return 0;
}
