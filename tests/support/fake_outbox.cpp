#include "tests/support/fake_outbox.h"

#include <vector>

namespace furrow::testing {
namespace {

template <class Variant>
int FirstKind(const std::vector<Variant>& effects) {
  return effects.empty() ? -1 : static_cast<int>(effects.front().index());
}

}  // namespace

bool FakeOutbox::empty() {
  DropCompanions([](const RecordChange&) { return true; });
  out_.events.clear();
  return out_.empty();
}

std::vector<EventRecord> FakeOutbox::Events() {
  return std::exchange(out_.events, {});
}

void FakeOutbox::DropCompanions(bool (*unwanted)(const RecordChange&)) {
  const auto accompanies = [](const RecordChange& record) {
    return std::holds_alternative<AttemptRecord>(record) || std::holds_alternative<CountersRecord>(record) ||
           std::holds_alternative<PipelineRecord>(record) || std::holds_alternative<SharedSpec>(record) ||
           std::holds_alternative<SharedText>(record) ||
           (std::holds_alternative<RepositoryRecord>(record) &&
            std::get<RepositoryRecord>(record).last_push.has_value());
  };
  auto& records = out_.records;
  while (!records.empty() && accompanies(records.front()) && unwanted(records.front())) records.erase(records.begin());
}

FakeOutbox::~FakeOutbox() {
  static_cast<void>(empty());
  CHECK_MESSAGE(out_.records.empty(), "unexpected records, the first of kind " << FirstKind(out_.records));
  CHECK_MESSAGE(out_.to_agents.empty(), "unexpected messages to agents: " << out_.to_agents.size());
  CHECK_MESSAGE(out_.to_clients.empty(), "unexpected messages to clients: " << out_.to_clients.size());
  CHECK_MESSAGE(out_.bulk.empty(), "unexpected bulk commands, the first of kind " << FirstKind(out_.bulk));
  CHECK_MESSAGE(out_.empty(), "unexpected effects");
}

HistoryQuery FakeOutbox::Asked() {
  REQUIRE_MESSAGE(!out_.history.empty(), "an expected question to history is missing");
  HistoryQuery query = std::move(out_.history.front());
  out_.history.erase(out_.history.begin());
  return query;
}

std::string FakeOutbox::Warning() {
  REQUIRE_MESSAGE(!out_.warnings.empty(), "an expected line for the log is missing");
  std::string line = std::move(out_.warnings.front());
  out_.warnings.erase(out_.warnings.begin());
  return line;
}

void FakeOutbox::Clear() {
  out_ = {};
}

}  // namespace furrow::testing
