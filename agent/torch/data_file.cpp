#include "agent/torch/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/base/git_lfs.h"

namespace furrow::steps {
namespace {

Result<std::string> ReadRaw(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tl::unexpected(ErrnoError(path, errno));
  struct stat info {};
  std::string bytes;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) bytes.resize(static_cast<std::size_t>(info.st_size));
  std::size_t filled = 0;
  for (;;) {
    if (filled == bytes.size()) bytes.resize(bytes.size() + 65536);
    const ssize_t got = read(fd, bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int number = errno;
      close(fd);
      return tl::unexpected(ErrnoError(path, number));
    }
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  close(fd);
  bytes.resize(filled);
  return bytes;
}

// Unpacks one or more consecutive gzip members.
Result<std::string> Gunzip(const std::string& path, const std::string& packed) {
  constexpr std::size_t kTurn = 1U << 30;  // zlib counts in 32 bits.
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return Fail(Errc::kInternal, path + ": zlib does not start");
  std::string bytes(packed.size() * 4 + 65536, '\0');
  std::size_t taken = 0;
  std::size_t written = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    if (written == bytes.size()) bytes.resize(bytes.size() * 2);
    const auto in = static_cast<uInt>(std::min(kTurn, packed.size() - taken));
    const auto out = static_cast<uInt>(std::min(kTurn, bytes.size() - written));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + taken));
    stream.avail_in = in;
    stream.next_out = reinterpret_cast<Bytef*>(bytes.data() + written);
    stream.avail_out = out;
    code = inflate(&stream, Z_NO_FLUSH);  // Z_BUF_ERROR: no input is left and no output pending.
    taken += in - stream.avail_in;
    written += out - stream.avail_out;
    if (code == Z_STREAM_END && taken < packed.size()) code = inflateReset(&stream);
  }
  inflateEnd(&stream);
  bytes.resize(written);
  if (code == Z_STREAM_END) return bytes;
  const std::string found = std::to_string(packed.size()) + " bytes (" + std::to_string(written) + " unpacked)";
  if (code == Z_BUF_ERROR) {
    return Fail(Errc::kCorrupt,
                path + ": truncated gzip: " + found + " found, more and a checksum expected; fetch the file again");
  }
  return Fail(Errc::kCorrupt,
              path + ": damaged gzip near byte " + std::to_string(taken) + " of " + found + "; fetch the file again");
}

}  // namespace

Result<std::string> ReadDataFile(const std::string& path) {
  auto bytes = ReadRaw(path);
  if (bytes && IsLfsPointer(*bytes)) return Fail(Errc::kInvalid, path + ": " + kLfsPointer);
  if (bytes && bytes->starts_with("\x1f\x8b")) return Gunzip(path, *bytes);
  return bytes;
}

std::string FirstBytes(const std::string& bytes) {
  if (bytes.empty()) return "nothing";
  std::string text;
  for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%02x ", static_cast<unsigned>(static_cast<unsigned char>(bytes[i])));
    text += hex;
  }
  if (bytes.size() > 8) return text + "…";
  text.pop_back();
  return text;
}

}  // namespace furrow::steps
