#include "common/daemon/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace furrow {
namespace {

using std::chrono::seconds;

// A service manager that writes down what it is told, while it lives.
class Manager {
 public:
  explicit Manager(const char* watchdog_usec = nullptr) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string name = "furrow-notify-test-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());  // in the abstract namespace: no file
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
    ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
    if (watchdog_usec != nullptr) ::setenv("WATCHDOG_USEC", watchdog_usec, 1);
  }
  ~Manager() {
    ::close(fd_);
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  std::vector<std::string> Heard() const {
    std::vector<std::string> heard;
    char text[4096];
    for (ssize_t got = 0; (got = ::recv(fd_, text, sizeof(text), MSG_DONTWAIT)) > 0;)
      heard.emplace_back(text, static_cast<std::size_t>(got));
    return heard;
  }

 private:
  int fd_;
};

using Words = std::vector<std::string>;

TEST_CASE("service manager: without one nothing is said and the loop waits as long as it likes") {
  ServiceManager service;
  CHECK_FALSE(service.present());
  service.Ready();
  service.Say("words");
  CHECK(service.Alive(TimePoint{seconds(5)}) == Duration::max());
}

TEST_CASE("service manager: a line is told when it differs, and stays one line") {
  const Manager manager;
  ServiceManager service;
  REQUIRE(service.present());

  service.Ready();
  service.Say("2 agents");
  service.Say("2 agents");
  service.Say("refused: a\nREADY=1");
  service.Stopping();

  CHECK(manager.Heard() == Words{"READY=1", "STATUS=2 agents", "STATUS=refused: a READY=1", "STOPPING=1"});
}

TEST_CASE("service manager: a reload says since when") {
  const Manager manager;
  ServiceManager service;
  service.Reloading(TimePoint{std::chrono::milliseconds(1500)});
  CHECK(manager.Heard() == Words{"RELOADING=1\nMONOTONIC_USEC=1500000"});
}

TEST_CASE("service manager: the watchdog hears of every turn that is due, thrice an interval") {
  const Manager manager("3000000");
  ServiceManager service;

  CHECK(service.Alive(TimePoint{seconds(100)}) == seconds(1));
  CHECK(service.Alive(TimePoint{seconds(100) + std::chrono::milliseconds(400)}) == std::chrono::milliseconds(600));
  CHECK(manager.Heard() == Words{"WATCHDOG=1"});
  CHECK(service.Alive(TimePoint{seconds(101)}) == seconds(1));
  CHECK(service.Alive(TimePoint{seconds(200)}) == seconds(1));
  CHECK(manager.Heard() == Words{"WATCHDOG=1", "WATCHDOG=1"});
}

TEST_CASE("service manager: a manager without a watchdog is not pinged") {
  const Manager manager;
  ServiceManager service;
  CHECK(service.Alive(TimePoint{seconds(1)}) == Duration::max());
  CHECK(manager.Heard().empty());
}

}  // namespace
}  // namespace furrow
