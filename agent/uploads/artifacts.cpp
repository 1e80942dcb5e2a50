#include "agent/uploads/artifacts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "agent/uploads/artifact_links.h"
#include "common/base/file_io.h"
#include "common/base/glob.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/chunks/tree.h"
#include "common/chunks/tree_path.h"
#include "common/chunks/tree_scan.h"
#include "schemas/bulk.h"

namespace furrow {
namespace {

using std::chrono::milliseconds;

constexpr int kThreads = 2;
constexpr int kMaxScans = 3;                          // scans of files that keep changing
constexpr int kMaxFailures = 20;                      // refusals by the controller; about 8 minutes with the pauses
constexpr auto kLook = milliseconds(100);             // between looks for a cancellation
constexpr auto kPatience = std::chrono::seconds(60);  // Syncing a large tree may delay an answer for this time.
constexpr auto kLeastPause = milliseconds(100);
constexpr auto kMostPause = milliseconds(30'000);

}  // namespace

// Uploads one tree. A Sender blocks, but asks `wanted` again and again.
class ArtifactUploader::Sender {
 public:
  Sender(Channel& channel, const Tree& tree, const EncodedTree& encoded, ScannedChunks& chunks,
         std::function<bool()> wanted)
      : channel_(channel), tree_(tree), encoded_(encoded), chunks_(chunks), wanted_(std::move(wanted)) {
    poller_.Add(channel_);
  }

  // Sends the missing chunks and the tree. kRejected: the attempt was cancelled. kCorrupt: a file changed after the
  // scan. kUnavailable: the caller should try again from the beginning.
  Status Send() {
    FURROW_TRY(Connected());
    std::vector<ChunkRef> all = tree_.UniqueChunks();
    FURROW_ASSIGN(std::vector<ChunkRef> missing, Missing(all));
    for (int round = 0; round < 4; ++round) {
      FURROW_TRY(PutChunks(missing));
      FURROW_ASSIGN(const std::vector<Hash> still, PutTree());
      if (still.empty()) return {};
      const std::unordered_set<Hash> lacks(still.begin(), still.end());
      missing.clear();
      std::copy_if(all.begin(), all.end(), std::back_inserter(missing),
                   [&](const ChunkRef& chunk) { return lacks.contains(chunk.hash); });
    }
    return Fail(Errc::kUnavailable, "the controller keeps losing chunks; is its disk sound?");
  }

  // Returns whether Send failed because of the controller's answer, and not because the controller was away or takes
  // nothing for now.
  bool refused() const { return refused_; }

 private:
  Status Connected() {
    while (channel_.link() != LinkState::kConnected) {
      if (!wanted_()) return Fail(Errc::kRejected, "not wanted any more");
      poller_.Wait(kLook);
      channel_.Receive();
    }
    while (channel_.Receive()) {  // These answers belong to an earlier Sender.
    }
    connection_ = channel_.connections();
    return {};
  }

  Result<BulkReply> Receive() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      if (const auto frame = channel_.Receive()) {
        return DecodeBulkReply(*frame);
      }
      if (!wanted_()) return Fail(Errc::kRejected, "not wanted any more");
      if (channel_.link() != LinkState::kConnected || channel_.connections() != connection_) {
        refused_ = false;  // A controller that is away does not refuse.
        return Fail(Errc::kUnavailable, "the connection was lost");
      }
      if (std::chrono::steady_clock::now() > deadline) {
        refused_ = false;
        return Fail(Errc::kUnavailable, "the controller does not answer");
      }
      poller_.Wait(kLook);
    }
  }

  Status SendOne(const BulkRequest& request) {
    FURROW_ASSIGN(const std::string frame, Encode(request));
    while (channel_.Send(frame) != SendResult::kSent) {
      if (!wanted_()) return Fail(Errc::kRejected, "not wanted any more");
      if (channel_.link() != LinkState::kConnected) {
        refused_ = false;
        return Fail(Errc::kUnavailable, "the connection was lost");
      }
      poller_.Wait(milliseconds(5));
    }
    return {};
  }

