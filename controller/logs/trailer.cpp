#include "common/base/bytes.h"
#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "controller/logs/view.h"

namespace furrow {
namespace {

constexpr std::uint32_t kIndexMagic = 0x58474C46;  // "FLGX"
constexpr std::uint32_t kEndMagic = 0x45474C46;    // "FLGE"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeadBytes = 12;
constexpr std::size_t kPointBytes = 24;
constexpr std::size_t kFooterBytes = 64;

}  // namespace

std::string EncodeTrailer(const LogTrailer& trailer, std::uint64_t file_offset) {
  std::string out;
  out.reserve(kHeadBytes + trailer.points.size() * kPointBytes + kFooterBytes);
  PutU32(out, kIndexMagic);
  PutU32(out, kVersion);
  PutU32(out, static_cast<std::uint32_t>(trailer.points.size()));
  for (const LogPoint& point : trailer.points) {
    PutU64(out, point.raw_offset);
    PutU64(out, point.file_offset);
    PutU64(out, point.line);
  }
  PutU64(out, trailer.raw_length);
  PutU64(out, trailer.lines);
  out.append(reinterpret_cast<const char*>(trailer.sha256.bytes.data()), trailer.sha256.bytes.size());
  PutU64(out, file_offset);
  PutU32(out, Crc32c(AsBytes(out)));
  PutU32(out, kEndMagic);
  return out;
}

Result<LogTrailer> ReadTrailer(int fd, std::uint64_t file_bytes) {
  const auto none = [] { return Fail(Errc::kNotFound, "the log has no index"); };
  if (file_bytes < kHeadBytes + kFooterBytes) return none();
  std::string footer(kFooterBytes, '\0');
  FURROW_TRY(ReadAllAt(fd, std::as_writable_bytes(std::span<char>(footer)), file_bytes - kFooterBytes, "a log"));
  ByteReader end(AsBytes(footer).subspan(kFooterBytes - 16));
  const std::uint64_t begin = end.U64();
  const std::uint32_t crc = end.U32();
  if (end.U32() != kEndMagic || begin > file_bytes - kHeadBytes - kFooterBytes) return none();

  std::string bytes(file_bytes - begin, '\0');
  FURROW_TRY(ReadAllAt(fd, std::as_writable_bytes(std::span<char>(bytes)), begin, "a log"));
  if (Crc32c(AsBytes(bytes).first(bytes.size() - 8)) != crc) return none();
  ByteReader in(AsBytes(bytes));
  if (in.U32() != kIndexMagic || in.U32() != kVersion) return none();
  const std::size_t count = in.U32();
  if (bytes.size() != kHeadBytes + count * kPointBytes + kFooterBytes) return none();
  LogTrailer trailer;
  trailer.points.resize(count);
  for (LogPoint& point : trailer.points) {
    point.raw_offset = in.U64();
    point.file_offset = in.U64();
    point.line = in.U64();
  }
  trailer.raw_length = in.U64();
  trailer.lines = in.U64();
  in.Copy(trailer.sha256.bytes.data(), trailer.sha256.bytes.size());
  return trailer;
}

}  // namespace furrow
