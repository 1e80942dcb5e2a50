#include "controller/store/high_water.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "common/base/file_io.h"

namespace furrow {
namespace {

constexpr std::size_t kBytes = 64;

std::uint64_t CheckOf(std::uint64_t number, std::uint64_t length) {
  return ~(number ^ length);
}

}  // namespace

// The file has 64 bytes in this machine's byte order: the number of the commit and its complement, then twice the
// number of a MANIFEST, its length, and the complement of both, exclusively ored. Older versions made the first 16
// alone.
Result<HighWater> HighWater::Open(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + file.string(), errno));
  HighWater mark(fd);
  std::array<std::uint64_t, 2> commit{};
  std::array<char, kBytes + 1> stored{};
  const ssize_t got = ::pread(fd, stored.data(), stored.size(), 0);
  if (got < 0) return tl::unexpected(ErrnoError("cannot read " + file.string(), errno));
  if (got == 0) {
    FURROW_TRY(SyncFolder(file.parent_path().string()));
    mark.is_new_ = true;
    return mark;
  }
  std::memcpy(commit.data(), stored.data(), sizeof(commit));
  std::memcpy(mark.manifests_.data(), stored.data() + sizeof(commit), sizeof(mark.manifests_));
  // Zeros are what never reached the disk; Store::Impl::CheckFormat knows whether that may be.
  bool whole = (got == sizeof(commit) || got == kBytes) && (commit[0] == ~commit[1] || (commit[0] | commit[1]) == 0);
  for (const Manifest& manifest : mark.manifests_)
    whole = whole && (manifest.check == CheckOf(manifest.number, manifest.length) ||
                      (manifest.number | manifest.length | manifest.check) == 0);
  if (!whole) {
    return Fail(Errc::kCorrupt, file.string() +
                                    " is damaged: it cannot be told whether acknowledged work was lost. "
                                    "Delete it to go on with what the database holds");
  }
  if (commit[1] != 0) mark.commit_ = commit[0];
  return mark;
}

HighWater::~HighWater() {
  if (fd_ < 0) return;
  Sync();
  ::close(fd_);
}

void HighWater::Raise(std::uint64_t commit) {
  const std::array<std::uint64_t, 2> stored{commit, ~commit};
  // The bytes lie within one sector and one page, so they are never half written.
  if (::pwrite(fd_, stored.data(), sizeof(stored), 0) == sizeof(stored)) commit_ = commit;
}

std::uint64_t HighWater::ManifestLength(std::uint64_t number) const {
  for (const Manifest& manifest : manifests_)
    if (manifest.number == number) return manifest.length;
  return 0;
}

void HighWater::RaiseManifest(std::uint64_t number, std::uint64_t length) {
  const std::size_t older = manifests_[0].number < manifests_[1].number ? 0 : 1;
  const std::size_t at = manifests_[1 - older].number == number ? 1 - older : older;
  manifests_[at] = {number, length, CheckOf(number, length)};
  // A write that failed leaves what is there, which is less.
  [[maybe_unused]] const ssize_t written = ::pwrite(
      fd_, &manifests_[at], sizeof(Manifest), static_cast<off_t>(sizeof(std::uint64_t) * 2 + at * sizeof(Manifest)));
}

void HighWater::Sync() {
  ::fdatasync(fd_);
}

}  // namespace furrow
