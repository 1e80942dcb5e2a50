#include "controller/repos/blob_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "common/base/hash.h"

namespace furrow::repos {
namespace {

// An entry has the length of the rest (4), blob id (20), size (8), chunk hashes with sizes (36 each), then the first 8
// bytes of the SHA-256 over everything from the id on. Numbers have the machine's byte order, because the file never
// leaves the machine.
constexpr std::size_t kHeadBytes = 4 + 20 + 8;
constexpr std::size_t kCheckBytes = 8;
constexpr std::size_t kMaxFileBytes = 64 << 20;

std::string_view Check(const Hash& hash) {
  return {reinterpret_cast<const char*>(hash.bytes.data()), kCheckBytes};
}

template <class T>
void Append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

BlobCache::BlobCache(std::string file) : file_(std::move(file)) {
  Read();
}

void BlobCache::Read() {
  const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat facts;
  std::string bytes;
  if (::fstat(fd, &facts) == 0 && static_cast<std::uint64_t>(facts.st_size) <= kMaxFileBytes) {
    bytes.resize(static_cast<std::size_t>(facts.st_size));
    std::size_t filled = 0;
    ssize_t got = 0;
    while (filled < bytes.size() && (got = ::read(fd, bytes.data() + filled, bytes.size() - filled)) > 0) {
      filled += static_cast<std::size_t>(got);
    }
    bytes.resize(filled);
  }
  ::close(fd);
  for (std::string_view rest = bytes; rest.size() >= kHeadBytes + kCheckBytes;) {
    std::uint32_t length = 0;
    std::memcpy(&length, rest.data(), 4);
    if (length < kHeadBytes - 4 + kCheckBytes || length > rest.size() - 4) break;
    const std::string_view body = rest.substr(4, length - kCheckBytes);
    if (Check(HashOf(body)) != rest.substr(4 + body.size(), kCheckBytes)) break;
    if ((body.size() - 28) % 36 != 0) break;
    BlobId id;
    KnownBlob known;
    std::memcpy(id.data(), body.data(), 20);
    std::memcpy(&known.size, body.data() + 20, 8);
    known.chunks.resize((body.size() - 28) / 36);
    for (std::size_t i = 0; i < known.chunks.size(); ++i) {
      std::memcpy(known.chunks[i].hash.bytes.data(), body.data() + 28 + 36 * i, 32);
      std::memcpy(&known.chunks[i].size, body.data() + 28 + 36 * i + 32, 4);
    }
    blobs_[id] = std::move(known);
    rest.remove_prefix(4 + length);
    whole_ = bytes.size() - rest.size();
  }
}

const KnownBlob* BlobCache::Find(const BlobId& blob) const {
  const auto found = blobs_.find(blob);
  return found == blobs_.end() ? nullptr : &found->second;
}

const KnownBlob& BlobCache::Add(const BlobId& blob, KnownBlob known) {
  std::string body;
  body.append(reinterpret_cast<const char*>(blob.data()), blob.size());
  Append(body, known.size);
  for (const ChunkRef& chunk : known.chunks) {
    Append(body, chunk.hash.bytes);
    Append(body, chunk.size);
  }
  Append(added_, static_cast<std::uint32_t>(body.size() + kCheckBytes));
  added_ += body;
  added_ += Check(HashOf(body));
  return blobs_[blob] = std::move(known);
}

void BlobCache::Save() {
  if (added_.empty()) return;
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  // A torn or damaged end is overwritten, because Read stops there.
  if (::ftruncate(fd, static_cast<off_t>(whole_)) == 0 &&
      ::pwrite(fd, added_.data(), added_.size(), static_cast<off_t>(whole_)) == static_cast<ssize_t>(added_.size())) {
    whole_ += added_.size();
  }
  ::close(fd);
  added_.clear();
}

}  // namespace furrow::repos
