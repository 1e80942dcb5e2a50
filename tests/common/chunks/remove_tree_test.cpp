#include "common/chunks/remove_tree.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file_io.h"
#include "tests/support/as_nobody.h"
#include "tests/support/temp_folder.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

bool IsEmpty(const std::string& path) {
  return fs::is_empty(path);
}

// Makes "d/d/…" of so many levels beneath an open folder.
bool MakeDeep(int root, int levels) {
  FileHandle at(::openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < levels; ++i) {
    if (::mkdirat(at.Get(), "d", 0700) != 0) return false;
    at = FileHandle(::openat(at.Get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  return ::mknodat(at.Get(), "file", S_IFREG | 0600, 0) == 0;
}

// Takes a mount off again, and says whether there was a mount.
struct Mount {
  explicit Mount(std::string where) : path(std::move(where)) {}
  ~Mount() { ::umount2(path.c_str(), MNT_DETACH); }
  const std::string path;
};

}  // namespace

TEST_CASE("remove: links are removed and not followed, whatever they point to") {
  TempFolder outside;
  outside.Write("victim", "untouched");
  TempFolder folder;
  folder.Write("a/b/c", "x");
  fs::create_directory_symlink(outside.Path(), folder / "a/link");
  fs::create_symlink("/nowhere", folder / "a/b/dangling");
  REQUIRE(RemoveBeneath(folder.Fd()));
  CHECK(IsEmpty(folder.Path()));
  CHECK(outside.Read("victim") == "untouched");
}

TEST_CASE("remove: folders without permissions go, at any place and of any mode") {
  for (const mode_t mode : {0000, 0111, 0200, 0300, 0400, 0444, 0500, 0555, 01555, 02555}) {
    TempFolder folder;
    CHECK_MESSAGE(
        AsNobody(
            folder,
            [&] {
              folder.Write("cache/mod/x@v1/go.mod", "module x");
              folder.Write("cache/mod/x@v1/sub/file", "text");
              fs::create_directory(folder / "cache/mod/empty");
              ::chmod((folder / "cache/mod/x@v1/go.mod").c_str(), 0);
              for (const char* path : {"cache/mod/x@v1/sub", "cache/mod/x@v1", "cache/mod/empty", "cache/mod", "cache"})
                if (::chmod((folder / path).c_str(), mode) != 0) return false;
              return RemoveBeneath(folder.Fd()).has_value() && IsEmpty(folder.Path());
            }),
        mode);
  }
}

TEST_CASE("remove: a folder that may not be opened itself is emptied and taken back") {
  for (const mode_t mode : {0000, 0400, 0500, 0777, 01777}) {
    TempFolder folder;
    CHECK_MESSAGE(AsNobody(folder,
                           [&] {
                             folder.Write("ws/a/b", "text");
                             ::chmod((folder / "ws/a").c_str(), mode);
                             ::chmod((folder / "ws").c_str(), mode);
                             struct stat status {};
                             return EmptyFolder(folder / "ws").has_value() && IsEmpty(folder / "ws") &&
                                    ::stat((folder / "ws").c_str(), &status) == 0 && (status.st_mode & 07777) == 0700;
                           }),
                  mode);
  }
}

TEST_CASE("remove: a tree deeper than any path, stack or limit of descriptors") {
  for (const int levels : {40, 5000}) {
    TempFolder folder;
    REQUIRE(MakeDeep(folder.Fd(), levels));
    const pid_t child = ::fork();  // with few descriptors and a small stack
    if (child == 0) {
      const rlimit few{64, 64};
      const rlimit small{256 << 10, 256 << 10};
      ::setrlimit(RLIMIT_NOFILE, &few);
      ::setrlimit(RLIMIT_STACK, &small);
      ::_exit(RemoveBeneath(folder.Fd()) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK_MESSAGE(status == 0, levels);
    CHECK(IsEmpty(folder.Path()));
  }
}

TEST_CASE("remove: deep folders without permissions, and names like those that the removal itself gives") {
  TempFolder folder;
  CHECK(AsNobody(folder, [&] {
    folder.Write(".furrow-removes-0/x", "");
    folder.Write(".furrow-removes-2", "");
    std::string path = folder.Path();
    std::vector<std::string> made;
    for (int i = 0; i < 120; ++i) {
      path += "/d";
      if (::mkdir(path.c_str(), 0700) != 0) return false;
      made.push_back(path);
    }
    for (auto at = made.rbegin(); at != made.rend(); ++at)
      if (::chmod(at->c_str(), 0500) != 0) return false;
    return RemoveBeneath(folder.Fd()).has_value() && IsEmpty(folder.Path());
  }));
}

TEST_CASE("remove: names of any bytes, and files of any kind") {
  TempFolder folder;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    const std::string name = {'n', static_cast<char>(byte)};
    REQUIRE(::mkdirat(folder.Fd(), name.c_str(), 0700) == 0);
  }
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  const FileHandle socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof(address.sun_path) - 1);
  REQUIRE(::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  folder.Write(std::string(255, 'x'), "");
  REQUIRE(RemoveBeneath(folder.Fd()));
  CHECK(IsEmpty(folder.Path()));
}

TEST_CASE("remove: a folder into which something writes for a while") {
  TempFolder folder;
  folder.Write("busy/first", "");
  std::atomic<int> left{2000};
  std::thread writer([&] {
    while (left-- > 0) {
      const FileHandle file(::open((folder / "busy/" + std::to_string(left)).c_str(), O_CREAT | O_WRONLY, 0600));
      ::mkdir((folder / "busy").c_str(), 0700);
    }
  });
  bool gone = false;
  while (!gone) {
    const bool over = left <= 0;
    const Status removed = RemoveBeneath(folder.Fd());
    gone = removed && over;
    if (over) CHECK(removed);
    if (!removed) CHECK(removed.error().message.find("still writes") != std::string::npos);
  }
  writer.join();
  REQUIRE(RemoveBeneath(folder.Fd()));
  CHECK(IsEmpty(folder.Path()));
}

TEST_CASE("remove: what cannot be removed is named with the reason, and all else is gone") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can make files of another user");
    return;
  }
  TempFolder folder;
  folder.Write("theirs/inside", "x");
  folder.Write("mine/file", "x");
  REQUIRE(::chown((folder / "mine").c_str(), kNobody, kNobody) == 0);
  CHECK(AsNobody(folder, [&] {
    const Status removed = RemoveBeneath(folder.Fd());
    return !removed && removed.error().message.find("theirs/inside") != std::string::npos;
  }));
  CHECK_FALSE(fs::exists(folder / "mine/file"));
  CHECK(fs::exists(folder / "theirs/inside"));
  CHECK(RemovePath(folder / "theirs"));
  CHECK_FALSE(fs::exists(folder / "theirs"));
}

TEST_CASE("remove: a mount is taken off and what lies behind it stays; one that must stay is said") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can mount");
    return;
  }
  TempFolder outside;
  outside.Write("victim/file", "untouched");
  TempFolder folder;
  folder.Write("ws/deep/disk/hidden", "");
  folder.Write("ws/deep/bound", "");
  const Mount disk(folder / "ws/deep/disk"), file(folder / "ws/deep/bound"), whole(folder / "ws");
  if (::mount("furrow-test", whole.path.c_str(), "tmpfs", 0, "size=1m") != 0) {
    MESSAGE("skipped: nothing can be mounted here: " << std::strerror(errno));
    return;
  }
  ::umount2(whole.path.c_str(), MNT_DETACH);
  for (const bool bound : {true, false}) {
    folder.Write("ws/deep/disk/hidden", "");
    folder.Write("ws/deep/bound", "");
    if (bound)
      REQUIRE(::mount(outside.Path().c_str(), disk.path.c_str(), nullptr, MS_BIND, nullptr) == 0);
    else
      REQUIRE(::mount("furrow-test", disk.path.c_str(), "tmpfs", 0, "size=1m") == 0);
    REQUIRE(::mount((outside / "victim/file").c_str(), file.path.c_str(), nullptr, MS_BIND, nullptr) == 0);
    const bool denied = ::access((folder / "ws/deep/disk/victim/file").c_str(), F_OK) != 0;
    CHECK(denied != bound);
    CHECK(EmptyFolder(folder / "ws"));
    CHECK(IsEmpty(folder / "ws"));
    CHECK(outside.Read("victim/file") == "untouched");
  }
  REQUIRE(::mount(outside.Path().c_str(), whole.path.c_str(), nullptr, MS_BIND, nullptr) == 0);
  CHECK(EmptyFolder(folder / "ws"));
  CHECK(outside.Read("victim/file") == "untouched");

  folder.Write("ws/kept/disk/x", "");
  const Mount kept(folder / "ws/kept/disk");
  REQUIRE(::mount("furrow-test", kept.path.c_str(), "tmpfs", 0, "size=1m") == 0);
  ::chown((folder / "ws").c_str(), kNobody, static_cast<gid_t>(-1));
  ::chown((folder / "ws/kept").c_str(), kNobody, static_cast<gid_t>(-1));
  CHECK(AsNobody(folder, [&] {
    const Status emptied = EmptyFolder(folder / "ws");
    return !emptied && emptied.error().message.find("mounted") != std::string::npos;
  }));
}

