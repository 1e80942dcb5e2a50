// What the controller and its repository worker say to each other over the child's standard input and output:
// one request, one reply, each a list of texts with 4-byte little-endian lengths in front. Both ends are the
// same program, so there are no versions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/error.h"
#include "controller/repos/repos.h"

namespace furrow::repos {

struct WorkerRequest {
  bool list_refs = false;  // else: import
  ImportRequest import;    // of which list_refs uses the repository alone
  std::string mirrors;
  std::string blobs;
  std::vector<std::string> allowed;
};

using Refs = std::map<std::string, std::string>;
using WorkerReply = std::variant<Error, ImportedCommit, Refs>;

// No reply is read beyond this.
inline constexpr std::size_t kMaxReplyBytes = 64u << 20;

std::string Encode(const WorkerRequest& request);
std::string Encode(const WorkerReply& reply);
// kCorrupt: not what Encode makes.
Result<WorkerRequest> DecodeRequest(std::string_view bytes);
Result<WorkerReply> DecodeReply(std::string_view bytes);

}  // namespace furrow::repos
