#include "controller/repos/git.h"

#include <cerrno>
#include <cstring>
#include <string>

#include <doctest/doctest.h>
#if __has_include(<git2/sys/errors.h>)  // Since libgit2 1.8 a program sets an error by this header.
#include <git2/sys/errors.h>
#endif

namespace furrow::repos {
namespace {

Errc CodeOf(int kind, const std::string& message) {
  git_libgit2_init();
  git_error_set_str(kind, message.c_str());
  const Error error = GitError(-1, "cannot read");
  CHECK(error.message.starts_with("cannot read: " + message));
  git_libgit2_shutdown();
  return error.code;
}

}  // namespace

TEST_CASE("git: a failed system call is momentary for want of space or descriptors, and else unclear") {
  for (const int number : {EAGAIN, EDQUOT, EMFILE, ENFILE, ENOSPC})
    CHECK(CodeOf(GIT_ERROR_OS, std::string("failed to write: ") + std::strerror(number)) == Errc::kUnavailable);
  for (const int number : {EIO, EACCES, ENOMEM})
    CHECK(CodeOf(GIT_ERROR_OS, std::string("failed to read: ") + std::strerror(number)) == Errc::kInternal);
  CHECK(CodeOf(GIT_ERROR_NOMEMORY, "out of memory") == Errc::kInternal);
  CHECK(CodeOf(GIT_ERROR_NET, "no route") == Errc::kUnavailable);
  CHECK(CodeOf(GIT_ERROR_ZLIB, "bad data") == Errc::kCorrupt);
}

}  // namespace furrow::repos
