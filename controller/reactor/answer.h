// These functions put answers to clients into the outbox.
#pragma once

#include <string>
#include <utility>

#include "controller/reactor/outbox.h"
#include "schemas/client.h"

namespace furrow {

inline void Answer(Outbox& out, const Asker& asker, ClientReply reply) {
  out.to_clients.push_back({asker, std::move(reply)});
}
inline void Refuse(Outbox& out, const Asker& asker, Errc code, std::string message) {
  Answer(out, asker, Failure{code, std::move(message), "", {}});
}

}  // namespace furrow
