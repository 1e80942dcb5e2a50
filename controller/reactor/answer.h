// These functions put answers to clients into the outbox.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

// When a turn has made so many bytes of answers for a client, its further requests are refused, and its watches wait
// for the next turn.
inline constexpr std::size_t kAnswersATurn = 4u << 20;

// Answers when the records of this turn and of all earlier ones are durable.
inline void Answer(Outbox& out, const Asker& asker, ClientReply reply) {
  out.answer_bytes[asker.name] += WireBytes(reply);
  out.to_clients.push_back({asker, std::move(reply)});
}
// Answers the same way a question that the store can answer, too.
inline void Answer(Outbox& out, const Asker& asker, ClientReply reply, HistoryQuery otherwise) {
  Answer(out, asker, std::move(reply));
  out.to_clients.back().otherwise = std::move(otherwise);
}
// Answers without waiting for the disk: with what was read from it, or rests on no record.
inline void AnswerAtOnce(Outbox& out, const Asker& asker, ClientReply reply) {
  Answer(out, asker, std::move(reply));
  out.to_clients.back().at_once = true;
}
// Returns whether too much waits for the client already.
inline bool IsCrowded(const State& state, const Outbox& out, const Asker& asker) {
  const auto made = out.answer_bytes.find(asker.name);
  return state.crowded.contains(asker.name) || (made != out.answer_bytes.end() && made->second > kAnswersATurn);
}
inline void Refuse(Outbox& out, const Asker& asker, Errc code, std::string message) {
  AnswerAtOnce(out, asker, Failure{code, std::move(message), "", {}});
}

}  // namespace furrow
