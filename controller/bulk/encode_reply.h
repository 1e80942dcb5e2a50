// This header encodes replies of the bulk endpoint as frames.
#pragma once

#include <string>

#include "schemas/bulk.h"

namespace furrow {

// Encodes a reply and never fails: a reply that breaks a cap, which is a fault of the controller, becomes a BulkError
// that says so.
inline std::string EncodeReply(const BulkReply& reply) {
  if (auto frame = Encode(reply)) return std::move(*frame);
  BulkError error;
  error.message = "the controller made a reply that cannot be sent: " + Encode(reply).error().message;
  return Encode(BulkReply(error)).value();
}

}  // namespace furrow
