#include "agent/runner/journal.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/agent/runner/fixture.h"
#include "tests/support/failing_syncs.h"

using namespace furrow;
using namespace furrow::runner;
using furrow::runner::testing::Ref;

namespace {

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string journal() const { return path_ + "/runner.journal"; }

 private:
  std::string path_ = "/tmp/furrow-journal-XXXXXX";
};

Entry MakeEntry(std::uint64_t job, std::string blob = "blob") {
  Entry entry;
  entry.ref = Ref(job);
  entry.started = WallTime{100};
  entry.boot = 42;
  entry.token = "token";
  entry.spool = "/spool";
  entry.blob = std::move(blob);
  return entry;
}

Exited MakeExited(std::uint64_t job) {
  Exited exited;
  exited.ref = Ref(job);
  exited.outcome = {OutcomeKind::kExited, 3, ""};
  return exited;
}

Table Replay(const Folder& folder) {
  Table table;
  const auto journal = Journal::Open(folder.journal(), table);
  REQUIRE_MESSAGE(journal.has_value(), (journal ? "" : journal.error().message));
  return table;
}

}  // namespace

TEST_CASE("journal: a replay gives back what was flushed") {
  const Folder folder;
  {
    Table table;
    const auto journal = *Journal::Open(folder.journal(), table);
    for (const std::uint64_t job : {1, 2, 3}) journal->AddStart(MakeEntry(job));
    REQUIRE(journal->Flush());
    journal->AddSpawned(Ref(1), {77, 5, 6});
    journal->AddExited(MakeExited(2));
    journal->AddExited(MakeExited(3));
    journal->AddForgotten(Ref(3));
    REQUIRE(journal->Flush());
    journal->AddExited(MakeExited(1));  // never flushed
  }
  const Table table = Replay(folder);
  REQUIRE(table.size() == 2);
  CHECK(table.at(Ref(1)).running);
  CHECK(table.at(Ref(1)).leaders == std::vector<Leader>{{77, 5, 6}});
  CHECK(table.at(Ref(1)).token == "token");
  CHECK(table.at(Ref(1)).boot == 42);
  CHECK_FALSE(table.at(Ref(2)).running);
  CHECK(table.at(Ref(2)).exited == MakeExited(2));
  CHECK(table.at(Ref(2)).blob == "blob");
}

TEST_CASE("journal: an attempt that ends in the turn it was started in is over after a replay") {
  const Folder folder;
  {
    Table table;
    const auto journal = *Journal::Open(folder.journal(), table);
    journal->AddExited(MakeExited(1));
    journal->AddStart(MakeEntry(1));
    REQUIRE(journal->Flush());
  }
  CHECK_FALSE(Replay(folder).at(Ref(1)).running);
}

TEST_CASE("journal: cut anywhere, it keeps every record before the cut and takes new ones") {
  const Folder folder;
  {
    Table table;
    const auto journal = *Journal::Open(folder.journal(), table);
    journal->AddStart(MakeEntry(1));
    REQUIRE(journal->Flush());
    journal->AddStart(MakeEntry(2));
    REQUIRE(journal->Flush());
  }
  const std::string whole = furrow::runner::testing::ReadFile(folder.journal());
  const std::size_t second = (whole.size() - 12) / 2 + 12;  // two records of one size after the header
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(folder.journal(), std::ios::binary) << whole.substr(0, size);
    {
      Table table;
      const auto journal = Journal::Open(folder.journal(), table);
      REQUIRE(journal.has_value());
      CHECK(table.size() == (size >= second ? 1 : 0));
      (*journal)->AddStart(MakeEntry(9));
      REQUIRE((*journal)->Flush());
    }
    CHECK(Replay(folder).contains(Ref(9)));
  }
}

