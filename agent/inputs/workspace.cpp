#include "agent/inputs/workspace.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "agent/inputs/chunk_fetcher.h"
#include "agent/slot/workspace_folder.h"
#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/base/mailbox.h"
#include "common/base/program.h"
#include "common/base/worker_pool.h"
#include "common/chunks/remove_tree.h"
#include "common/chunks/store.h"
#include "common/chunks/tree.h"
#include "common/chunks/tree_materialise.h"

namespace furrow {
namespace {

constexpr unsigned kThreads = 2;  // threads that write workspaces
constexpr int kMaxRounds = 4;     // rounds of fetching chunks that vanished from the cache or were damaged there
constexpr ChunkStoreOptions kCache{.durable = false, .track_use = true};
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kIdle = std::chrono::hours(1);

// Says that a worker has written a workspace or failed.
struct Written {
  AttemptRef attempt;
  Status status;
};
struct Trimmed {};
struct Stop {};
using Input = std::variant<WorkspaceCommand, Written, Trimmed, Stop>;

struct Preparation {
  Prepare order;
  enum class Stage { kTrees, kChunks, kWriting } stage = Stage::kTrees;
  std::unordered_set<Hash> missing;  // hashes being fetched
  std::shared_ptr<std::vector<Tree>> trees;
  int rounds = 0;
  std::uint64_t repairs = 0;  // of the cache, when the preparation began or began again
  bool cancelled = false;
};

Status WriteWorkspace(const std::string& dir, const std::vector<Tree>& trees, ChunkStore& store) {
  FURROW_TRY(MakeWorkspaceFolder(dir));
  const FileHandle folder(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) return tl::unexpected(ErrnoError("cannot open " + dir, errno));
  MaterialiseOptions options;
  options.replace = true;
  options.umask = InitialUmask();  // What lies there is the job's, in a folder that is its user's alone.
  for (const Tree& tree : trees) FURROW_TRY(MaterialiseTree(tree, folder.Get(), store, options));
  return {};
}

}  // namespace

struct Workspace::Impl {
  Impl(std::unique_ptr<Channel> bulk, std::filesystem::path folder, std::unique_ptr<ChunkStore> cache,
       std::uint64_t most, std::function<void(WorkspaceEvent)> event_handler)
      : channel(std::move(bulk)),
        cache_folder(std::move(folder)),
        store(std::move(cache)),
        cache_bytes(most),
        on_event(std::move(event_handler)),
        fetcher(*channel, *store),
        pool(kThreads) {}

  void Run();
  void Take(Input& input);
  void Begin(Prepare order);
  void Cancel(AttemptRef attempt);
  void Limit(std::uint64_t bytes);
  void OnFetched(const ChunkFetcher::Fetched& fetched);
  void OnWritten(Written& written);
  // Continues the preparation as far as possible without waiting.
  void Advance(Preparation& preparation);
  Result<bool> ReadTrees(Preparation& preparation);  // false: Fetch has begun for missing encodings.
  void Fetch(Preparation& preparation, const std::vector<Hash>& hashes, bool tree);
  void Fail(AttemptRef attempt, const Error& error, bool permanent = false);
  // Fails a preparation or, if the cache is at fault and is repaired, begins it again.
  void FailOrRepair(Preparation& preparation, const Error& error);
  void RepairCache();
  void Drop(AttemptRef attempt);
  void TrimCache();

