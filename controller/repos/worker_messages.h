// The controller and its repository worker exchange these messages over the child's standard input and output: one
// request; while an import works, a word of progress each time that it has stored something; one reply. Each is a list
// of texts with 4-byte little-endian lengths in front. Both ends are the same program, so messages have no versions.
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
  bool list_refs = false;  // false: import
  ImportRequest import;    // list_refs uses only the repository.
  std::string mirrors;
  std::string blobs;
  std::vector<std::string> allowed;
};

using Refs = std::map<std::string, std::string>;
struct Look {
  Refs refs;
  std::string identity;  // as in RefsListed
  bool hooked = false;
};
using WorkerReply = std::variant<Error, ImportedCommit, Look>;

// The controller reads no reply beyond this limit.
inline constexpr std::size_t kMaxReplyBytes = 64u << 20;

std::string Encode(const WorkerRequest& request);
std::string Encode(const WorkerReply& reply);
std::string EncodeProgress();
// Removes the words of progress at the front of what the child has sent, and returns whether there were any.
bool TakeProgress(std::string_view& bytes);
// Both functions decode what Encode makes. kInternal: the bytes are something else, which no repository is to blame
// for.
Result<WorkerRequest> DecodeRequest(std::string_view bytes);
Result<WorkerReply> DecodeReply(std::string_view bytes);

}  // namespace furrow::repos
