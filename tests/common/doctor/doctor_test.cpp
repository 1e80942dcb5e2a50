#include "common/doctor/doctor.h"

#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/run_program.h"
#include "common/doctor/files.h"
#include "common/doctor/machine.h"
#include "common/doctor/ports.h"
#include "tests/support/temp_folder.h"

namespace furrow::doctor {
namespace {

bool Says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

// ---- how it is shown -----------------------------------------------------------------------------------------

const std::vector<Report> kReports{
    {"furrow-agent gpu-1",
     {Ok("key", "there"), Warning("clock", "is late", "timedatectl set-ntp true"), Wrong("GPUs", "none", "")}}};

TEST_CASE("doctor: a daemon of `furrow up` is told what to do about that, not about systemd") {
  const TempFolder folder;
  folder.Write("up.lock", "");
  folder.Write("agents/agent-1/agent.yaml", "");
  const std::string controller = folder / "controller.yaml", agent = folder / "agents/agent-1/agent.yaml";
  const Report report{"furrow-controller",
                      {Wrong("unit", "furrow-controller.service has failed", "journalctl -u furrow-controller"),
                       Ok("address", "listens on 127.0.0.1. For agents elsewhere set listen in " + controller),
                       Warning("process", "none", "systemctl start furrow-controller"),
                       Wrong("port", "taken", "change the port in " + controller + " and tell the agents"),
                       Wrong("controller", "no answer", "on the controller: journalctl -u furrow-controller -n 50"),
                       Wrong("GPUs", "closed", "usermod -aG video me && systemctl restart furrow-agent"),
                       Warning("limits", "few files", "systemctl edit furrow-agent: [Service] LimitNOFILE=5"),
                       Warning("time", "not kept", "apt install chrony")}};
  for (const std::string& config : {controller, agent}) {
    const Report up = ForUp(report, config);
    CHECK(up.findings.size() == report.findings.size() - 1);
    const std::string text = Render({up}, false, 0);
    INFO(text);
    for (const char* systemd : {"systemctl", "journalctl", "[Service]", ".service"}) CHECK_FALSE(Says(text, systemd));
    CHECK(Says(text, "furrow --state " + folder.Path() + " up"));
    CHECK(Says(text, folder / "daemons"));
    CHECK(Says(text, "usermod -aG video me && "));
    CHECK(Says(text, "apt install chrony"));
  }
  CHECK_FALSE(Says(Render({ForUp(report, controller)}, false, 0), controller));
  CHECK(ForUp(report, "/etc/furrow/controller.yaml").findings == report.findings);
}

TEST_CASE("doctor: findings stand in columns, cures under them, sums at the end") {
  CHECK(Render(kReports, false, 0) ==
        "furrow-agent gpu-1\n"
        "  ok       key    there\n"
        "  warning  clock  is late\n"
        "                  → timedatectl set-ntp true\n"
        "  error    GPUs   none\n"
        "\n"
        "1 error, 1 warning.\n");
  CHECK(Says(Render({{"a", {Ok("b", "c")}}}, false, 0), "All is well.\n"));
}

TEST_CASE("doctor: long findings are wrapped between words, and text from outside cannot move the cursor") {
  const std::string text = Render({{"t", {Ok("s", "one two three four five\x1b[2J")}}}, false, 24);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(Says(text, "  ok       s  one two\n              three four\n              five?[2J\n"));
}

TEST_CASE("doctor: JSON comes back as it went") {
  const auto back = FromJson(ToJson(kReports));
  REQUIRE(back);
  REQUIRE(back->size() == 1);
  CHECK(back->front().title == kReports.front().title);
  CHECK(back->front().findings == kReports.front().findings);
  CHECK_FALSE(FromJson("{}"));
  CHECK_FALSE(FromJson("Segmentation fault"));
}

// ---- folders and keys ------------------------------------------------------------------------------------------

FolderFacts GoodFolder() {
  FolderFacts facts;
  facts.exists = facts.is_folder = true;
  facts.owner = "furrow-agent";
  facts.mode = 0700;
  facts.free_bytes = 100ULL << 30;
  facts.total_bytes = 200ULL << 30;
  return facts;
}

const FolderDemand kDemand{"state folder", "/s", 0750, "", 1ULL << 30};

// The worst finding.
Finding Worst(const Findings& findings) {
  Finding worst = findings.at(0);
  for (const Finding& one : findings)
    if (one.grade > worst.grade) worst = one;
  return worst;
}

TEST_CASE("doctor: a folder as it should be is ok, and so is its disk") {
  const Findings findings = CheckFolder(kDemand, GoodFolder());
  REQUIRE(findings.size() == 2);
  CHECK(findings[0] == Ok("state folder", "/s: furrow-agent, 0700"));
  CHECK(findings[1] == Ok("disk", "100 GiB of 200 GiB free (50 %) at /s"));
}

TEST_CASE("doctor: what is wrong with a folder is named, with a command") {
  const auto check = [](auto change) {
    FolderFacts facts = GoodFolder();
    change(facts);
    return Worst(CheckFolder(kDemand, facts));
  };
  CHECK(check([](FolderFacts& f) { f.mode = 0755; }).cure == "chmod 0750 /s");
  CHECK(check([](FolderFacts& f) { f.mode = 0755; }).grade == Grade::kWarning);
  CHECK(check([](FolderFacts& f) { f.mode = 0500; }).cure == "chmod u+rwx /s");
  CHECK(check([](FolderFacts& f) { f.foreign = "agent.key (root)"; }).cure == "chown -R furrow-agent: /s");
  CHECK(Says(check([](FolderFacts& f) { f.read_only = true; }).cure, "mount -o remount,rw"));
  CHECK(check([](FolderFacts& f) { f.exists = false; }).grade == Grade::kWarning);
  CHECK(check([](FolderFacts& f) { f.is_folder = false; }).grade == Grade::kError);
  CHECK(Says(check([](FolderFacts& f) { f.access_error = "Permission denied"; }).cure, "sudo"));
  CHECK(check([](FolderFacts& f) { f.free_bytes = 1 << 20; }).grade == Grade::kError);
  CHECK(check([](FolderFacts& f) { f.free_bytes = 3ULL << 29; }).grade == Grade::kWarning);
  CHECK(Says(check([](FolderFacts& f) { f.total_files = 100'000, f.free_files = 3; }).found, "only 3 files"));
  FolderDemand demand = kDemand;
  demand.owner = "furrow";
  CHECK(Worst(CheckFolder(demand, GoodFolder())).cure == "chown -R furrow: /s");
}

TEST_CASE("doctor: a real folder is looked at") {
  const TempFolder folder;
  CHECK_FALSE(LookAtFolder(folder / "none").exists);
  std::filesystem::create_directory(folder / "state");
  ::chmod((folder / "state").c_str(), 0710);
  const FolderFacts facts = LookAtFolder(folder / "state");
  CHECK(facts.is_folder);
  CHECK(facts.mode == 0710);
  CHECK(facts.foreign.empty());
  CHECK(facts.total_bytes > 0);
  folder.Write("file", "");
  CHECK_FALSE(LookAtFolder(folder / "file").is_folder);
}

TEST_CASE("doctor: keys must be their owner's alone") {
  const TempFolder folder;
  folder.Write("key", "secret");
  const std::string path = folder / "key";
  ::chmod(path.c_str(), 0640);
  CHECK(CheckKey(path, LookAtKey(path), "").cure == "chmod 0600 " + path);
  ::chmod(path.c_str(), 0600);
  CHECK(CheckKey(path, LookAtKey(path), "").grade == Grade::kOk);
  CHECK(CheckKey(path, LookAtKey(path), "somebody").cure == "chown somebody: " + path + "*");
  CHECK(CheckKey(folder / "none", LookAtKey(folder / "none"), "").grade == Grade::kWarning);
}

// ---- processes and limits --------------------------------------------------------------------------------------

TEST_CASE("doctor: the holder of a lock is found by the kernel's list") {
  const TempFolder folder;
  const std::string path = folder / "lock";
  CHECK(HolderOf(path) == 0);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  CHECK(HolderOf(path) == 0);
  struct stat info {};
  REQUIRE(::fstat(fd, &info) == 0);
  char device_inode[64];
  std::snprintf(device_inode, sizeof(device_inode), "%02x:%02x:%lu", static_cast<unsigned>(info.st_dev >> 8 & 0xfff),
                static_cast<unsigned>(info.st_dev & 0xff), static_cast<unsigned long>(info.st_ino));
  folder.Write("proc/locks", "1: POSIX  ADVISORY  WRITE 7 00:01:1 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 " +
                                 std::string(device_inode) + " 0 EOF\n");
  folder.Write("proc/4711/comm", "furrow-agent\n");
  CHECK(HolderOf(path, folder / "proc") == 4711);
  CHECK(NameOfProcess(4711, folder / "proc") == "furrow-agent");

  // btrfs and overlays: the same inode on another device, so what the process has open decides.
  folder.Write("proc/locks", "1: FLOCK  ADVISORY  WRITE 4712 00:2f:" + std::to_string(info.st_ino) + " 0 EOF\n");
  CHECK(HolderOf(path, folder / "proc") == 0);
  folder.Write("proc/4712/comm", "furrow-controll\n");
  folder.Write("proc/4712/cmdline", std::string("/usr/bin/furrow-controller\0--config\0", 36));
  std::filesystem::create_directories(folder / "proc/4712/fd");
  std::filesystem::create_symlink(std::filesystem::canonical(path), folder / "proc/4712/fd/5");
  CHECK(HolderOf(path, folder / "proc") == 4712);
  CHECK(NameOfProcess(4712, folder / "proc") == "furrow-controller");
  ::close(fd);
}

constexpr const char* kLimits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             95                   96                   processes \n"
    "Max open files            1024                 1048576              files     \n"
    "Max locked memory         65536                unlimited            bytes     \n";

TEST_CASE("doctor: limits are read as the kernel prints them, the hard ones") {
  const Limits limits = ParseLimits(kLimits);
  CHECK(limits.processes == 96);
  CHECK(limits.files == 1048576);
  CHECK(limits.locked_bytes == UINT64_MAX);
  CHECK_FALSE(ParseLimits("").files);
  CHECK(LimitsOf(0).files);
}

TEST_CASE("doctor: a limit that is too low says what fails and which setting raises it") {
  const LimitsDemand demand{"furrow-agent", 4096, "jobs will fail", 4096, true};
  CHECK(Worst(CheckLimits(demand, {1048576, UINT64_MAX, UINT64_MAX}, true)).grade == Grade::kOk);
  const Finding files = CheckLimits(demand, {1024, UINT64_MAX, UINT64_MAX}, true).at(0);
  CHECK(files.grade == Grade::kWarning);
  CHECK(Says(files.cure, "LimitNOFILE=4096"));
  CHECK(CheckLimits(demand, {1024, 10, 65536}, true).size() == 3);
  CHECK(Says(CheckLimits(demand, {1024, UINT64_MAX, UINT64_MAX}, false).at(0).found, "of this shell"));
}

// ---- units and time ----------------------------------------------------------------------------------------------

TEST_CASE("doctor: a unit's state, as systemctl shows it") {
  CHECK_FALSE(CheckUnit("furrow-agent", ""));
  CHECK_FALSE(CheckUnit("furrow-agent", "LoadState=not-found\nActiveState=inactive\n"));
  CHECK(CheckUnit("furrow-agent", "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=0\n") ==
        Ok("unit", "furrow-agent.service is active"));
  const auto failed = CheckUnit("furrow-agent", "Result=exit-code\nLoadState=loaded\nActiveState=failed\n");
  CHECK(failed->grade == Grade::kError);
  CHECK(Says(failed->cure, "journalctl -u furrow-agent"));
  CHECK(CheckUnit("furrow-agent", "LoadState=loaded\nActiveState=inactive\n")->cure ==
        "systemctl enable --now furrow-agent");
  CHECK(CheckUnit("furrow-agent", "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n")->grade ==
        Grade::kWarning);
  CHECK(CheckUnit("furrow-agent",
                  "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=signal\nNRestarts=9\n")
            ->grade == Grade::kError);
  CHECK(CheckUnit("furrow-agent", "LoadState=masked\n")->cure == "systemctl unmask furrow-agent");
}

TEST_CASE("doctor: a clock that differs is a warning over 2 s and an error over 60 s, doubt taken off") {
  CHECK(CheckSkew(30, 1).grade == Grade::kOk);
  CHECK(CheckSkew(1'900, 5).grade == Grade::kOk);
  CHECK(CheckSkew(2'004, 5).grade == Grade::kOk);
  CHECK(CheckSkew(2'100, 5).grade == Grade::kWarning);
  CHECK(CheckSkew(-59'000, 5).grade == Grade::kWarning);
  CHECK(CheckSkew(-61'000, 5).grade == Grade::kError);
  CHECK(Says(CheckSkew(-300'000, 5).found, "5 min behind the controller's"));
  CHECK(Says(CheckSkew(2'500, 0).found, "2.5 s ahead of the controller's"));
  CHECK(CheckClockIsKept(false).grade == Grade::kWarning);
  CHECK(CheckClockIsKept(true).grade == Grade::kOk);
  CHECK(CheckClockIsKept(std::nullopt).grade == Grade::kOk);
}

TEST_CASE("doctor: control groups that leave hardly anything are a warning") {
  CgroupFacts facts{2, 8, 8000, 64ULL << 30, 64ULL << 30};
  CHECK(CheckCgroups(facts) == Ok("cgroups", "version 2; 8 of 8 CPUs, 64 GiB of 64 GiB memory are the agent's to use"));
  facts.usable_cpu_milli = 500;
  CHECK(CheckCgroups(facts).grade == Grade::kWarning);
}

// ---- ports ---------------------------------------------------------------------------------------------------------

// 0x1B9F: 7071. One on 127.0.0.1 of user 0, one on [::]:80, one connected.
constexpr const char* kTcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:1B9F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0\n"
    "   1: 0100007F:1BA0 0100007F:1B9F 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 "
    "0\n";
constexpr const char* kTcp6 =
    "  sl  local_address                         remote_address                        st tx_queue rx_queue\n"
    "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000     0        0 77 1 0 100 0 0 10 0\n";

TEST_CASE("doctor: who listens on a port") {
  const TempFolder folder;
  folder.Write("net/tcp", kTcp);
  folder.Write("net/tcp6", kTcp6);
  folder.Write("99/comm", "nginx\n");
  std::filesystem::create_directories(folder / "99/fd");
  std::filesystem::create_symlink("socket:[4242]", folder / "99/fd/3");

  const PortHolder holder = HolderOfPort(7071, "0.0.0.0", folder.Path());
  CHECK(holder.taken);
  CHECK(holder.pid == 99);
  CHECK(holder.program == "nginx");
  CHECK(holder.address == "127.0.0.1");
  CHECK(HolderOfPort(7071, "127.0.0.1", folder.Path()).taken);
  CHECK_FALSE(HolderOfPort(7071, "10.0.0.1", folder.Path()).taken);  // another address is not in the way
  CHECK_FALSE(HolderOfPort(7072, "0.0.0.0", folder.Path()).taken);   // connected, not listening
  CHECK(HolderOfPort(80, "10.0.0.1", folder.Path()).address == "::");
}

TEST_CASE("doctor: a port is ours, free, or somebody else's") {
  PortHolder holder;
  CHECK(CheckPort("ports.control", 7071, 0, holder, "/c.yaml").grade == Grade::kOk);
  CHECK(CheckPort("ports.control", 7071, 12, holder, "/c.yaml").grade == Grade::kError);
  holder = {true, 12, "furrow-controll", "furrow", "0.0.0.0"};
  CHECK(CheckPort("ports.control", 7071, 12, holder, "/c.yaml").grade == Grade::kOk);
  holder = {true, 99, "nginx", "www-data", "0.0.0.0"};
  const Finding taken = CheckPort("ports.control", 7071, 12, holder, "/c.yaml");
  CHECK(taken.grade == Grade::kError);
  CHECK(Says(taken.found, "nginx (process 99)"));
  CHECK(Says(taken.cure, "ports.control in /c.yaml"));
  holder = {true, 0, "", "www-data", "0.0.0.0"};
  CHECK(Says(CheckPort("ports.control", 7071, 0, holder, "/c.yaml").found, "user www-data"));
}

// ---- programs ------------------------------------------------------------------------------------------------------

TEST_CASE("run program: output, errors and status; one that never ends is killed at its limit") {
  const auto said = RunProgram({"sh", "-c", "echo out; echo err >&2; exit 3"});
  REQUIRE(said);
  CHECK(said->out == "out\n");
  CHECK(said->err == "err\n");
  CHECK(said->status == 3);
  CHECK(RunProgram({"/no/such/program"}).error().code == Errc::kNotFound);
  ProgramOptions options;
  options.limit = std::chrono::milliseconds(50);
  const auto endless = RunProgram({"sleep", "1000"}, options);
  REQUIRE(endless);
  CHECK(endless->status == 137);
}

}  // namespace
}  // namespace furrow::doctor
