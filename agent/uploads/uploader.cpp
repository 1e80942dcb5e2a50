#include "agent/uploads/uploader.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>

#include "agent/slot/workspace_folder.h"
#include "agent/uploads/artifacts.h"
#include "agent/uploads/log.h"
#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/base/mailbox.h"
#include "common/base/worker_pool.h"
#include "common/chunks/remove_tree.h"
#include "schemas/bulk.h"

namespace furrow {
namespace {

using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

constexpr auto kPatience = std::chrono::seconds(10);  // time without an answer until the logs are asked about again
constexpr auto kInotifyPause = milliseconds(5);       // A job that always prints must not keep the thread awake.
constexpr auto kMetricsPause = milliseconds(250);
constexpr auto kUnwatchedPause = milliseconds(100);  // between looks at a spool without an inotify watch
constexpr auto kFullPause = milliseconds(5);
constexpr auto kIdle = std::chrono::hours(1);
constexpr int kFramesPerTurn = 16;
constexpr int kUnwatched = -2;
constexpr off_t kLargeSpool = 1 << 20;

struct Stop {};
using Input = std::variant<UploadCommand, Stop>;

// Empties the spool, which a job may have replaced by something else. A large spool is made anew rather than truncated:
// ext4 flushes a truncated file at its next close, lest a power cut lose the old and the new content, and so delays the
// runner by 0.5 s after another gigabyte. For a small spool the flush costs no more than a new inode.
Status EmptySpool(const std::string& path) {
  struct stat spool {};
  if (::lstat(path.c_str(), &spool) != 0) return {};
  if (S_ISREG(spool.st_mode) && spool.st_size == 0) return {};
  if (S_ISREG(spool.st_mode) && spool.st_size < kLargeSpool && ::truncate(path.c_str(), 0) == 0) return {};
  FURROW_TRY(RemovePath(path));
  // The new spool exists from the start, so that inotify can watch the file; if this fails, the runner makes the spool.
  const FileHandle made(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  return {};
}

// Makes the files of a slot as good as new, and its folder, unless `clean` says that it is.
bool ClearSlot(const Clear& clear, bool clean) {
  Status cleared = clean ? Status() : MakeWorkspaceFolder(clear.workspace);
  if (cleared) cleared = EmptySpool(clear.spool);
  if (cleared) cleared = RemovePath(clear.metrics);
  if (!cleared) log::Warning("left behind: {}", cleared.error().message);
  return cleared.has_value();
}

}  // namespace

struct Uploader::Impl {
  Impl(Context& context, std::unique_ptr<Channel> bulk, const ChannelOptions& bulk_options,
       const std::string& cache_file, std::function<void(UploadEvent)> event_handler)
      : channel(std::move(bulk)),
        on_event(std::move(event_handler)),
        inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
        artifacts(context, bulk_options, cache_file, on_event),
        removals(1) {
    poller.Add(*channel);
    poller.AddFd(inputs.fd());
  }

  void Run();
  milliseconds TimeToNext() const;
  std::uint32_t UnderWay() const;  // Returns the number of frames without an acknowledgement, over all logs.
  void Take(const UploadCommand& command);
  void Begin(const Follow& follow);
  void Finish(const FinishLog& finish);
  void Forget(const Clear& clear);
  void OnReply(const BulkReply& reply);
  void LookAtConnection();
  void ReadInotify();
  void Watch(LogUpload& upload);
  void SendLogs();
  void ReadMetrics(LogUpload& upload, bool last);
  // Reports a log that is done and forgets the upload.
  void Complete(AttemptRef attempt, UploadEvent event);
  void GoInline(LogUpload& upload);