  Result<std::vector<ChunkRef>> Missing(const std::vector<ChunkRef>& chunks) {
    std::vector<ChunkRef> missing;
    for (std::size_t first = 0; first < chunks.size(); first += kMaxHashesPerMessage) {
      ChunkQuery query{first + 1, {}};
      const std::size_t end = std::min(chunks.size(), first + kMaxHashesPerMessage);
      for (std::size_t i = first; i < end; ++i) query.hashes.push_back(chunks[i].hash);
      FURROW_TRY(SendOne(query));
      for (;;) {
        FURROW_ASSIGN(const BulkReply reply, Receive());
        if (const auto* error = std::get_if<BulkError>(&reply)) return Fail(error->code, error->message);
        const auto* answer = std::get_if<ChunksMissing>(&reply);
        if (answer == nullptr || answer->request != query.request) continue;
        for (const std::uint32_t index : answer->indexes) {
          if (first + index < end) missing.push_back(chunks[first + index]);
        }
        break;
      }
    }
    return missing;
  }

  // A controller whose disk has no room says that it takes nothing for now: that lasts as long as it lasts.
  tl::unexpected<Error> Refused(const BulkError& error) {
    if (error.code == Errc::kUnavailable) refused_ = false;
    return Fail(Errc::kUnavailable, error.message);
  }

  Status TakeStored(std::uint32_t& under_way) {
    FURROW_ASSIGN(const BulkReply reply, Receive());
    if (const auto* error = std::get_if<BulkError>(&reply)) return Refused(*error);
    const auto* stored = std::get_if<ChunkStored>(&reply);
    if (stored == nullptr) return {};
    if (!stored->error.empty()) return WhyRefused(*stored);
    --under_way;
    return {};
  }

  // Explains a refused chunk. Chunks are sent unverified, so only the controller notices a chunk of another hash: a
  // verified read tells whether the file changed.
  Status WhyRefused(const ChunkStored& refused) {
    if (const ScannedChunks::Location* location = chunks_.Find(refused.hash)) {
      std::string bytes(location->length, '\0');
      FURROW_TRY(chunks_.Read({refused.hash, location->length}, std::as_writable_bytes(std::span(bytes))));
    }
    return Fail(Errc::kUnavailable, refused.error);
  }

  Status PutChunks(const std::vector<ChunkRef>& chunks) {
    std::uint32_t under_way = 0;
    for (const ChunkRef& chunk : chunks) {
      while (under_way >= kBulkWindow) FURROW_TRY(TakeStored(under_way));
      ChunkPut put{chunk.hash, std::string(chunk.size, '\0')};
      FURROW_TRY(chunks_.ReadUnverified(chunk, std::as_writable_bytes(std::span(put.bytes))));
      FURROW_TRY(SendOne(put));
      ++under_way;
    }
    while (under_way > 0) FURROW_TRY(TakeStored(under_way));
    return {};
  }

  // Sends the tree and returns the chunks that the controller still lacks; empty: the tree is committed.
  Result<std::vector<Hash>> PutTree() {
    std::uint32_t under_way = 0;
    const std::string& bytes = encoded_.bytes;
    for (std::size_t offset = 0; offset < bytes.size(); offset += kMaxPartBytes) {
      while (under_way >= kBulkWindow) FURROW_TRY(TakeStored(under_way));
      FURROW_TRY(SendOne(TreePut{encoded_.name, bytes.size(), offset, bytes.substr(offset, kMaxPartBytes)}));
      ++under_way;
    }
    for (;;) {
      FURROW_ASSIGN(const BulkReply reply, Receive());
      if (const auto* error = std::get_if<BulkError>(&reply)) return Refused(*error);
      const auto* committed = std::get_if<TreeCommitted>(&reply);
      if (committed == nullptr || committed->hash != encoded_.name) continue;
      if (committed->error.empty()) return std::vector<Hash>();
      if (committed->missing.empty()) return Fail(Errc::kUnavailable, committed->error);
      return committed->missing;
    }
  }

  Channel& channel_;
  const Tree& tree_;
  const EncodedTree& encoded_;
  ScannedChunks& chunks_;
  const std::function<bool()> wanted_;
  Poller poller_;
  std::uint64_t connection_ = 0;
  bool refused_ = true;
};