TEST_CASE("remove: files and folders that are immutable or may only grow") {
  TempFolder folder;
  folder.Write("a/file", "x");
  folder.Write("a/log", "x");
  folder.Write("b/c/inside", "x");
  const auto flag = [&](const char* path, int flags) {
    const FileHandle file(::open((folder / path).c_str(), O_RDONLY | O_CLOEXEC));
    int now = 0;
    if (::ioctl(file.Get(), FS_IOC_GETFLAGS, &now) != 0) return false;
    now |= flags;
    return ::ioctl(file.Get(), FS_IOC_SETFLAGS, &now) == 0;
  };
  if (!flag("a/file", FS_IMMUTABLE_FL)) {
    MESSAGE("skipped: no flags here: " << std::strerror(errno));
    return;
  }
  REQUIRE(flag("a/log", FS_APPEND_FL));
  REQUIRE(flag("b/c", FS_IMMUTABLE_FL));
  REQUIRE(RemoveBeneath(folder.Fd()));
  CHECK(IsEmpty(folder.Path()));
}

TEST_CASE("remove: a path that is a file, a link, a folder, or nothing") {
  TempFolder folder;
  folder.Write("file", "x");
  folder.Write("dir/x", "x");
  fs::create_symlink("dir", folder / "link");
  for (const char* name : {"file", "link", "nothing", "nowhere/at/all"}) CHECK(RemovePath(folder / name));
  CHECK(folder.Read("dir/x") == "x");
  CHECK(RemovePath(folder / "dir/"));
  CHECK(IsEmpty(folder.Path()));
  CHECK(EmptyFolder(folder / "nothing").error().code == Errc::kNotFound);
}

}  // namespace furrow
