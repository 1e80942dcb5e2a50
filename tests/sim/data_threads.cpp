#include "agent/reactor/reactor.h"
#include "common/base/hash.h"
#include "common/base/overloaded.h"
#include "common/wire/metrics.h"
#include "controller/reactor/reactor.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kLinesAtOnce = 1000;  // as MetricsReader::kMaxLinesAtOnce

}  // namespace

// A folder or spool is emptied on behalf of an attempt.
void World::EmptySlot(Node& node, const std::string& path, AttemptRef by) {
  const auto it = node.files.find(path);
  if (it == node.files.end()) return;
  if (it->second != by && node.processes.contains(it->second)) Breach("a running job's slot is emptied: " + path);
  node.outputs.erase(it->second);
  node.files.erase(it);
}

// ---- workspace ----------------------------------------------------------------------------------------------

void World::Prepared(Node& node, const WorkspaceCommand& command) {
  const auto* prepare = std::get_if<Prepare>(&command);
  if (prepare == nullptr) {
    if (const auto* cancel = std::get_if<CancelPrepare>(&command)) node.agent->preparing.erase(cancel->attempt);
    return;
  }
  EmptySlot(node, prepare->dir, prepare->attempt);
  node.files[prepare->dir] = prepare->attempt;
  node.agent->preparing.insert(prepare->attempt);
  At(Between(milliseconds(1), milliseconds(500)), [this, &node, life = node.life, attempt = prepare->attempt] {
    if (!node.agent || node.life != life || node.agent->preparing.erase(attempt) == 0) return;
    AgentTurn(node,
              [=, this](AgentState& state, AgentOutbox& out) { On(state, out, Clock(), furrow::Prepared{attempt}); });
  });
}

// ---- uploader -----------------------------------------------------------------------------------------------

void World::TellUpload(Node& node, Duration delay, UploadEvent event) {
  At(delay, [this, &node, life = node.life, event = std::move(event)] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) { On(state, out, Clock(), event); });
  });
}

void World::Write(std::vector<MetricLine> metrics) {
  metrics_ = std::move(metrics);
  newest_metrics_.clear();
  std::map<std::string, std::size_t> known;
  for (const MetricLine& line : metrics_) {
    for (const Metric& metric : line.values) {
      const auto [it, is_new] = known.emplace(metric.name, newest_metrics_.size());
      if (is_new)
        newest_metrics_.push_back(metric);
      else
        newest_metrics_[it->second].value = metric.value;
    }
  }
}

// Brings the metrics in parts no larger than MetricsReader's.
void World::TellMetrics(Node& node, AttemptRef attempt) {
  MetricsRead read{attempt, 0, {}, ""};
  std::size_t bytes = 0;
  for (const MetricLine& line : metrics_) {
    bytes += WireBytes(line);
    read.lines.push_back(line);
    if (read.lines.size() < kLinesAtOnce && bytes < kMaxMetricsBytes / 2) continue;
    TellUpload(node, Duration{0}, read);
    read = MetricsRead{attempt, read.first + read.lines.size(), {}, ""};
    bytes = 0;
  }
  TellUpload(node, Duration{0}, read);
}

void World::Upload(Node& node, const UploadCommand& command) {
  AgentProcess& process = *node.agent;
  std::visit(
      Overloaded{
          [&](const Follow& follow) {
            process.following.emplace(follow.attempt, false);
            At(Between(milliseconds(1), milliseconds(100)), [this, &node, life = node.life, attempt = follow.attempt] {
              if (!node.agent || node.life != life) return;
              const auto it = node.agent->following.find(attempt);
              if (it == node.agent->following.end() || std::exchange(it->second, true)) return;
              TellMetrics(node, attempt);
            });
          },
          [&](const FinishLog& finish) { FinishLogOf(node, finish); },
          [&](const Collect& collect) {
            if (node.outputs.contains(collect.attempt))
              TellUpload(node, Between(milliseconds(1), seconds(2)),
                         ArtifactsCommitted{collect.attempt, HashOf("tree"), "", ""});
            else
              TellUpload(node, milliseconds(1), ArtifactsCommitted{collect.attempt, {}, "nothing matches `out`", ""});
          },
          [&](const Clear& clear) {
            process.following.erase(clear.attempt);
            process.sealing.erase(clear.attempt);
            EmptySlot(node, clear.workspace, clear.attempt);
            EmptySlot(node, clear.spool, clear.attempt);
            TellUpload(node, Between(milliseconds(1), milliseconds(50)), Cleared{clear.attempt});
          },
      },
      command);
}

void World::FinishLogOf(Node& node, const FinishLog& finish) {
  const auto followed = node.agent->following.find(finish.attempt);
  if (followed == node.agent->following.end()) Breach("a log is finished that is not followed");
  if (!std::exchange(followed->second, true)) TellMetrics(node, finish.attempt);
  if (Happens(0.7)) {
    const std::string bytes(finish.length, 'x');
    TellUpload(node, milliseconds(1), LogInline{finish.attempt, bytes, HashOf(bytes)});
    return;
  }
  node.agent->sealing[finish.attempt] = 5000;
  At(milliseconds(2), [this, &node, attempt = finish.attempt, life = node.life] { Seal(node, attempt, life); });
}

// Says that the log is whole, over the bulk channel, until the controller has it on record.
void World::Seal(Node& node, AttemptRef attempt, std::uint64_t life) {
  if (!node.agent || node.life != life || !node.agent->sealing.contains(attempt)) return;
  if (controller_ && time_ >= node.cut_until && time_ >= node.stopped_until && !Happens(weather_.loss)) {
    On(controller_->state, controller_->out, Clock(),
       BulkLogSealed{attempt, LogRecord{node.agent->sealing[attempt], HashOf("log"), {}}});
    ControllerTurn();
  }
  At(seconds(1), [this, &node, attempt, life] { Seal(node, attempt, life); });
}

// The controller has a seal on record and says so to whoever asked.
void World::TellSealed(AttemptRef attempt) {
  for (auto& one : nodes_) {
    Node& node = *one;
    if (!node.agent || time_ < node.cut_until) continue;
    const auto sealing = node.agent->sealing.find(attempt);
    if (sealing == node.agent->sealing.end()) continue;
    TellUpload(node, milliseconds(1), LogStreamed{attempt, sealing->second, HashOf("log")});
    node.agent->sealing.erase(sealing);
  }
}

}  // namespace furrow::sim