ArtifactUploader::ArtifactUploader(Context& context, const ChannelOptions& bulk, const std::string& cache_file,
                                   std::function<void(UploadEvent)> on_event)
    : context_(context), bulk_(bulk), on_event_(std::move(on_event)), cache_(HashCache::Open(cache_file)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
}

ArtifactUploader::~ArtifactUploader() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wanted_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ArtifactUploader::Post(Collect order) {
  {
    std::lock_guard lock(mutex_);
    if (!wanted_.insert(order.attempt).second) return;  // The attempt is queued, or a thread has it already.
    queue_.push_back(std::move(order));
  }
  wake_.notify_one();
}

void ArtifactUploader::Cancel(AttemptRef attempt) {
  std::lock_guard lock(mutex_);
  if (wanted_.erase(attempt) != 0)
    std::erase_if(queue_, [&](const Collect& order) { return order.attempt == attempt; });
}

bool ArtifactUploader::Wanted(AttemptRef attempt) {
  std::lock_guard lock(mutex_);
  return wanted_.contains(attempt);
}

void ArtifactUploader::Work() {
  std::unique_ptr<Channel> channel;
  for (;;) {
    Collect order;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      order = std::move(queue_.front());
      queue_.pop_front();
    }
    UploadEvent event = Bring(order, channel);
    std::lock_guard lock(mutex_);
    if (wanted_.erase(order.attempt) != 0) on_event_(std::move(event));
  }
}

