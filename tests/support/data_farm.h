// Runs the controller's data plane for tests: log and chunk stores in a temporary folder, the bulk endpoint on a free
// port, and a loop that answers its events at once. A DataFarm can be stopped and started again on the same port, as
// after a kill.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "common/transport/transport.h"
#include "controller/bulk/server.h"
#include "controller/logs/store.h"
#include "controller/store/disk_guard.h"
#include "schemas/bulk.h"

namespace furrow::test {

// Holds events of other threads, for which the test's thread waits.
template <class T>
class Events {
 public:
  void Add(T event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_all();
  }
  // Returns the next event; nullopt after `patience`.
  std::optional<T> Next(std::chrono::seconds patience = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return !events_.empty(); })) return std::nullopt;
    T event = std::move(events_.front());
    events_.erase(events_.begin());
    return event;
  }
  bool Empty() {
    const std::lock_guard lock(mutex_);
    return events_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> events_;
};

// Lets threads pass, or holds them until the gate is opened.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  // Returns false if no thread waits at the gate within `patience`.
  bool AwaitOne(std::chrono::seconds patience = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

class DataFarm {
 public:
  explicit DataFarm(BulkLimits bulk_limits = {}) : limits(bulk_limits) {
    // The folder is in memory if there is /dev/shm: a sync of a busy disk can take a second.
    const char* const root = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    std::string name = std::string(root) + "/furrow-data-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    REQUIRE(AddToAllowlist(folder / "allow", {{Role::kAgent, "one"}, agent.public_key}));
    REQUIRE(AddToAllowlist(folder / "allow", {{Role::kAgent, "two"}, other_agent.public_key}));
    REQUIRE(AddToAllowlist(folder / "allow", {{Role::kClient, "ann"}, client.public_key}));
    REQUIRE(context.ServeAllowlist(folder / "allow"));
    disk = DiskGuard::Open({folder}, {0, 0, UINT64_MAX}).value();
    Start();
    port_ = server->port();
  }
  ~DataFarm() {
    Stop();
    std::filesystem::remove_all(folder);
  }

  void Start() {
    logs = LogStore::Open((folder / "logs").string()).value();
    chunks = ChunkStore::Open((folder / "blobs").string()).value();
    std::vector<BulkCommand> first;
    for (const auto& [attempt, grant] : grants_) first.emplace_back(grant);
    auto started = BulkServer::Start(
        context, {"127.0.0.1", port_, server_keys}, *logs, *chunks,
        [this](RunId, AttemptRef attempt) -> Result<std::optional<LogRecord>> {
          history_gate.Pass();
          const std::lock_guard lock(mutex_);
          const auto found = history_.find(attempt);
          return found == history_.end() ? std::nullopt : std::optional(found->second);
        },
        [this](BulkEvent event) {
          if (const auto* sealed = std::get_if<BulkLogSealed>(&event)) {
            const std::lock_guard lock(mutex_);
            if (answer_seals_) to_post_->Post(BulkSealDurable{sealed->attempt});
          }
          events.Add(std::move(event));
        },
        first, limits, disk.get());
    // The port of the server before may take a moment to be free.
    for (int i = 0; !started && port_ != 0 && i < 100; ++i) {
      Poller().Wait(std::chrono::milliseconds(20));
      return Start();
    }
    REQUIRE(started);
    server = std::move(*started);
    {
      const std::lock_guard lock(mutex_);
      to_post_ = server.get();
    }
  }
  // Stops as a kill does: nothing is flushed or sent.
  void Stop() {
    server.reset();
    logs.reset();
    chunks.reset();
  }

  void Grant(AttemptRef attempt, std::uint64_t quota = 0, const std::string& name = "one",
             std::vector<Hash> trees = {}) {
    grants_[attempt] =
        BulkGrant{attempt, run, name, quota, std::make_shared<const std::vector<Hash>>(std::move(trees))};
    if (server) server->Post(grants_[attempt]);
  }
  void Revoke(AttemptRef attempt) {
    grants_.erase(attempt);
    server->Post(BulkRevoke{attempt});
  }
  // Sets the limits of the disk guard so that the disk, as it is, counts as this.
  void DiskIs(DiskHealth health) {
    const std::uint64_t free = disk->Free().bytes;
    disk->SetLow(health == DiskHealth::kOk ? 0 : health == DiskHealth::kLow ? free / 2 * 3 : UINT64_MAX);
    REQUIRE(disk->Check() == health);
  }
  void AnswerSeals(bool answer) {
    const std::lock_guard lock(mutex_);
    answer_seals_ = answer;
  }
  void SetHistory(AttemptRef attempt, const LogRecord& record) {
    const std::lock_guard lock(mutex_);
    history_[attempt] = record;
  }
  ChannelOptions Options(const KeyPair& keys) const {
    return {"127.0.0.1:" + std::to_string(port_),
            keys,
            server_keys.public_key,
            kMaxBulkRequestFrame,
            64,
            64,
            std::chrono::milliseconds(10),
            std::chrono::milliseconds(100)};
  }
  std::string LogText(AttemptRef attempt) {
    std::string text;
    for (;;) {
      const auto window = logs->ReadRange({run, attempt, 0, 0}, text.size(), 1 << 20);
      if (!window || window->bytes.empty()) return text;
      text += window->bytes;
    }
  }

  const RunId run{7};
  const BulkLimits limits;
  std::filesystem::path folder;
  KeyPair server_keys = GenerateKeyPair(), agent = GenerateKeyPair(), other_agent = GenerateKeyPair(),
          client = GenerateKeyPair();
  Context context;
  std::unique_ptr<DiskGuard> disk;  // well, unless DiskIs says otherwise
  std::unique_ptr<LogStore> logs;
  std::unique_ptr<ChunkStore> chunks;
  std::unique_ptr<BulkServer> server;
  Events<BulkEvent> events;
  Gate history_gate;  // every question to history passes this gate

 private:
  std::uint16_t port_ = 0;
  std::map<AttemptRef, BulkGrant> grants_;
  std::mutex mutex_;
  std::map<AttemptRef, LogRecord> history_;
  bool answer_seals_ = true;
  BulkServer* to_post_ = nullptr;
};

// A BulkPeer speaks the protocol by hand.
class BulkPeer {
 public:
  BulkPeer(DataFarm& farm, const KeyPair& keys) : BulkPeer(farm, farm.Options(keys)) {}
  BulkPeer(DataFarm& farm, const ChannelOptions& options) : channel(Channel::Connect(farm.context, options).value()) {
    poller_.Add(*channel);
  }
  void Say(const BulkRequest& request) { REQUIRE(channel->Send(Encode(request).value()) == SendResult::kSent); }
  std::optional<BulkReply> Hear(std::chrono::milliseconds patience = std::chrono::seconds(30)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
      if (const auto frame = channel->Receive()) return DecodeBulkReply(*frame).value();
      if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
      poller_.Wait(std::chrono::milliseconds(20));
    }
  }
  // Returns the next answer, which must be a T.
  template <class T>
  T HearA() {
    auto reply = Hear();
    REQUIRE(reply);
    const T* answer = std::get_if<T>(&*reply);
    if (answer == nullptr) {
      if (const auto* error = std::get_if<BulkError>(&*reply)) FAIL("an error instead: " << error->message);
      FAIL("an answer of another kind: " << reply->index());
    }
    return *answer;
  }

  const std::unique_ptr<Channel> channel;

 private:
  Poller poller_;
};

// Returns text that compresses like a log, different for each seed.
inline std::string SomeText(std::size_t bytes, unsigned seed = 1) {
  std::string text;
  text.reserve(bytes + 80);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  while (text.size() < bytes) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    text += "step " + std::to_string(text.size()) + " loss 0." + std::to_string(state) + '\n';
  }
  text.resize(bytes);
  return text;
}

}  // namespace furrow::test
