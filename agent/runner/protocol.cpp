#include "agent/runner/protocol.h"

#include <type_traits>

#include "agent/runner/wire.h"

namespace furrow::runner {
namespace {

// Numbers the frame types on the wire. A number is never reused.
enum class Type : std::uint8_t {
  kHello = 1,
  kStart = 2,
  kKill = 3,
  kForget = 4,
  kList = 5,
  kShutdown = 6,
  kLease = 7,
  kStarted = 16,
  kExited = 17,
  kListed = 18,
  kListEnd = 19,
};

constexpr std::size_t kHeaderBytes = 4;

void WriteOptional(Writer& w, const std::optional<AttemptRef>& ref) {
  w.U8(ref ? 1 : 0);
  if (ref) WriteRef(w, *ref);
}

// Reads an optional ref; nullopt, too, if an older peer's body ends before the ref.
std::optional<AttemptRef> ReadOptional(Reader& r) {
  if (!r.ok() || r.empty() || r.U8() == 0) return std::nullopt;
  return ReadRef(r);
}

Type Write(Writer& w, const Hello& m) {
  w.U32(m.version);
  w.I64(m.pid);
  w.U8(m.holds ? 1 : 0);
  return Type::kHello;
}

Hello ReadHello(Reader& r) {
  Hello m;
  m.version = r.U32();
  m.pid = r.I64();
  m.holds = !r.empty() && r.U8() != 0;
  return m;
}

Type Write(Writer& w, const Start& m) {
  WriteRef(w, m.ref);
  w.Text(m.workspace);
  w.Text(m.spool);
  w.Text(m.metrics);
  w.Texts(m.env);
  w.U32(static_cast<std::uint32_t>(m.steps.size()));
  for (const Step& step : m.steps) {
    w.Texts(step.argv);
    w.Text(step.name);
  }
  w.U64(m.timeout_ms);
  w.U64(m.kill_grace_ms);
  w.U64(m.log_quota_bytes);
  w.Text(m.blob);
  WriteOptional(w, m.after);
  return Type::kStart;
}

Start ReadStart(Reader& r) {
  Start m;
  m.ref = ReadRef(r);
  m.workspace = r.Text();
  m.spool = r.Text();
  m.metrics = r.Text();
  m.env = r.Texts();
  const std::uint32_t steps = r.Count(8);
  for (std::uint32_t i = 0; i < steps && r.ok(); ++i) {
    Step step;
    step.argv = r.Texts();
    step.name = r.Text();
    m.steps.push_back(std::move(step));
  }
  m.timeout_ms = r.U64();
  m.kill_grace_ms = r.U64();
  m.log_quota_bytes = r.U64();
  m.blob = r.Text();
  m.after = ReadOptional(r);
  return m;
}

Type Write(Writer& w, const Kill& m) {
  WriteRef(w, m.ref);
  w.Text(m.reason);
  w.U64(m.grace_ms);
  return Type::kKill;
}

Kill ReadKill(Reader& r) {
  Kill m;
  m.ref = ReadRef(r);
  m.reason = r.Text();
  m.grace_ms = r.U64();
  return m;
}

Type Write(Writer& w, const Forget& m) {
  WriteRef(w, m.ref);
  return Type::kForget;
}

Type Write(Writer&, const List&) {
  return Type::kList;
}

Type Write(Writer& w, const Shutdown& m) {
  w.U8(m.kill_jobs ? 1 : 0);
  return Type::kShutdown;
}

Type Write(Writer& w, const Lease& m) {
  w.U64(m.until_ns);
  w.U64(m.kill_ns);
  return Type::kLease;
}

Lease ReadLease(Reader& r) {
  Lease m;
  m.until_ns = r.U64();
  m.kill_ns = r.empty() ? 0 : r.U64();
  return m;
}

Type Write(Writer& w, const Started& m) {
  WriteRef(w, m.ref);
  w.I64(m.pid);
  w.I64(static_cast<std::int64_t>(m.at));
  return Type::kStarted;
}

Started ReadStarted(Reader& r) {
  Started m;
  m.ref = ReadRef(r);
  m.pid = r.I64();
  m.at = WallTime{r.I64()};
  return m;
}

Type Write(Writer& w, const Exited& m) {
  WriteExited(w, m);
  return Type::kExited;
}

Type Write(Writer& w, const Listed& m) {
  WriteRef(w, m.attempt.ref);
  w.U8(m.attempt.running ? 1 : 0);
  w.I64(static_cast<std::int64_t>(m.attempt.started));
  w.Text(m.attempt.blob);
  std::string exited;  // Exited has a text of its own, so that its fields can grow in the middle of this body.
  Writer inner(exited);
  WriteExited(inner, m.attempt.exited);
  w.Text(exited);
  WriteOptional(w, m.attempt.held_for);
  return Type::kListed;
}

Listed ReadListed(Reader& r) {
  Attempt a;
  a.ref = ReadRef(r);
  a.running = r.U8() != 0;
  a.started = WallTime{r.I64()};
  a.blob = r.Text();
  const std::string exited = r.Text();
  Reader inner(exited);
  a.exited = ReadExited(inner);
  a.held_for = ReadOptional(r);
  return Listed{std::move(a)};
}

Type Write(Writer& w, const ListEnd& m) {
  w.U8(m.incomplete ? 1 : 0);
  return Type::kListEnd;
}

Result<Frame> ReadFrame(std::string_view bytes) {
  Reader r(bytes);
  const std::uint8_t type = r.U8();
  Frame frame;
  switch (static_cast<Type>(type)) {
    case Type::kHello: frame = ReadHello(r); break;
    case Type::kStart: frame = ReadStart(r); break;
    case Type::kKill: frame = ReadKill(r); break;
    case Type::kForget: frame = Forget{ReadRef(r)}; break;
    case Type::kList: frame = List{}; break;
    case Type::kShutdown: frame = Shutdown{r.U8() != 0}; break;
    case Type::kLease: frame = ReadLease(r); break;
    case Type::kStarted: frame = ReadStarted(r); break;
    case Type::kExited: frame = ReadExited(r); break;
    case Type::kListed: frame = ReadListed(r); break;
    case Type::kListEnd: frame = ListEnd{!r.empty() && r.U8() != 0}; break;
    default: return Fail(Errc::kCorrupt, "a frame of unknown type " + std::to_string(type));
  }
  if (!r.ok()) return Fail(Errc::kCorrupt, "a frame of type " + std::to_string(type) + " that ends too early");
  return frame;
}

}  // namespace

void WriteRef(Writer& writer, const AttemptRef& ref) {
  writer.U64(Raw(ref.job));
  writer.U64(Raw(ref.epoch));
}

AttemptRef ReadRef(Reader& reader) {
  AttemptRef ref;
  ref.job = JobId{reader.U64()};
  ref.epoch = Epoch{reader.U64()};
  return ref;
}

void WriteExited(Writer& w, const Exited& m) {
  WriteRef(w, m.ref);
  w.U32(m.step);
  w.U8(static_cast<std::uint8_t>(m.outcome.kind));
  w.U32(static_cast<std::uint32_t>(m.outcome.code));
  w.Text(m.outcome.text);
  w.U64(m.spool_bytes);
  w.I64(static_cast<std::int64_t>(m.started));
  w.I64(static_cast<std::int64_t>(m.ended));
  w.U64(m.elapsed_ms);
  w.U64(m.max_rss_bytes);
  w.U64(m.cpu_us);
}

Exited ReadExited(Reader& r) {
  Exited m;
  m.ref = ReadRef(r);
  m.step = r.U32();
  m.outcome.kind = static_cast<OutcomeKind>(r.U8());
  m.outcome.code = static_cast<std::int32_t>(r.U32());
  m.outcome.text = r.Text();
  m.spool_bytes = r.U64();
  m.started = WallTime{r.I64()};
  m.ended = WallTime{r.I64()};
  m.elapsed_ms = r.U64();
  m.max_rss_bytes = r.U64();
  m.cpu_us = r.U64();
  return m;
}

Status AppendFrame(const Frame& frame, std::string& out) {
  if (const auto* start = std::get_if<Start>(&frame); start != nullptr && start->blob.size() > kMaxBlobBytes)
    return Fail(Errc::kInvalid, Describe(start->ref) + ": a blob of " + std::to_string(start->blob.size()) +
                                    " bytes; at most " + std::to_string(kMaxBlobBytes) + " are allowed");
  const std::size_t begin = out.size();
  out.append(kHeaderBytes + 1, '\0');
  Writer writer(out);
  const Type type = std::visit([&](const auto& message) { return Write(writer, message); }, frame);
  const std::size_t size = out.size() - begin - kHeaderBytes;
  if (size > kMaxFrameBytes) {
    out.resize(begin);
    return Fail(Errc::kInvalid, "a message of " + std::to_string(size) + " bytes to or from the runner; at most " +
                                    std::to_string(kMaxFrameBytes) +
                                    " are allowed: make the environment or the steps' arguments smaller");
  }
  for (std::size_t i = 0; i < kHeaderBytes; ++i) out[begin + i] = static_cast<char>(size >> (8 * i));
  out[begin + kHeaderBytes] = static_cast<char>(type);
  return {};
}

Status FrameReader::Feed(std::string_view bytes, std::vector<Frame>& frames) {
  const bool joined = !pending_.empty();
  if (joined) {
    pending_.append(bytes);
    bytes = pending_;
  }
  while (bytes.size() >= kHeaderBytes) {
    const std::uint32_t size = Reader(bytes).U32();
    if (size == 0 || size > kMaxFrameBytes)
      return Fail(Errc::kCorrupt, "a frame of " + std::to_string(size) + " bytes; 1 to " +
                                      std::to_string(kMaxFrameBytes) + " are allowed");
    if (bytes.size() < kHeaderBytes + size) break;
    FURROW_ASSIGN(Frame frame, ReadFrame(bytes.substr(kHeaderBytes, size)));
    frames.push_back(std::move(frame));
    bytes.remove_prefix(kHeaderBytes + size);
  }
  if (joined)
    pending_.erase(0, pending_.size() - bytes.size());  // No byte moves while a large frame arrives.
  else
    pending_.assign(bytes);
  return {};
}

std::string Describe(const AttemptRef& ref) {
  return "job " + std::to_string(Raw(ref.job)) + " attempt " + std::to_string(Raw(ref.epoch));
}

}  // namespace furrow::runner
