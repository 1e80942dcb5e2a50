#include "agent/uploads/artifacts.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/chunks/tree.h"
#include "common/chunks/tree_materialise.h"
#include "controller/bulk/trees.h"
#include "tests/agent/uploads/upload_rig.h"

namespace furrow::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("uploader: artifacts become a tree on the controller") {
  UploadRig rig;
  fs::create_directories(rig.folder / "ws/out");
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(3'000'000); }
  { std::ofstream((rig.folder / "ws/out/a.txt").string()) << "a"; }
  { std::ofstream((rig.folder / "ws/secret").string()) << "not asked for"; }
  const Collect collect{kAttempt, (rig.folder / "ws").string(), {"*.pt", "out"}};
  rig.uploader->Post(collect);
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  const Tree tree = LoadTree(*rig.chunks, name).value();
  REQUIRE(tree.entries.size() == 2);
  CHECK(tree.entries[0].path == "model.pt");
  CHECK(tree.entries[1].path == "out/a.txt");
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
  rig.uploader->Post(collect);  // unchanged: the same tree again
  CHECK(rig.NextA<ArtifactsCommitted>().tree == name);
}

TEST_CASE("uploader: artifacts and logs that a full controller refuses come when it has room") {
  UploadRig rig;
  const std::string log_file = (rig.folder / "agent.log").string();
  REQUIRE(log::Redirect(log_file));
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(3'000'000); }
  rig.DiskIs(DiskHealth::kFull);
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}});
  const std::string text = SomeText(300'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  Poller pause;
  const std::string said = "are tried again: no uploads are taken, for the controller's disk is full";
  bool refused = false;
  for (int i = 0; i < 3000 && !refused; ++i) {
    refused = ReadFile(log_file, 1 << 20).value().find(said) != std::string::npos;
    pause.Wait(std::chrono::milliseconds(10));
  }
  REQUIRE(log::Redirect(""));
  REQUIRE(refused);
  CHECK(rig.uploaded.Empty());
  rig.DiskIs(DiskHealth::kOk);
  bool artifacts = false;
  bool streamed = false;
  while (!artifacts || !streamed) {
    const auto event = rig.uploaded.Next();
    REQUIRE(event);
    if (const auto* committed = std::get_if<ArtifactsCommitted>(&*event)) {
      artifacts = true;
      CHECK(CommitTree(*rig.chunks, committed->tree).value().missing.empty());
    } else {
      streamed = true;
      CHECK(std::get<LogStreamed>(*event) == LogStreamed{kAttempt, text.size(), HashOf(text)});
    }
  }
  CHECK(rig.LogText(kAttempt) == text);
}

// Returns the paths of the tree that was stored, in order; none: nothing was.
std::vector<std::string> Kept(UploadRig& rig, const ArtifactsCommitted& event) {
  std::vector<std::string> paths;
  if (event.tree.IsZero()) return paths;
  CHECK(CommitTree(*rig.chunks, event.tree).value().missing.empty());
  const Tree tree = LoadTree(*rig.chunks, event.tree).value();
  for (const TreeEntry& entry : tree.entries) paths.push_back(entry.path);
  return paths;
}

TEST_CASE("uploader: of patterns that match nothing the others' files are kept, and they are named") {
  UploadRig rig;
  { std::ofstream((rig.folder / "ws/model.pt").string()) << "m"; }
  const std::string dir = (rig.folder / "ws").string();
  rig.uploader->Post(Collect{kAttempt, dir, {"*.pt", "report.html"}});
  ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  CHECK(Kept(rig, event) == std::vector<std::string>{"model.pt"});
  CHECK(event.lacking.find("`report.html`") != std::string::npos);
  rig.uploader->Post(Collect{kAttempt, dir, {"no", std::string(300, 'x'), "model.pt/below", "c", "d", "e", "f"}});
  event = rig.NextA<ArtifactsCommitted>();
  CHECK(Kept(rig, event).empty());
  CHECK(event.lacking.find("`no`") != std::string::npos);
  CHECK(event.lacking.find("and 2 more") != std::string::npos);
}

