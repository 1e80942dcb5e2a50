#include "common/doctor/files.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFewFiles = 10'000;  // a source tree alone may have more inodes

std::string UserName(uid_t uid) {
  const passwd* user = ::getpwuid(uid);
  return user != nullptr ? user->pw_name : std::to_string(uid);
}

std::string Octal(std::uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof(text), "%04o", mode);
  return text;
}

std::string Why(int error) {
  return std::generic_category().message(error);
}

std::string AsRoot(int error) {
  return error == EACCES || error == EPERM ? Why(error) + " (doctor runs as " + UserName(::geteuid()) + ")"
                                           : Why(error);
}

// Returns the first of the folder's own files that its owner may be unable to write.
std::string ForeignFile(const fs::path& folder, uid_t owner) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    struct stat file {};
    if (::lstat(entry.path().c_str(), &file) == 0 && file.st_uid != owner)
      return entry.path().filename().string() + " (" + UserName(file.st_uid) + ")";
  }
  return "";
}

std::string Percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "0 %" : std::to_string(part * 100 / whole) + " %";
}

Finding CheckSpace(const FolderDemand& demand, const FolderFacts& facts) {
  const std::string subject = "disk";
  const std::string message = Size(facts.free_bytes) + " of " + Size(facts.total_bytes) + " free (" +
                              Percent(facts.free_bytes, facts.total_bytes) + ") at " + demand.path;
  const std::string cure = "df -h " + demand.path + "; then delete what is not needed, or give it a larger disk";
  if (facts.total_files > 0 && facts.free_files < kFewFiles)
    return Wrong(subject, message + ", but only " + std::to_string(facts.free_files) + " files more can be made",
                 "df -i " + demand.path + "; then delete small files, or make the filesystem with more inodes");
  if (facts.free_bytes < demand.low_bytes)
    return Wrong(subject, message + ": less than the " + Size(demand.low_bytes) + " that it needs", cure);
  if (facts.free_bytes < 2 * demand.low_bytes) return Warning(subject, message + ": it will soon be too little", cure);
  return Ok(subject, message);
}

}  // namespace

std::string Size(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
  return text;
}

FolderFacts LookAtFolder(const fs::path& folder) {
  FolderFacts facts;
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      facts.exists = true;
      facts.access_error = AsRoot(errno);
    }
    return facts;
  }
  facts.exists = true;
  facts.is_folder = S_ISDIR(info.st_mode);
  facts.owner = UserName(info.st_uid);
  facts.mode = info.st_mode & 07777;
  facts.foreign = ForeignFile(folder, info.st_uid);
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) {
    facts.access_error = AsRoot(errno);
    return facts;
  }
  facts.read_only = (disk.f_flag & ST_RDONLY) != 0;
  facts.free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  facts.total_bytes = static_cast<std::uint64_t>(disk.f_blocks) * disk.f_frsize;
  facts.free_files = disk.f_favail;
  facts.total_files = disk.f_files;
  return facts;
}

Findings CheckFolder(const FolderDemand& demand, const FolderFacts& facts) {
  const std::string& subject = demand.subject;
  const std::string& path = demand.path;
  if (!facts.exists) return {Warning(subject, path + " is not there yet", "the daemon makes it when it starts")};
  if (!facts.access_error.empty())
    return {Wrong(subject, path + " cannot be looked at: " + facts.access_error, "run doctor as root, with sudo")};
  if (!facts.is_folder) return {Wrong(subject, path + " is no folder", "move it away, or name another in `state`")};
  if (facts.read_only)
    return {Wrong(subject, path + " lies on a filesystem that is mounted read-only",
                  "dmesg | tail -50 says why; then mount -o remount,rw \"$(findmnt -nT " + path + " -o TARGET)\"")};
  Findings findings;
  const std::string message = path + ": " + facts.owner + ", " + Octal(facts.mode);
  const std::string owner = demand.owner.empty() ? facts.owner : demand.owner;
  if (owner != facts.owner) {
    findings.push_back(
        Wrong(subject, message + ", but the daemon runs as " + owner, "chown -R " + owner + ": " + path));
  } else if (!facts.foreign.empty()) {
    findings.push_back(Wrong(subject, message + ", but in it belongs to somebody else: " + facts.foreign,
                             "chown -R " + owner + ": " + path));
  } else if ((facts.mode & 0700) != 0700) {
    findings.push_back(Wrong(subject, message + ": its own owner may not work in it", "chmod u+rwx " + path));
  } else if ((facts.mode & 0777 & ~demand.may_have) != 0) {
    findings.push_back(Warning(subject, message + ": others may look into it, or write there",
                               "chmod " + Octal(demand.may_have) + " " + path));
  } else {
    findings.push_back(Ok(subject, message));
  }
  findings.push_back(CheckSpace(demand, facts));
  return findings;
}

KeyFacts LookAtKey(const fs::path& path) {
  KeyFacts facts;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) facts.access_error = AsRoot(errno);
    return facts;
  }
  facts.exists = true;
  facts.owner = UserName(info.st_uid);
  facts.mode = info.st_mode & 07777;
  if (::access(path.c_str(), R_OK) != 0) facts.access_error = AsRoot(errno);
  return facts;
}

Finding CheckKey(const std::string& path, const KeyFacts& facts, const std::string& owner) {
  const std::string subject = "key";
  if (!facts.access_error.empty())
    return Wrong(subject, path + " cannot be read: " + facts.access_error, "run doctor as root, with sudo");
  if (!facts.exists) return Warning(subject, path + " is not there yet", "the daemon makes it when it starts");
  const std::string message = path + ": " + facts.owner + ", " + Octal(facts.mode);
  if ((facts.mode & 0077) != 0)
    return Wrong(subject, message + ": others may read the secret key, so the daemon refuses it", "chmod 0600 " + path);
  if (!owner.empty() && facts.owner != owner)
    return Wrong(subject, message + ", but the daemon runs as " + owner, "chown " + owner + ": " + path + "*");
  return Ok(subject, message);
}

}  // namespace furrow::doctor
