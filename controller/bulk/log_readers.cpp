#include "controller/bulk/log_readers.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

namespace furrow {
namespace {

constexpr std::uint64_t kMaxCredit = 64 << 20;
constexpr std::size_t kMaxStreamsPerPeer = 64;
constexpr std::size_t kReadBytes = 1 << 20;  // bytes of one frame and one message

LogRef RefOf(RunId run, AttemptRef attempt, const LogLocation& location) {
  if (location.storage == LogStorage::kPack) return {run, attempt, location.pack, location.offset};
  return {run, attempt, 0, 0};
}

}  // namespace

LogReaders::LogReaders(LogStore& logs, FindLog find_log, WorkerPool& pool,
                       std::function<bool(PeerId, const BulkReply&)> send, std::function<void(LogChunkRead)> deliver)
    : logs_(logs), find_log_(std::move(find_log)), pool_(pool), send_(std::move(send)), deliver_(std::move(deliver)) {}

void LogReaders::OnLogRead(PeerId peer, const LogRead& request, bool live) {
  const StreamId id{peer, request.request};
  if (const auto old = streams_.find(id); old != streams_.end()) End(old);
  const auto first = streams_.lower_bound({peer, 0});
  const auto last = streams_.upper_bound({peer, std::numeric_limits<std::uint64_t>::max()});
  if (static_cast<std::size_t>(std::distance(first, last)) >= kMaxStreamsPerPeer) {
    send_(peer, BulkError{request.request,
                          request.attempt,
                          {},
                          Errc::kRejected,
                          "one connection can read 64 logs at a time; end one first"});
    return;
  }
  Stream stream;
  stream.log_ref = {request.run, request.attempt, 0, 0};
  stream.generation = next_generation_++;
  stream.offset = request.offset;
  stream.credit = std::min(request.credit, kMaxCredit);
  stream.tail_lines = request.tail_lines;
  stream.follow = request.follow;
  stream.stage = live ? LogStage::kGrows : LogStage::kUnplaced;
  by_attempt_[request.attempt].insert(id);
  BeginIfDue(id, streams_.emplace(id, stream).first->second);
}

void LogReaders::OnLogMore(PeerId peer, const LogMore& more) {
  const auto found = streams_.find({peer, more.request});
  if (found == streams_.end()) return;
  if (more.credit == 0) return End(found);
  found->second.credit = std::min(found->second.credit + std::min(more.credit, kMaxCredit), kMaxCredit);
  OnNews(found->first, found->second);
}

void LogReaders::OnNews(const StreamId& id, Stream& stream) {
  stream.state = After(stream.state, StreamEvent::kNews);
  BeginIfDue(id, stream);
}

void LogReaders::BeginIfDue(const StreamId& id, Stream& stream) {
  if (stream.state != StreamState::kDue || stream.credit == 0) return;  // OnLogMore calls again.
  stream.state = After(stream.state, StreamEvent::kBegin);
  // The worker gets a copy of the stream, so that it shares nothing with the loop.
  pool_.Run([this, id, stream] { deliver_(Read(id, stream)); });
}

LogChunkRead LogReaders::Read(const StreamId& id, const Stream& stream) const {
  LogChunkRead read{id, stream.generation, stream.stage, std::nullopt, LogWindow{}};
  LogRef log_ref = stream.log_ref;
  if (stream.stage == LogStage::kUnplaced) {
    auto record = find_log_(log_ref.run, log_ref.attempt);
    if (!record) {
      read.window = tl::unexpected(record.error());
      return read;
    }
    read.record = *record;
    if (*record) log_ref = RefOf(log_ref.run, log_ref.attempt, (*record)->location);
  }
  const std::size_t most = std::min<std::uint64_t>(stream.credit, kReadBytes);
  read.window = stream.tail_lines != 0 ? logs_.ReadTail(log_ref, stream.tail_lines, most)
                                       : logs_.ReadRange(log_ref, stream.offset, most);
  return read;
}

void LogReaders::OnRead(LogChunkRead read) {
  const auto found = streams_.find(read.stream);
  if (found == streams_.end() || found->second.generation != read.generation) return;
  Stream& stream = found->second;
  stream.state = After(stream.state, StreamEvent::kRead);
  // A worker that began before the log was over does not know the log's location now.
  const bool looked = stream.stage == LogStage::kUnplaced && read.stage == LogStage::kUnplaced;
  if (looked && (read.record || read.window)) {
    stream.stage = LogStage::kPlaced;
    if (read.record) {
      stream.log_ref = RefOf(stream.log_ref.run, stream.log_ref.attempt, read.record->location);
      stream.length = read.record->length;
    }
  }
  const bool was_over = read.stage != LogStage::kGrows;
  if (read.window) return Deliver(found, std::move(*read.window), was_over);
  if (read.window.error().code != Errc::kNotFound || (looked && !read.record)) {
    const bool unknown = read.window.error().code == Errc::kNotFound;
    const BulkError error{read.stream.second,
                          stream.log_ref.attempt,
                          {},
                          read.window.error().code,
                          unknown ? "there is no log of this attempt: it has not started, or it is another run's"
                                  : read.window.error().message};
    End(found);
    send_(read.stream.first, error);
    return;
  }
  // The job has printed nothing yet, or nothing at all.
  Deliver(found, LogWindow{stream.offset, 0, {}, stream.offset, 0, false}, was_over);
}

void LogReaders::Deliver(Streams::iterator found, LogWindow window, bool was_over) {
  const StreamId id = found->first;
  Stream& stream = found->second;
  const std::uint64_t generation = stream.generation;
  if (!window.bytes.empty() || window.log_bytes != 0) stream.tail_lines = 0;
  if (!window.bytes.empty()) stream.offset = window.offset + window.bytes.size();
  stream.credit -= std::min<std::uint64_t>(stream.credit, window.bytes.size());
  const bool at_end = stream.offset >= window.log_bytes;
  const bool whole = at_end && (window.sealed || was_over || !stream.follow);
  if (!at_end) stream.state = After(stream.state, StreamEvent::kNews);
  if (whole && was_over && window.log_bytes < stream.length) {
    const BulkError damaged{id.second,
                            stream.log_ref.attempt,
                            {},
                            Errc::kCorrupt,
                            "the log is damaged: " + std::to_string(window.log_bytes) + " of its " +
                                std::to_string(stream.length) + " bytes are there"};
    End(found);
    if (!window.bytes.empty()) send_(id.first, LogData{id.second, window.offset, std::move(window.bytes), false});
    send_(id.first, damaged);
    return;
  }
  if (whole) {
    End(found);
    send_(id.first, LogData{id.second, window.offset, std::move(window.bytes), true});
    return;
  }
  if (!window.bytes.empty()) {
    const bool room = send_(id.first, LogData{id.second, window.offset, std::move(window.bytes), false});
    found = streams_.find(id);
    if (found == streams_.end() || found->second.generation != generation) return;
    if (!room) found->second.state = After(found->second.state, StreamEvent::kFull);
  }
  BeginIfDue(id, found->second);
}

void LogReaders::End(Streams::iterator found) {
  const auto readers = by_attempt_.find(found->second.log_ref.attempt);
  if (readers != by_attempt_.end()) {
    readers->second.erase(found->first);
    if (readers->second.empty()) by_attempt_.erase(readers);
  }
  streams_.erase(found);
}

void LogReaders::Each(AttemptRef attempt, const std::function<void(const StreamId&, Stream&)>& visit) {
  const auto readers = by_attempt_.find(attempt);
  if (readers == by_attempt_.end()) return;
  for (const StreamId& id : readers->second) visit(id, streams_.at(id));
}

void LogReaders::OnMoved(AttemptRef attempt) {
  Each(attempt, [this](const StreamId& id, Stream& stream) { OnNews(id, stream); });
}

void LogReaders::OnFinal(AttemptRef attempt, const LogRecord& record) {
  // Only the store knows the location of a small log, and has the log on record by now.
  const bool placed = record.location.storage != LogStorage::kNone;
  Each(attempt, [&](const StreamId& id, Stream& stream) {
    stream.stage = placed ? LogStage::kPlaced : LogStage::kUnplaced;
    stream.length = record.length;
    if (placed) stream.log_ref = RefOf(stream.log_ref.run, attempt, record.location);
    OnNews(id, stream);
  });
}

void LogReaders::OnOver(AttemptRef attempt) {
  Each(attempt, [this](const StreamId& id, Stream& stream) {
    if (stream.stage == LogStage::kGrows) stream.stage = LogStage::kPlaced;
    OnNews(id, stream);
  });
}

void LogReaders::Resume(PeerId peer) {
  for (auto at = streams_.lower_bound({peer, 0}); at != streams_.end() && at->first.first == peer; ++at) {
    at->second.state = After(at->second.state, StreamEvent::kRoom);
    BeginIfDue(at->first, at->second);
  }
}

void LogReaders::Forget(const Peers::Gone& gone) {
  const PeerId peer = gone.id();
  for (auto at = streams_.lower_bound({peer, 0}); at != streams_.end() && at->first.first == peer;) End(at++);
}

bool LogReaders::Reads(PeerId peer) const {
  const auto at = streams_.lower_bound({peer, 0});
  return at != streams_.end() && at->first.first == peer;
}

}  // namespace furrow