namespace {

// Returns at most a few of the texts, and how many more there are.
std::string Few(const std::vector<std::string>& texts, const char* between) {
  constexpr std::size_t kShown = 5;
  std::string said;
  for (std::size_t i = 0; i < std::min(texts.size(), kShown); ++i) said += (i == 0 ? "" : between) + texts[i];
  if (texts.size() > kShown) said += std::string(between) + "and " + std::to_string(texts.size() - kShown) + " more";
  return said;
}

// Returns whether a pattern matches a path, as the scan does.
bool PlainMatch(std::string_view pattern, std::string_view path) {
  while (pattern.starts_with("./")) pattern.remove_prefix(2);
  return GlobMatch(pattern, path);
}

// Says what a path is of which a tree keeps nothing.
const char* KindOf(int dir, const std::string& path) {
  struct stat status {};
  if (::fstatat(dir, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return "no regular file";
  if (S_ISFIFO(status.st_mode)) return "a pipe (FIFO)";
  return S_ISSOCK(status.st_mode) ? "a socket" : "a device";
}

// Says which of the promised artifacts are not kept, and what to do.
std::string Lacking(int dir, const LinkedPatterns& linked, const ScannedTree& scanned) {
  std::string said;
  std::vector<std::string> nothing;
  std::vector<std::string> special;
  for (const std::string& pattern : scanned.unmatched) {
    const auto found = std::find_if(scanned.special.begin(), scanned.special.end(),
                                    [&](const std::string& path) { return PlainMatch(pattern, path); });
    if (found != scanned.special.end())
      special.push_back("`" + pattern + "` matches " + QuotePath(*found) + ", " + KindOf(dir, *found) +
                        ", which is no regular file and is not kept");
    else
      nothing.push_back(pattern);
  }
  if (const std::vector<std::string> patterns = linked.Unmatched(nothing); !patterns.empty()) {
    said = std::string("nothing in the workspace matches the artifact") + (patterns.size() > 1 ? "s " : " ") +
           Few(patterns, ", ") + "; write " + (patterns.size() > 1 ? "them, or take them" : "it, or take it") +
           " out of `artifacts`";
  }
  if (!special.empty()) said += (said.empty() ? "" : ". Also, ") + Few(special, "; ") + ": let the job write a file";
  if (scanned.left_out.empty()) return said;
  const bool denied = std::any_of(scanned.left_out.begin(), scanned.left_out.end(), [](const std::string& text) {
    return text.find("Permission denied") != std::string::npos;
  });
  if (!said.empty()) said += ". Also, ";
  return said + "not all that matches `artifacts` could be kept: " + Few(scanned.left_out, "; ") +
         (denied ? ". Let the job make such files readable (chmod -R u+rwX)" : "");
}

std::string Note(const LinkedPatterns& linked, const ScannedTree& scanned) {
  std::string said;
  std::vector<std::string> paths;
  for (const std::string& path : scanned.special) paths.push_back(QuotePath(path));
  if (!paths.empty()) said = "sockets, pipes and devices are not kept: " + Few(paths, ", ");
  if (const std::vector<std::string> links = linked.Dangling(scanned.tree); !links.empty())
    said += (said.empty() ? "" : "; ") + std::string("links are kept whose targets are not: ") + Few(links, ", ");
  return said;
}

// Scans the workspace, also for what the links among the artifacts point to.
Result<ScannedTree> Scan(int dir, LinkedPatterns& linked, ScanOptions& options) {
  for (;;) {
    options.include = linked.All();
    auto scanned = ScanTree(dir, options);
    if (!scanned || !linked.Add(scanned->tree)) return scanned;
  }
}

// Opens a workspace, also one whose job has made it unreadable.
FileHandle OpenWorkspace(const std::string& dir) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  FileHandle folder(::open(dir.c_str(), kFlags));
  if (folder || errno != EACCES || ::chmod(dir.c_str(), 0700) != 0) return folder;
  return FileHandle(::open(dir.c_str(), kFlags));
}

}  // namespace

UploadEvent ArtifactUploader::Bring(const Collect& order, std::unique_ptr<Channel>& channel) {
  const auto failed = [&](const std::string& message) { return ArtifactsFailed{order.attempt, message}; };
  const auto permanent = [&](Error error) {
    return ArtifactsFailed{order.attempt, Annotate(std::move(error), "artifacts").message, true};
  };
  const FileHandle dir = OpenWorkspace(order.dir);
  if (!dir)
    return ArtifactsFailed{order.attempt,
                           ErrnoError("artifacts: cannot open the workspace " + order.dir, errno).message +
                               "; did the job remove its own folder?",
                           true};
  if (!channel) {
    auto connected = Channel::Connect(context_, bulk_);
    if (!connected) return failed(connected.error().message);
    channel = std::move(*connected);
  }
  ScanOptions options;
  LinkedPatterns linked(dir.Get(), order.patterns);
  options.cache = cache_.get();
  options.keep_going = true;
  std::string why;
  int failures = 0;
  milliseconds pause = kLeastPause;
  for (int scan = 0; scan < kMaxScans; ++scan) {
    auto scanned = Scan(dir.Get(), linked, options);
    if (!scanned) return permanent(scanned.error());
    CutToEncodable(*scanned);
    ArtifactsCommitted kept{order.attempt, {}, Lacking(dir.Get(), linked, *scanned), Note(linked, *scanned)};
    if (scanned->tree.entries.empty()) return kept;
    const auto encoded = EncodeTree(scanned->tree);
    if (!encoded) return permanent(encoded.error());
    const auto chunks = ScannedChunks::Open(scanned->tree, dir.Get());
    if (!chunks) return failed(Annotate(chunks.error(), "artifacts").message);
    for (;;) {
      Sender sender(*channel, scanned->tree, *encoded, **chunks, [&] { return Wanted(order.attempt); });
      const Status sent = sender.Send();
      if (sent) {
        if (const Status saved = cache_->Save(); !saved) log::Warning("{}", saved.error().message);
        kept.tree = encoded->name;
        return kept;
      }
      why = sent.error().message;
      if (sent.error().code == Errc::kRejected) return failed(why);  // The attempt is cancelled: Work drops the event.
      if (sent.error().code == Errc::kCorrupt || sent.error().code == Errc::kNotFound) break;
      log::Warning("artifacts of attempt {}/{} are tried again: {}", Raw(order.attempt.job), Raw(order.attempt.epoch),
                   why);
      if (sender.refused() && ++failures >= kMaxFailures)
        return failed("the controller does not take the artifacts: " + why);
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, pause, [&] { return stopping_ || !wanted_.contains(order.attempt); });
      pause = std::min(2 * pause, kMostPause);
    }
  }
  return permanent({Errc::kUnavailable, "they changed while they were collected: " + why});
}

}  // namespace furrow
