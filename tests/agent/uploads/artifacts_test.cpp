#include "agent/uploads/artifacts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
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
