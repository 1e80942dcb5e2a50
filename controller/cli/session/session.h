// A Session holds the settings that every command knows.
#pragma once

#include <memory>
#include <string>

#include "common/base/error.h"
#include "controller/cli/farm/client.h"
#include "controller/cli/show/terminal.h"
#include "controller/cli/show/views.h"

namespace furrow::cli {

struct Session {
  std::string state;  // --state
  bool json = false;  // --json
  Terminal terminal;

  ViewStyle Style() const;  // the style for stdout
  Result<std::unique_ptr<FarmClient>> OpenFarm() const;
  std::string Program() const;  // the program as hints name it: "furrow", with --state where it was given
};

// Returns all jobs of a run that the selector names, in as many requests as needed.
Result<RunDetail> FetchRun(FarmClient& farm, const Selector& what);

}  // namespace furrow::cli