TEST_CASE("uploader: of files that cannot be kept the others are, and each is named with what to do") {
  UploadRig rig;
  const fs::path ws = rig.folder / "ws";
  { std::ofstream((ws / "model.pt").string()) << "m"; }
  fs::create_symlink("/etc/passwd", ws / "absolute");
  fs::create_symlink("../../outside", ws / "leaves");
  fs::create_symlink("model.pt", ws / "stays");
  fs::create_symlink("nothing", ws / "dangles");
  REQUIRE(::mkfifo((ws / "fifo").c_str(), 0600) == 0);
  FileHandle at(::open(ws.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 230; ++i) {
    REQUIRE(::mkdirat(at.Get(), "deep", 0700) == 0);
    at = FileHandle(::openat(at.Get(), "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  rig.uploader->Post(Collect{kAttempt, ws.string(), {"**"}});
  const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  const std::vector<std::string> kept = Kept(rig, event);
  for (const char* path : {"model.pt", "stays", "dangles"})
    CHECK_MESSAGE(std::find(kept.begin(), kept.end(), path) != kept.end(), path);
  CHECK(kept.size() == 4);  // The fourth is the deepest folder that fits.
  for (const char* word : {"\"absolute\"", "\"leaves\"", "nested over 200 deep", "relative"})
    CHECK_MESSAGE(event.lacking.find(word) != std::string::npos, word);
  CHECK(event.note.find("\"fifo\"") != std::string::npos);
}

TEST_CASE("uploader: a link among artifacts is kept with what it points to, however the pattern goes through it") {
  struct Case {
    std::vector<std::string> patterns;
    std::vector<std::string> kept;
    std::string lacking = "";
    std::string note = "";
  };
  const std::vector<std::string> whole = {"latest", "run-3/log", "run-3/m.pt"};
  for (const Case& c : std::vector<Case>{
           {{"latest/"}, whole},
           {{"latest"}, whole},
           {{"./latest/"}, whole},
           {{"lat*"}, whole},
           {{"latest/**"}, whole},
           {{"latest/m.pt"}, {"latest", "run-3/m.pt"}},
           {{"latest/*.pt"}, {"latest", "run-3/m.pt"}},
           {{"latest", "!run-3/log"}, {"latest", "run-3/m.pt"}},
           {{"latest/**", "!latest/log"}, {"latest", "run-3/m.pt"}},
           {{"latest", "!run-3"}, {"latest"}, "", "\"latest\""},
           {{"best.pt"}, {"best.pt", "run-3/m.pt"}},
           {{"twice/m.pt"}, {"latest", "run-3/m.pt", "twice"}},
           {{"twice"}, {"latest", "run-3/log", "run-3/m.pt", "twice"}},
           {{"in/up/m.pt"}, {"in/up", "run-3/m.pt"}},
           {{"latest/no.pt"}, {"latest"}, "`latest/no.pt` (\"latest\" is a link to \"run-3\")", "\"latest\""},
           {{"away/m.pt"}, {}, "out of the workspace"},
           {{"out/m.pt"}, {}, "out of the workspace"},
           {{"lost/m.pt"}, {}, "where there is nothing"},
           {{"lost"}, {"lost"}, "", "\"lost\""},
           {{"round"}, {"round"}, "", "\"round\""},
           {{"round/x"}, {}, "`round/x`"},
           {{"here"}, {"here"}}}) {
    UploadRig rig;
    const fs::path ws = rig.folder / "ws";
    fs::create_directories(ws / "run-3");
    fs::create_directories(ws / "in");
    for (const char* name : {"run-3/m.pt", "run-3/log", "other"}) std::ofstream((ws / name).string()) << name;
    for (const auto& [link, target] : std::vector<std::pair<std::string, std::string>>{{"latest", "run-3"},
                                                                                       {"best.pt", "./run-3/m.pt"},
                                                                                       {"twice", "latest"},
                                                                                       {"in/up", "../run-3/"},
                                                                                       {"away", "/srv/run-3"},
                                                                                       {"out", "../run-3"},
                                                                                       {"lost", "run-9"},
                                                                                       {"round", "round"},
                                                                                       {"here", "."}})
      fs::create_symlink(target, ws / link);
    rig.uploader->Post(Collect{kAttempt, ws.string(), c.patterns});
    const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
    INFO(c.patterns[0], ": ", event.lacking, " / ", event.note);
    CHECK(Kept(rig, event) == c.kept);
    CHECK(event.lacking.empty() == c.lacking.empty());
    CHECK(event.lacking.find(c.lacking) != std::string::npos);
    CHECK(event.note.empty() == c.note.empty());
    CHECK(event.note.find(c.note) != std::string::npos);
  }
}

TEST_CASE("uploader: a pattern that matches no regular file is told what it matches") {
  UploadRig rig;
  const fs::path ws = rig.folder / "ws";
  REQUIRE(::mkfifo((ws / "queue").c_str(), 0600) == 0);
  const FileHandle socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{AF_UNIX, {}};
  const std::string path = (ws / "s.sock").string();
  REQUIRE(path.size() < sizeof(address.sun_path));
  std::copy(path.begin(), path.end(), address.sun_path);
  REQUIRE(::bind(socket.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  for (const auto& [pattern, words] :
       std::vector<std::pair<std::string, std::string>>{{"queue", "`queue` matches \"queue\", a pipe (FIFO)"},
                                                        {"./queue", "a pipe (FIFO)"},
                                                        {"q*", "`q*` matches \"queue\""},
                                                        {"s.sock", "\"s.sock\", a socket"},
                                                        {"*.sock", "a socket"}}) {
    rig.uploader->Post(Collect{kAttempt, ws.string(), {pattern}});
    const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
    CHECK(Kept(rig, event).empty());
    CHECK_MESSAGE(event.lacking.find(words) != std::string::npos, event.lacking);
    CHECK(event.lacking.find("no regular file") != std::string::npos);
    CHECK(event.lacking.find("nothing in the workspace") == std::string::npos);
  }
}

TEST_CASE("uploader: a workspace that is gone is no reason to run the job again") {
  UploadRig rig;
  fs::remove_all(rig.folder / "ws");
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}});
  const auto failed = rig.NextA<ArtifactsFailed>();
  CHECK(failed.permanent);
  CHECK(failed.message.find("workspace") != std::string::npos);
}

TEST_CASE("uploader: a large sparse file costs neither disk nor much time, and is a sparse file again") {
  UploadRig rig;
  const fs::path ws = rig.folder / "ws";
  constexpr std::uint64_t kBytes = 4ull << 30;
  {
    const FileHandle file(::open((ws / "disk.img").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(file.Get(), kBytes) == 0);
    REQUIRE(::pwrite(file.Get(), "begin", 5, 0) == 5);
    REQUIRE(::pwrite(file.Get(), "middle", 6, kBytes / 2 + 12345) == 6);
  }
  rig.uploader->Post(Collect{kAttempt, ws.string(), {"disk.img"}});
  const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  const Tree tree = LoadTree(*rig.chunks, event.tree).value();
  CHECK(tree.UniqueChunks().size() < 8);
  TempFolder to;
  REQUIRE(MaterialiseTree(tree, to.Fd(), *rig.chunks));
  struct stat status {};
  REQUIRE(::stat((to / "disk.img").c_str(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_size) == kBytes);
  CHECK(status.st_blocks * 512 < 1 << 20);
  const FileHandle file(::open((to / "disk.img").c_str(), O_RDONLY | O_CLOEXEC));
  char text[6] = {};
  REQUIRE(::pread(file.Get(), text, 6, kBytes / 2 + 12345) == 6);
  CHECK(std::string_view(text, 6) == "middle");
}

TEST_CASE("uploader: chunks that the controller lost are sent again") {
  UploadRig rig;
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(2'000'000); }
  const Collect collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}};
  rig.uploader->Post(collect);
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  const Tree tree = LoadTree(*rig.chunks, name).value();
  REQUIRE(fs::remove(rig.chunks->PathOf(tree.entries[0].chunks[1].hash)));
  rig.uploader->Post(collect);
  CHECK(rig.NextA<ArtifactsCommitted>().tree == name);
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
}

TEST_CASE("uploader: artifacts arrive though the controller is killed while they travel") {
  UploadRig rig;
  rig.Stop();
  for (int i = 0; i < 20; ++i)
    std::ofstream((rig.folder / ("ws/part" + std::to_string(i))).string()) << SomeText(1'000'000, i + 1);
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"part*"}});
  rig.Start();
  Poller().Wait(std::chrono::milliseconds(30));
  rig.Stop();
  rig.Start();
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
}

}  // namespace
}  // namespace furrow::test
