#include "common/wire/messages_agent.h"

#include <tuple>

namespace furrow {
namespace {

auto Rest(const Assign& assign) {
  return std::tie(assign.session, assign.attempt, assign.run, assign.run_name, assign.shard, assign.gpu_uuids,
                  assign.commit, assign.branch, assign.trees, assign.metrics, assign.log_quota_bytes);
}

}  // namespace

bool operator==(const Assign& a, const Assign& b) {
  if (Rest(a) != Rest(b)) return false;
  return a.spec == b.spec || (a.spec && b.spec && *a.spec == *b.spec);
}

}  // namespace furrow
