#include "agent/uploads/uploader.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "common/chunks/tree.h"
#include "tests/agent/uploads/upload_rig.h"

namespace furrow::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("uploader: the log of a short job goes inline") {
  UploadRig rig;
  rig.Write("hello\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, 6});
  CHECK(rig.NextA<LogInline>() == LogInline{kAttempt, "hello\n", HashOf("hello\n")});
  CHECK(rig.logs->Length(rig.run, kAttempt).value() == 0);
}

TEST_CASE("uploader: a job that printed nothing has an empty log") {
  UploadRig rig;
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, 0});
  CHECK(rig.NextA<LogInline>() == LogInline{kAttempt, "", HashOf("")});
}

TEST_CASE("uploader: reading a small log without a thread") {
  UploadRig rig;
  rig.Write("hello\n");
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, 6).value().bytes == "hello\n");
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, 7).error().code == Errc::kCorrupt);
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, kSmallLogBytes + 1).error().code == Errc::kInvalid);
}

TEST_CASE("uploader: a running job's lines are at the controller before it ends") {
  UploadRig rig;
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.Write("one\n");
  rig.AwaitLog(3);
  rig.Write("two\n");
  rig.AwaitLog(7);
  rig.uploader->Post(FinishLog{kAttempt, 8});
  rig.CheckStreamed("one\ntwo\n");
}

TEST_CASE("uploader: a log of many frames") {
  UploadRig rig;
  const std::string text = SomeText(40'000'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: a log is whole though the controller is killed again and again") {
  UploadRig rig;
  const std::string text = SomeText(30'000'000);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  for (int i = 0; i < 3; ++i) {
    rig.Write(text.substr(i * 10'000'000u, 10'000'000));
    rig.AwaitLog(i * 10'000'000u + 1'000'000);
    rig.Stop();
    rig.Start();
  }
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: a log is whole though the agent is killed in the middle") {
  UploadRig rig;
  const std::string text = SomeText(20'000'000);
  rig.Write(text.substr(0, 15'000'000));
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(2'000'000);
  rig.uploader.reset();
  rig.Write(text.substr(15'000'000));
  rig.StartUploader();
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: after a restart a small log that never travelled goes inline") {
  UploadRig rig;
  rig.Write("hello\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, 6});
  CHECK(rig.NextA<LogInline>().bytes == "hello\n");
}

TEST_CASE("uploader: after a restart a small log that did travel is sealed") {
  UploadRig rig;
  rig.Write("one\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(3);
  rig.uploader.reset();
  rig.Write("two\n");
  rig.StartUploader();
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, 8});
  rig.CheckStreamed("one\ntwo\n");
}

TEST_CASE("uploader: a log that was cut to its quota replaces what was sent of it") {
  UploadRig rig;
  const std::string text = SomeText(3'000'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(text.size() - 1);
  fs::resize_file(rig.spool, 1'000'000);
  rig.Write("furrow: more than its quota\n");
  const std::string cut = text.substr(0, 1'000'000) + "furrow: more than its quota\n";
  rig.uploader->Post(FinishLog{kAttempt, cut.size()});
  rig.CheckStreamed(cut);
}

TEST_CASE("uploader: waits for a controller that is away") {
  UploadRig rig;
  rig.Stop();
  const std::string text = SomeText(100'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  CHECK_FALSE(rig.uploaded.Next(std::chrono::seconds(0)));
  rig.Start();
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: two logs at once are both whole") {
  UploadRig rig;
  const AttemptRef second{JobId{2}, Epoch{1}};
  rig.Grant(second);
  const std::string text = SomeText(12'000'000), other = SomeText(9'000'000, 2);
  rig.Write(text);
  { std::ofstream((rig.folder / "other").string()) << other; }
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(Follow{second, (rig.folder / "other").string(), "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.uploader->Post(FinishLog{second, other.size()});
  rig.NextA<LogStreamed>();
  rig.NextA<LogStreamed>();
  CHECK(rig.LogText(kAttempt) == text);
  CHECK(rig.LogText(second) == other);
}

TEST_CASE("uploader: a cleared slot is as good as new, and nothing more is said about its attempt") {
  for (const std::size_t size : {100'000UL, 5'000'000UL}) {
    CAPTURE(size);
    UploadRig rig;
    const std::string text = SomeText(size);
    rig.Write(text);
    fs::create_directories(rig.folder / "ws/deep/er");
    { std::ofstream((rig.folder / "ws/deep/er/file").string()) << "x"; }
    rig.Stop();
    rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
    rig.uploader->Post(FinishLog{kAttempt, text.size()});
    rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"deep"}});
    rig.uploader->Post(Clear{kAttempt, (rig.folder / "ws").string(), rig.spool, (rig.folder / "none").string()});
    CHECK(rig.NextA<Cleared>().attempt == kAttempt);
    // A second attempt's answer shows that the first one's commands are done.
    rig.uploader->Post(Follow{{JobId{2}, Epoch{1}}, rig.spool, "", 0, false});
    rig.uploader->Post(FinishLog{{JobId{2}, Epoch{1}}, 0});
    CHECK(rig.NextA<LogInline>().attempt.job == JobId{2});
    rig.Start();
    CHECK(fs::is_empty(rig.folder / "ws"));
    CHECK(fs::file_size(rig.spool) == 0);
    CHECK(rig.uploaded.Empty());
  }
}

}  // namespace
}  // namespace furrow::test
