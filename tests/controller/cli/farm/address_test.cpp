// Which farm the command line means.
#include "controller/cli/farm/address.h"

#include <doctest/doctest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "common/base/file_io.h"
#include "tests/support/temp_folder.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

// A variable of the environment, put back at the end.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old, was_set_ = true;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Variable() { was_set_ ? ::setenv(name_, old_.c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::string old_;
  bool was_set_ = false;
};

// A home, and the folder of an installed controller, which has run.
struct Machine {
  TempFolder folder;
  Variable home{"HOME", (folder / "home").c_str()};
  Variable state{"FURROW_STATE", nullptr};
  Variable controller{"FURROW_CONTROLLER", nullptr};
  fs::path own = folder / "home/.local/state/furrow";
  fs::path system = folder / "system";

  Machine() {
    fs::create_directories(own);
    fs::create_directories(system);
    WriteFarm(system, 1);
  }
  static void WriteFarm(const fs::path& where, std::int64_t pid) {
    REQUIRE(WriteFarmFile(where, {"127.0.0.1:1", "127.0.0.1:2", std::string(40, '0'), pid, ""}));
  }
};

// No process has this pid: it is above the kernel's largest.
constexpr std::int64_t kNobody = 0x7fff'fff0;

}  // namespace

TEST_CASE("farm address: where nothing is named it is the installed controller's") {
  const Machine machine;
  CHECK(FarmFolder("", machine.system) == machine.system);
}

TEST_CASE("farm address: a farm of one's own that runs goes before it") {
  const Machine machine;
  SUBCASE("its controller lives") {
    Machine::WriteFarm(machine.own, ::getpid());
    CHECK(FarmFolder("", machine.system) == machine.own);
  }
  SUBCASE("`furrow up` lives, its controller is about to") {
    Machine::WriteFarm(machine.own, kNobody);
    const FileHandle lock(::open((machine.own / "up.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::flock(lock.Get(), LOCK_EX | LOCK_NB) == 0);
    CHECK(FarmFolder("", machine.system) == machine.own);
  }
  SUBCASE("one that is over does not") {
    Machine::WriteFarm(machine.own, kNobody);
    const std::ofstream left(machine.own / "up.lock");
    CHECK(FarmFolder("", machine.system) == machine.system);
  }
}

TEST_CASE("farm address: one's own where no controller is installed") {
  const Machine machine;
  CHECK(FarmFolder("", machine.folder / "none") == machine.own);
}

TEST_CASE("farm address: what is named wins") {
  const Machine machine;
  CHECK(FarmFolder("/srv/farm", machine.system) == "/srv/farm");
  const Variable state("FURROW_STATE", "/srv/other");
  CHECK(FarmFolder("", machine.system) == "/srv/other");
}

TEST_CASE("farm address: the key of the local client may be its group's, nobody else's") {
  const Machine machine;
  const fs::path key = LocalClientKey(machine.system);
  const std::string made = LoadOrMakeKeyPair(key, KeyReaders::kGroup).value().public_key;
  const auto found = FindFarm(machine.system.string());
  REQUIRE(found);
  CHECK(found->keys.public_key == made);
  fs::permissions(key, static_cast<fs::perms>(0644));
  CHECK(FindFarm(machine.system.string()).error().code == Errc::kRejected);
}

}  // namespace furrow::cli
