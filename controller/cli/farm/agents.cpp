#include "controller/cli/farm/agents.h"

#include <iterator>
#include <utility>

namespace furrow::cli {
namespace {

constexpr std::uint32_t kPage = 1000;

}  // namespace

Result<AgentList> FetchAgents(FarmClient& farm, AskPatience patience) {
  AgentList all;
  for (bool more = true; more;) {
    const std::string after = all.agents.empty() ? "" : all.agents.back().name;
    FURROW_ASSIGN(AgentList page, farm.Ask<AgentList>(ListAgents{after, kPage}, patience));
    // A controller of before knows no pages and answers with all agents.
    more = page.more && !page.agents.empty();
    std::move(page.agents.begin(), page.agents.end(), std::back_inserter(all.agents));
  }
  return all;
}

}  // namespace furrow::cli
