#include "controller/repos/git.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/text.h"

namespace furrow::repos {
namespace {

// Returns whether libgit2 reports a system call that failed for a reason that passes. libgit2 ends such a message with
// the system's own text and gives the error number nowhere else.
bool IsMomentary(std::string_view message) {
  constexpr int kReasons[] = {EAGAIN, EDQUOT, EMFILE, ENFILE, ENOSPC};
  return std::ranges::any_of(kReasons, [&](int reason) { return message.ends_with(std::strerror(reason)); });
}

}  // namespace

Error GitError(int code, const std::string& what) {
  const git_error* last = git_error_last();
  const std::string message =
      what + ": " + (last != nullptr ? Presentable(last->message, 500) : "libgit2 gives no reason");
  const int kind = last != nullptr ? last->klass : 0;
  switch (kind) {
    case GIT_ERROR_NOMEMORY:
      return {Errc::kInternal, message + " (the repository needs more than the worker's memory limit)"};
    case GIT_ERROR_OS:
      if (IsMomentary(last->message)) return {Errc::kUnavailable, message};
      break;
    case GIT_ERROR_NET:
    case GIT_ERROR_SSH:
    case GIT_ERROR_SSL:
    case GIT_ERROR_HTTP: return {Errc::kUnavailable, message};
    case GIT_ERROR_ZLIB: return {Errc::kCorrupt, message + "; run git fsck there"};
    default: break;
  }
  if (code == GIT_ENOTFOUND) return {Errc::kNotFound, message};
  if (code == GIT_EAUTH || code == GIT_ECERTIFICATE) return {Errc::kRejected, message};
  if (kind == GIT_ERROR_ODB || kind == GIT_ERROR_OBJECT || kind == GIT_ERROR_SHA1) {
    return {Errc::kCorrupt, message + "; run git fsck there"};
  }
  return {Errc::kInternal, message};
}

std::string Presentable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = Utf8CharacterSize(text);
    std::string_view character = text.substr(0, length);
    if (length == 0) {
      character = "\xEF\xBF\xBD";  // U+FFFD
      length = 1;
    } else if (length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7F)) {
      character = " ";
    }
    if (out.size() + character.size() > max_bytes) break;
    out += character;
    text.remove_prefix(length);
  }
  return out;
}

std::string ToHex(const git_oid& id) {
  char hex[GIT_OID_HEXSZ + 1];
  return git_oid_tostr(hex, sizeof(hex), &id);
}

}  // namespace furrow::repos