  const std::unique_ptr<Channel> channel;
  const std::function<void(UploadEvent)> on_event;
  Mailbox<Input> inputs;
  Poller poller;
  FileHandle inotify;
  bool inotify_polled = false;
  Time inotify_at{};  // earliest time of the next read of inotify
  std::map<AttemptRef, LogUpload> uploads;
  std::unordered_map<int, AttemptRef> watches;
  AttemptRef last_served{};  // The last frame was this attempt's; the next attempt in order has its turn.
  FrameEncoder encoder;
  std::string buffer;
  HashBeside beside;
  Time now{}, heard{};
  Time send_at{};  // earliest time of the next frame, since the channel's queue was full
  std::uint64_t connection = 0;
  bool stopping = false;
  ArtifactUploader artifacts;
  WorkerPool removals;
  std::thread thread;
};

Uploader::Uploader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Uploader::~Uploader() {
  impl_->inputs.Post(Stop{});
  impl_->thread.join();
}

void Uploader::Post(UploadCommand command) {
  impl_->inputs.Post(std::move(command));
}

Result<std::unique_ptr<Uploader>> Uploader::Start(Context& context, const UploaderOptions& options,
                                                  std::function<void(UploadEvent)> on_event) {
  ChannelOptions bulk = options.bulk;
  bulk.max_frame_bytes = kMaxBulkRequestFrame;
  bulk.send_queue = bulk.receive_queue = 4 * kBulkWindow;
  FURROW_TRY(MakeFolders(options.state.string()));
  FURROW_ASSIGN(auto channel, Channel::Connect(context, bulk));
  auto impl = std::make_unique<Impl>(context, std::move(channel), bulk, (options.state / "hashes").string(),
                                     std::move(on_event));
  if (!impl->inotify) return tl::unexpected(ErrnoError("cannot watch files", errno));
  impl->thread = std::thread([raw = impl.get()] { raw->Run(); });
  return std::unique_ptr<Uploader>(new Uploader(std::move(impl)));
}

Result<LogInline> Uploader::ReadInline(AttemptRef attempt, const std::string& spool, std::uint64_t length) {
  if (length > kSmallLogBytes)
    return Fail(Errc::kInvalid, "a log of " + std::to_string(length) + " bytes is not small");
  LogInline whole{attempt, std::string(length, '\0'), {}};
  if (length > 0) {
    const FileHandle file(::open(spool.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return tl::unexpected(ErrnoError("cannot open the spool " + spool, errno));
    FURROW_TRY(ReadAllAt(file.Get(), std::as_writable_bytes(std::span(whole.bytes)), 0, spool));
  }
  whole.hash = HashOf(whole.bytes);
  return whole;
}

// ---- the loop ----------------------------------------------------------------------------------------------

void Uploader::Impl::Run() {
  now = heard = std::chrono::steady_clock::now();
  while (!stopping) {
    poller.Wait(TimeToNext());
    now = std::chrono::steady_clock::now();
    for (const Input& input : inputs.TakeAll()) {
      if (const auto* command = std::get_if<UploadCommand>(&input)) Take(*command);
      if (std::holds_alternative<Stop>(input)) stopping = true;
    }
    while (const auto frame = channel->Receive()) {
      const auto reply = DecodeBulkReply(*frame);
      if (reply)
        OnReply(*reply);
      else
        log::Warning("an answer on the bulk channel cannot be read: {}", reply.error().message);
    }
    LookAtConnection();
    ReadInotify();
    for (auto& [attempt, upload] : uploads) {
      if (upload.quiet(now)) continue;
      Watch(upload);
      if (!upload.order().metrics.empty() && now >= upload.metrics_at) ReadMetrics(upload, false);
    }
    if (channel->link() == LinkState::kConnected) SendLogs();
  }
}

milliseconds Uploader::Impl::TimeToNext() const {
  Time next = now + kIdle;
  const bool connected = channel->link() == LinkState::kConnected;
  const bool may_append = UnderWay() < kBulkWindow;
  bool waits = false;
  for (const auto& [attempt, upload] : uploads) {
    if (upload.quiet(now)) {
      next = std::min(next, *upload.wake_at(now, may_append));
      continue;
    }
    if (const auto at = upload.wake_at(now, may_append); at && connected) next = std::min(next, std::max(*at, send_at));
    if (!upload.order().metrics.empty()) next = std::min(next, upload.metrics_at);
    if (upload.watch == kUnwatched) next = std::min(next, now + kUnwatchedPause);
    waits = waits || upload.WaitsForAnswer();
  }
  if (waits) next = std::min(next, heard + kPatience);
  if (!watches.empty() && !inotify_polled) next = std::min(next, inotify_at);
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(next - now));
}

std::uint32_t Uploader::Impl::UnderWay() const {
  std::uint32_t under_way = 0;
  for (const auto& [attempt, upload] : uploads) under_way += upload.under_way();
  return under_way;
}

void Uploader::Impl::LookAtConnection() {
  const std::uint64_t now_connected = channel->connections();
  if (std::exchange(connection, now_connected) != now_connected) {
    for (auto& [attempt, upload] : uploads) upload.OnDisconnected();
  }
  const bool waits = std::any_of(uploads.begin(), uploads.end(), [](auto& one) { return one.second.WaitsForAnswer(); });
  if (!waits) heard = now;
  if (now - heard < kPatience) return;
  heard = now;
  for (auto& [attempt, upload] : uploads) upload.OnSilence(now);
}

// ---- commands ----------------------------------------------------------------------------------------------

void Uploader::Impl::Take(const UploadCommand& command) {
  if (const auto* follow = std::get_if<Follow>(&command)) return Begin(*follow);
  if (const auto* finish = std::get_if<FinishLog>(&command)) return Finish(*finish);
  if (const auto* collect = std::get_if<Collect>(&command)) return artifacts.Post(*collect);
  Forget(std::get<Clear>(command));
}

void Uploader::Impl::Begin(const Follow& follow) {
  uploads.try_emplace(follow.attempt, follow, now);
}

void Uploader::Impl::Finish(const FinishLog& finish) {
  const auto found = uploads.find(finish.attempt);
  if (found == uploads.end()) {
    log::Error("asked to finish a log that is not followed: attempt {}/{}", Raw(finish.attempt.job),
               Raw(finish.attempt.epoch));
    return;
  }
  found->second.OnFinish(finish.length, now);
  if (found->second.CanGoInline()) GoInline(found->second);
}

void Uploader::Impl::GoInline(LogUpload& upload) {
  const Follow& order = upload.order();
  std::uint64_t length = *upload.final_length();
  auto whole = ReadInline(order.attempt, order.spool, length);
  while (!whole && length > 0) whole = ReadInline(order.attempt, order.spool, --length);
  if (length != *upload.final_length())
    log::Error("the spool {} has {} bytes and should have {}; its log will be what is there", order.spool, length,
               *upload.final_length());
  ReadMetrics(upload, true);
  Complete(order.attempt, std::move(*whole));
}

void Uploader::Impl::Complete(AttemptRef attempt, UploadEvent event) {
  const auto found = uploads.find(attempt);
  if (found->second.watch >= 0) {
    ::inotify_rm_watch(inotify.Get(), found->second.watch);
    watches.erase(found->second.watch);
  }
  uploads.erase(found);
  on_event(std::move(event));
}

void Uploader::Impl::Forget(const Clear& clear) {
  if (const auto found = uploads.find(clear.attempt); found != uploads.end()) {
    if (found->second.watch >= 0) {
      ::inotify_rm_watch(inotify.Get(), found->second.watch);
      watches.erase(found->second.watch);
    }
    uploads.erase(found);
  }
  artifacts.Cancel(clear.attempt);
  if (IsNewWorkspaceFolder(clear.workspace)) {
    if (ClearSlot(clear, /*clean=*/true)) on_event(Cleared{clear.attempt});
    return;
  }
  // A workspace may hold many files: another thread removes them.
  removals.Run([this, clear] {
    if (ClearSlot(clear, /*clean=*/false)) on_event(Cleared{clear.attempt});
  });
}

// ---- from the controller -----------------------------------------------------------------------------------

void Uploader::Impl::OnReply(const BulkReply& reply) {
  heard = now;
  AttemptRef attempt{};
  if (const auto* ack = std::get_if<LogAck>(&reply)) attempt = ack->attempt;
  if (const auto* sealed = std::get_if<LogSealed>(&reply)) attempt = sealed->attempt;
  if (const auto* error = std::get_if<BulkError>(&reply)) attempt = error->attempt;
  const auto found = uploads.find(attempt);
  if (found == uploads.end()) {
    if (const auto* error = std::get_if<BulkError>(&reply); error != nullptr && attempt == AttemptRef{})
      log::Warning("the controller: {}", error->message);
    return;
  }
  LogUpload& upload = found->second;
  if (const auto* ack = std::get_if<LogAck>(&reply)) upload.OnAck(*ack, now);
  if (const auto* error = std::get_if<BulkError>(&reply)) upload.OnError(*error, now);
  if (const auto* sealed = std::get_if<LogSealed>(&reply)) upload.OnSealed(*sealed, now);
  if (upload.CanGoInline()) return GoInline(upload);
  if (upload.state() != LogState::kSealed) return;
  ReadMetrics(upload, true);
  Complete(attempt, LogStreamed{attempt, *upload.final_length(), upload.hash()});
}

void Uploader::Impl::SendLogs() {
  std::uint32_t under_way = UnderWay();
  int frames = 0;
  for (bool progress = true; progress && frames < kFramesPerTurn;) {
    progress = false;
    auto at = uploads.upper_bound(last_served);  // The logs have their turns in order.
    for (std::size_t left = uploads.size(); left > 0 && frames < kFramesPerTurn; --left, ++at) {
      if (at == uploads.end()) at = uploads.begin();
      const auto request = at->second.Next(now, under_way < kBulkWindow, {encoder, buffer, beside});
      if (!request) continue;
      if (channel->Send(Encode(*request).value()) != SendResult::kSent) {
        send_at = now + kFullPause;
        return;
      }
      at->second.Sent(*request, now);
      if (std::holds_alternative<LogAppend>(*request)) ++under_way;
      last_served = at->first;
      ++frames;
      progress = true;
    }
  }
}

// ---- files -------------------------------------------------------------------------------------------------

void Uploader::Impl::Watch(LogUpload& upload) {
  if (upload.watch == kUnwatched) upload.OnGrown(now);
  if (upload.watch != -1 || upload.final_length()) return;
  const int watch = ::inotify_add_watch(inotify.Get(), upload.order().spool.c_str(), IN_MODIFY);
  if (watch >= 0) {
    upload.watch = watch;
    watches[watch] = upload.order().attempt;
    upload.OnGrown(now);  // The spool may have grown before the watch.
  } else if (errno != ENOENT) {
    log::Warning("cannot watch {}: {}; it is looked at ten times a second instead", upload.order().spool,
                 ErrnoError("inotify", errno).message);
    upload.watch = kUnwatched;
  }
}

void Uploader::Impl::ReadInotify() {
  if (now < inotify_at || watches.empty()) {
    if (std::exchange(inotify_polled, false)) poller.RemoveFd(inotify.Get());
    return;
  }
  alignas(inotify_event) std::array<char, 16 << 10> events;
  bool any = false;
  for (ssize_t got; (got = ::read(inotify.Get(), events.data(), events.size())) > 0; any = true) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        for (auto& [attempt, upload] : uploads) upload.OnGrown(now);
      } else if (const auto found = watches.find(event->wd); found != watches.end()) {
        uploads.at(found->second).OnGrown(now);
      }
    }
  }
  // The pause limits a job that always prints to two hundred wake-ups a second.
  if (any) inotify_at = now + kInotifyPause;
  if (any == inotify_polled) {
    if (any) poller.RemoveFd(inotify.Get());
    if (!any) poller.AddFd(inotify.Get());
    inotify_polled = !any;
  }
}

void Uploader::Impl::ReadMetrics(LogUpload& upload, bool last) {
  for (;;) {
    std::vector<MetricLine> lines = upload.metrics.Read(last);
    std::string left_out = upload.metrics.LeftOut();
    if (!lines.empty() || (last && !left_out.empty()))
      on_event(MetricsRead{upload.order().attempt, upload.metrics.first(), std::move(lines), std::move(left_out)});
    if (!last || !upload.metrics.more()) break;
  }
  upload.metrics_at = now + kMetricsPause;
}

}  // namespace furrow