TEST_CASE("journal: a flipped bit drops its record alone, and the damaged file is kept") {
  const Folder folder;
  {
    Table table;
    const auto journal = *Journal::Open(folder.journal(), table);
    for (const std::uint64_t job : {1, 2, 3}) journal->AddStart(MakeEntry(job));
    REQUIRE(journal->Flush());
  }
  const std::string whole = furrow::runner::testing::ReadFile(folder.journal());
  const std::size_t record = (whole.size() - 12) / 3;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::string bytes = whole;
    bytes[at] ^= 1;
    std::ofstream(folder.journal(), std::ios::binary) << bytes;
    const std::size_t hit = at < 12 ? 0 : 1 + (at - 12) / record;
    for (const bool again : {false, true}) {  // What the first start has read, the second reads again.
      Table table;
      const auto journal = Journal::Open(folder.journal(), table);
      REQUIRE(journal.has_value());
      CHECK((*journal)->incomplete() != again);
      for (const std::size_t job : {1, 2, 3}) CHECK(table.contains(Ref(job)) == (job != hit));
    }
    if (hit != 3) CHECK(furrow::runner::testing::ReadFile(folder.journal() + ".damaged") == bytes);
  }
}

TEST_CASE("journal: a rewrite keeps the table and drops what was forgotten") {
  const Folder folder;
  Table table;
  const auto journal = *Journal::Open(folder.journal(), table);
  for (std::uint64_t job = 1; job <= 100; ++job) {
    table[Ref(job)] = MakeEntry(job, std::string(100'000, 'x'));
    journal->AddStart(table[Ref(job)]);
    REQUIRE(journal->Flush());
    if (job % 10 == 0) continue;
    journal->AddForgotten(Ref(job));
    table.erase(Ref(job));
  }
  REQUIRE(journal->Flush());
  REQUIRE(journal->WantsRewrite());
  REQUIRE(journal->Rewrite(table));
  CHECK_FALSE(journal->WantsRewrite());
  CHECK(std::filesystem::file_size(folder.journal()) < 1'100'000);
  journal->AddExited(MakeExited(10));
  REQUIRE(journal->Flush());
  const Table replayed = Replay(folder);
  CHECK(replayed.size() == 10);
  CHECK_FALSE(replayed.at(Ref(10)).running);
  CHECK(replayed.at(Ref(20)).running);
}

TEST_CASE("journal: what does not fit refuses the starts, keeps the rest, and leaves the file whole") {
  const Folder folder;
  Table table;
  const auto journal = *Journal::Open(folder.journal(), table);
  journal->AddStart(MakeEntry(1));
  REQUIRE(journal->Flush());

  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{std::filesystem::file_size(folder.journal()) + 20, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
  journal->AddExited(MakeExited(1));
  journal->AddStart(MakeEntry(2));
  const Status full = journal->Flush();
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, SIG_DFL);

  CHECK_FALSE(full.has_value());
  CHECK(Replay(folder).at(Ref(1)).running);
  REQUIRE(journal->Flush());  // there is room again
  const Table after = Replay(folder);
  CHECK(after.size() == 1);
  CHECK_FALSE(after.at(Ref(1)).running);
}

TEST_CASE("journal: a strange file is set aside, a newer version is refused by name") {
  const Folder folder;
  Table table;
  std::ofstream(folder.journal()) << "something else entirely";
  {
    const auto journal = Journal::Open(folder.journal(), table);
    REQUIRE(journal.has_value());
    CHECK((*journal)->incomplete());
    (*journal)->AddStart(MakeEntry(1));
    REQUIRE((*journal)->Flush());
  }
  CHECK(furrow::runner::testing::ReadFile(folder.journal() + ".damaged") == "something else entirely");
  CHECK(Replay(folder).contains(Ref(1)));
  std::ofstream(folder.journal(), std::ios::binary) << std::string("FURROWRJ\x09\0\0\0", 12);
  const auto newer = Journal::Open(folder.journal(), table);
  CHECK(newer.error().code == Errc::kInvalid);
  CHECK(newer.error().message.find("format 9") != std::string::npos);
}

TEST_CASE("journal: a rewrite whose sync failed leaves the journal as it was, and the next one begins anew") {
  const Folder folder;
  Table table;
  const auto journal = *Journal::Open(folder.journal(), table);
  Entry entry = MakeEntry(1);
  journal->AddStart(entry);
  REQUIRE(journal->Flush());
  table[entry.ref] = entry;
  {
    const FailingSyncs faults;
    CHECK_FALSE(journal->Rewrite(table));
    CHECK(faults.failed() == 1);
  }
  CHECK_FALSE(std::filesystem::exists(folder.journal() + ".next"));
  CHECK(Replay(folder).size() == 1);
  REQUIRE(journal->Rewrite(table));
  CHECK(Replay(folder).size() == 1);
}