  const std::unique_ptr<Channel> channel;
  const std::filesystem::path cache_folder;
  std::shared_ptr<ChunkStore> store;
  std::uint64_t repairs = 0;  // of the cache
  std::uint64_t cache_bytes;
  const std::function<void(WorkspaceEvent)> on_event;
  Mailbox<Input> inputs;
  ChunkFetcher fetcher;
  std::map<AttemptRef, Preparation> preparations;
  std::unordered_map<Hash, std::unordered_set<AttemptRef>> waiting;  // attempts that wait for a fetch
  std::uint64_t fetched_since_trim = UINT64_MAX;                     // chunks; UINT64_MAX: TrimCache is due
  bool trimming = false;
  bool stopping = false;
  WorkerPool pool;  // Its threads use the members above, so the pool stands below them.
  std::thread thread;
};

Workspace::Workspace(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Workspace::~Workspace() {
  impl_->inputs.Post(Stop{});
  impl_->thread.join();
}

void Workspace::Post(WorkspaceCommand command) {
  impl_->inputs.Post(std::move(command));
}

Result<std::unique_ptr<Workspace>> Workspace::Start(Context& context, const WorkspaceOptions& options,
                                                    std::function<void(WorkspaceEvent)> on_event) {
  ChannelOptions bulk = options.bulk;
  bulk.max_frame_bytes = kMaxBulkRequestFrame;
  bulk.send_queue = bulk.receive_queue = 4 * kBulkWindow;
  FURROW_ASSIGN(auto store, ChunkStore::Open(options.cache.string(), kCache));
  FURROW_ASSIGN(auto channel, Channel::Connect(context, bulk));
  auto impl = std::make_unique<Impl>(std::move(channel), options.cache, std::move(store), options.cache_bytes,
                                     std::move(on_event));
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<Workspace>(new Workspace(std::move(impl)));
}

void Workspace::Impl::Run() {
  Poller poller;
  poller.Add(*channel);
  poller.AddFd(inputs.fd());
  while (!stopping) {
    poller.Wait(fetcher.Idle() ? std::chrono::duration_cast<std::chrono::milliseconds>(kIdle) : kTick);
    for (Input& input : inputs.TakeAll()) Take(input);
    for (const auto& fetched : fetcher.Turn(std::chrono::steady_clock::now())) OnFetched(fetched);
    // A preparation may have begun its next stage: the second Turn asks for the chunks at once.
    for (const auto& fetched : fetcher.Turn(std::chrono::steady_clock::now())) OnFetched(fetched);
  }
}

void Workspace::Impl::Take(Input& input) {
  if (auto* command = std::get_if<WorkspaceCommand>(&input)) {
    if (auto* prepare = std::get_if<Prepare>(command)) return Begin(std::move(*prepare));
    if (const auto* limit = std::get_if<LimitCache>(command)) return Limit(limit->bytes);
    return Cancel(std::get<CancelPrepare>(*command).attempt);
  }
  if (auto* written = std::get_if<Written>(&input)) return OnWritten(*written);
  if (std::holds_alternative<Trimmed>(input)) {
    trimming = false;
    if (fetched_since_trim == UINT64_MAX) TrimCache();  // The limit changed meanwhile.
  }
  if (std::holds_alternative<Stop>(input)) stopping = true;
}

void Workspace::Impl::Limit(std::uint64_t bytes) {
  cache_bytes = bytes;
  fetched_since_trim = UINT64_MAX;
  TrimCache();
}

void Workspace::Impl::Begin(Prepare order) {
  const AttemptRef attempt = order.attempt;
  if (order.trees.empty()) {  // Most short jobs come here: a hop to the pool and back would cost more.
    if (const Status made = MakeWorkspaceFolder(order.dir); !made)
      return Fail(attempt, Annotate(made.error(), "inputs"));
    return on_event(Prepared{attempt});
  }
  const auto [at, is_new] = preparations.try_emplace(attempt);
  if (!is_new) return;
  at->second.order = std::move(order);
  at->second.repairs = repairs;
  Advance(at->second);
}

void Workspace::Impl::Cancel(AttemptRef attempt) {
  const auto found = preparations.find(attempt);
  if (found == preparations.end()) return;
  if (found->second.stage == Preparation::Stage::kWriting) {
    found->second.cancelled = true;  // The worker still writes.
  } else {
    Drop(attempt);
  }
}

void Workspace::Impl::Drop(AttemptRef attempt) {
  const auto found = preparations.find(attempt);
  if (found == preparations.end()) return;
  for (const Hash& hash : found->second.missing) {
    auto& others = waiting[hash];
    others.erase(attempt);
    if (!others.empty()) continue;
    waiting.erase(hash);
    fetcher.Forget(hash);
  }
  preparations.erase(found);
}

void Workspace::Impl::Fail(AttemptRef attempt, const Error& error, bool permanent) {
  Drop(attempt);
  on_event(PrepareFailed{attempt, error.message, permanent});
}

void Workspace::Impl::FailOrRepair(Preparation& preparation, const Error& error) {
  if (error.code != Errc::kUnavailable) RepairCache();
  if (std::exchange(preparation.repairs, repairs) != repairs) return Advance(preparation);
  const bool refused = preparation.stage == Preparation::Stage::kWriting && error.code == Errc::kRejected;
  Fail(preparation.order.attempt, Annotate(error, "inputs"), refused);
}

// Jobs are the same user's as the cache, so one of them may have removed, closed or replaced its folders.
void Workspace::Impl::RepairCache() {
  bool repaired = !store->InPlace();
  const auto keep = [&](const std::filesystem::path& folder) {
    const auto kept = KeepOwnFolder(folder.string());
    if (!kept) log::Warning("{}", kept.error().message);
    repaired = repaired || (kept && *kept);
  };
  std::error_code error;
  keep(cache_folder);
  std::filesystem::directory_iterator entry(cache_folder, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_symlink(gone)) (void)RemovePath(entry->path().string());  // No administrator links parts of a cache.
    keep(entry->path());
  }
  if (!repaired) return;
  auto opened = ChunkStore::Open(cache_folder.string(), kCache);
  if (!opened) return log::Warning("the chunk cache cannot be repaired: {}", opened.error().message);
  log::Warning("the chunk cache in {} was damaged and is repaired: a job must have done it", cache_folder.string());
  store = std::move(*opened);  // Whatever still uses the one before keeps it.
  fetcher.Use(*store);
  ++repairs;
}

void Workspace::Impl::Fetch(Preparation& preparation, const std::vector<Hash>& hashes, bool tree) {
  for (const Hash& hash : hashes) {
    preparation.missing.insert(hash);
    waiting[hash].insert(preparation.order.attempt);
    fetcher.Want(hash, tree);
  }
}

Result<bool> Workspace::Impl::ReadTrees(Preparation& preparation) {
  std::vector<Hash> absent = store->Missing(preparation.order.trees);
  if (absent.empty()) {
    auto trees = std::make_shared<std::vector<Tree>>();
    for (const Hash& hash : preparation.order.trees) {
      const auto encoding = store->Get(hash);
      if (!encoding && encoding.error().code != Errc::kInternal) {
        absent.push_back(hash);  // A power cut tore the encoding, and the store put it aside.
        continue;
      }
      if (!encoding) return tl::unexpected(encoding.error());
      FURROW_ASSIGN(Tree tree, DecodeTree(std::as_bytes(std::span(*encoding))));
      trees->push_back(std::move(tree));
    }
    if (absent.empty()) {
      preparation.trees = std::move(trees);
      return true;
    }
  }
  Fetch(preparation, absent, true);
  return false;
}

void Workspace::Impl::Advance(Preparation& preparation) {
  const AttemptRef attempt = preparation.order.attempt;
  if (++preparation.rounds > 3 * kMaxRounds)
    return Fail(attempt, {Errc::kCorrupt, "the chunk cache of this agent loses what it was given; is its disk sound?"});
  if (!preparation.trees) {
    preparation.stage = Preparation::Stage::kTrees;
    const auto read = ReadTrees(preparation);
    if (!read) return FailOrRepair(preparation, read.error());
    if (!*read) return;
  }
  preparation.stage = Preparation::Stage::kChunks;
  std::vector<Hash> hashes;
  for (const Tree& tree : *preparation.trees) {
    for (const ChunkRef& chunk : tree.UniqueChunks()) hashes.push_back(chunk.hash);
  }
  std::vector<Hash> absent = store->Missing(hashes);
  if (!absent.empty()) return Fetch(preparation, absent, false);
  preparation.stage = Preparation::Stage::kWriting;
  pool.Run([this, attempt, dir = preparation.order.dir, trees = preparation.trees, from = store] {
    inputs.Post(Written{attempt, WriteWorkspace(dir, *trees, *from)});
  });
}

void Workspace::Impl::OnFetched(const ChunkFetcher::Fetched& fetched) {
  if (fetched_since_trim != UINT64_MAX) ++fetched_since_trim;
  const auto waiters = waiting.extract(fetched.hash);
  if (waiters.empty()) return;
  for (const AttemptRef attempt : waiters.mapped()) {
    Preparation& preparation = preparations.at(attempt);
    if (!fetched.status && fetched.stores != fetcher.Stores() && preparation.repairs == repairs) {
      waiting[fetched.hash].insert(attempt);  // It began again and asked again since the cache before refused this.
      continue;
    }
    preparation.missing.erase(fetched.hash);
    if (!fetched.status) {
      FailOrRepair(preparation, fetched.status.error());
    } else if (preparation.missing.empty()) {
      Advance(preparation);
    }
  }
}

void Workspace::Impl::OnWritten(Written& written) {
  const auto found = preparations.find(written.attempt);
  Preparation& preparation = found->second;
  if (preparation.cancelled) {
    pool.Run([dir = preparation.order.dir] { RemoveLeftover(dir); });
    preparations.erase(found);
  } else if (written.status) {
    preparations.erase(found);
    on_event(Prepared{written.attempt});
  } else if (written.status.error().code == Errc::kNotFound || written.status.error().code == Errc::kCorrupt) {
    return Advance(preparation);  // A chunk left the cache or was damaged there, and is missing now.
  } else {
    FailOrRepair(preparation, written.status.error());
  }
  TrimCache();
}

void Workspace::Impl::TrimCache() {
  // A trim costs a walk over the cache, so it waits until chunks for a sixteenth of the cache have come; a chunk has
  // 256 KiB on average.
  if (trimming || (fetched_since_trim != UINT64_MAX && fetched_since_trim < (cache_bytes >> 18) / 16 + 1)) return;
  trimming = true;
  fetched_since_trim = 0;
  auto keep = std::make_shared<std::unordered_set<Hash>>();
  for (const auto& [attempt, preparation] : preparations) {
    if (!preparation.trees) continue;
    for (const Tree& tree : *preparation.trees) {
      for (const ChunkRef& chunk : tree.UniqueChunks()) keep->insert(chunk.hash);
    }
  }
  pool.Run([this, keep, most = cache_bytes, from = store] {
    if (const auto evicted = from->Evict(most, *keep); !evicted)
      log::Warning("the chunk cache cannot be trimmed: {}", evicted.error().message);
    inputs.Post(Trimmed{});
  });
}

}  // namespace furrow
