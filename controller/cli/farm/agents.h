// Asks for all agents, page after page.
#pragma once

#include "common/base/error.h"
#include "controller/cli/farm/client.h"
#include "schemas/client.h"

namespace furrow::cli {

// Returns every agent, by name. An agent that comes or goes between two pages may be missing or be shown.
Result<AgentList> FetchAgents(FarmClient& farm, AskPatience patience = {});

}  // namespace furrow::cli
