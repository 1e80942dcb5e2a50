// Runs an uploader against a real bulk server, with what a job writes in a folder of the test's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <variant>

#include <doctest/doctest.h>

#include "agent/uploads/uploader.h"
#include "tests/support/data_farm.h"
#include "tests/support/temp_folder.h"

namespace furrow::test {

inline constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};

struct UploadRig : DataFarm {
  UploadRig() {
    Grant(kAttempt);
    spool = (folder / "spool").string();
    metrics = (folder / "metrics").string();
    std::filesystem::create_directories(folder / "ws");
    StartUploader();
  }
  ~UploadRig() { uploader.reset(); }
  void StartUploader() {
    uploader = Uploader::Start(context, {Options(agent), folder / "state"}, [this](UploadEvent event) {
                 uploaded.Add(std::move(event));
               }).value();
  }
  void Write(const std::string& text) { std::ofstream(spool, std::ios::app) << text; }
  template <class T>
  T NextA() {
    const auto event = uploaded.Next();
    REQUIRE(event);
    const T* wanted = std::get_if<T>(&*event);
    if (wanted == nullptr) {
      if (const auto* failed = std::get_if<ArtifactsFailed>(&*event)) FAIL("failed: " << failed->message);
      FAIL("an event of another kind: " << event->index());
    }
    return *wanted;
  }
  // Waits until the controller has more than `bytes` of the log.
  void AwaitLog(std::uint64_t bytes) {
    Poller pause;
    for (int i = 0; i < 3000; ++i) {
      if (logs && logs->Length(run, kAttempt).value_or(0) > bytes) return;
      pause.Wait(std::chrono::milliseconds(10));
    }
    FAIL("the log did not come");
  }
  void CheckStreamed(const std::string& text) {
    const auto streamed = NextA<LogStreamed>();
    CHECK(streamed == LogStreamed{kAttempt, text.size(), HashOf(text)});
    CHECK(LogText(kAttempt) == text);
  }

  std::string spool, metrics;
  Events<UploadEvent> uploaded;
  std::unique_ptr<Uploader> uploader;
};

}  // namespace furrow::test
