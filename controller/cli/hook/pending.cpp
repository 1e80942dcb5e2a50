#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "controller/cli/hook/hook.h"

#include "common/base/replace_file.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

// A Pending is the list, locked for one process at a time. A line is "OLD NEW REF".
class Pending {
 public:
  static Result<Pending> Open(const fs::path& git_dir) {
    const fs::path folder = git_dir / "furrow";
    std::error_code failed;
    fs::create_directory(folder, failed);
    if (failed) return tl::unexpected(ErrnoError("cannot make the folder " + folder.string(), failed.value()));
    const fs::path lock = folder / "pending.lock";
    const int fd = ::open(lock.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0664);
    if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + lock.string(), errno));
    Pending pending(folder / "pending", fd);
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return tl::unexpected(ErrnoError("cannot lock " + lock.string(), errno));
    }
    pending.Read();
    return pending;
  }
  Pending(Pending&& other) noexcept
      : pushes(std::move(other.pushes)), file_(std::move(other.file_)), lock_(std::exchange(other.lock_, -1)) {}
  Pending& operator=(Pending&&) = delete;
  ~Pending() {
    if (lock_ >= 0) ::close(lock_);
  }

  Status Save() {
    std::string text;
    for (const PendingPush& push : pushes) text += push.old_commit + " " + push.new_commit + " " + push.ref + "\n";
    return ReplaceFile(file_.string(), text, 0644);
  }

  std::vector<PendingPush> pushes;

 private:
  Pending(fs::path file, int lock) : file_(std::move(file)), lock_(lock) {}

  void Read() {
    std::ifstream in(file_);
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      PendingPush push;
      if (words >> push.old_commit >> push.new_commit >> push.ref) pushes.push_back(std::move(push));
    }
  }
  fs::path file_;
  int lock_;
};

bool FitsOneLine(const PendingPush& push) {
  const auto word = [](const std::string& text) {
    return !text.empty() && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) <= ' '; });
  };
  return word(push.ref) && word(push.old_commit) && word(push.new_commit);
}

}  // namespace

Status NotePending(const fs::path& git_dir, const PendingPush& push) {
  if (!FitsOneLine(push)) return Fail(Errc::kInvalid, "\"" + push.ref + "\" is no ref that git would push");
  FURROW_ASSIGN(Pending pending, Pending::Open(git_dir));
  const auto same =
      std::ranges::find_if(pending.pushes, [&](const PendingPush& other) { return other.ref == push.ref; });
  if (same == pending.pushes.end()) {
    pending.pushes.push_back(push);
  } else if (same->old_commit == push.new_commit && same->new_commit != push.old_commit) {
    same->old_commit = push.old_commit;  // An older push is noted again after a newer one.
  } else {
    same->new_commit = push.new_commit;
  }
  return pending.Save();
}

Result<std::vector<PendingPush>> TakePending(const fs::path& git_dir) {
  std::error_code ignored;
  if (!fs::exists(git_dir / "furrow" / "pending", ignored)) return std::vector<PendingPush>();
  FURROW_ASSIGN(Pending pending, Pending::Open(git_dir));
  std::vector<PendingPush> taken = std::move(pending.pushes);
  pending.pushes.clear();
  if (!taken.empty()) FURROW_TRY(pending.Save());
  return taken;
}

}  // namespace furrow::cli
