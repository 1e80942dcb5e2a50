// A job that does all it can to outlive its job: it forks twice, starts sessions, sheds environment, folder and
// descriptors, and ignores every signal that can be ignored. The last process writes its pid to the named pipe.
//   hostile FIFO         leaves the daemon behind and exits 0
//   hostile FIFO stay    stays itself, too, and ignores SIGTERM
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace {

void IgnoreAll() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
}

int Daemon(const char* fifo) {
  ::close_range(0, ~0u, 0);
  if (::chdir("/") != 0) return 1;
  const int fd = ::open(fifo, O_WRONLY | O_CLOEXEC);
  const std::string line = std::to_string(::getpid()) + "\n";
  if (::write(fd, line.data(), line.size()) < 0) return 1;
  ::close(fd);
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  IgnoreAll();
  const std::string mode = argc > 2 ? argv[2] : "";
  if (mode == "daemon") return Daemon(argv[1]);
  if (::fork() == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    char self[] = "hostile";
    char daemon[] = "daemon";
    char* arguments[] = {self, argv[1], daemon, nullptr};
    char* nothing[] = {nullptr};
    ::execve("/proc/self/exe", arguments, nothing);
    ::_exit(1);
  }
  while (mode == "stay") ::pause();
  return 0;
}
