// These pure functions show watched repositories to a person and to programs.
#pragma once

#include <string>

#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

std::string RenderRepositories(const RepositoryList& list, const ViewStyle& style);
std::string JsonRepositories(const RepositoryList& list);

}  // namespace furrow::cli
