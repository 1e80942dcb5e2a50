// What every command knows.
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

  ViewStyle Style() const;  // for stdout
  Result<std::unique_ptr<FarmClient>> OpenFarm() const;
  std::string Program() const;  // "furrow", with --state where it was given: for hints
};

// All jobs of a run that the selector names, in as many questions as it takes.
Result<RunDetail> FetchRun(FarmClient& farm, const Selector& what);

}  // namespace furrow::cli
