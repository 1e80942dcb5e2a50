// These pure functions show enrolments and keys to a person and to programs.
#pragma once

#include <string>

#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

std::string RenderEnrolments(const EnrolmentList& list, const ViewStyle& style);
std::string RenderKeys(const KeyList& list, const ViewStyle& style);

// Returns "open", "used up", "expired" or "revoked".
const char* EnrolmentStateName(const EnrolmentView& enrolment, WallTime now);

std::string JsonEnrolment(const EnrolmentView& enrolment, const std::string& line, const std::string& address);
std::string JsonEnrolments(const EnrolmentList& list, WallTime now);
std::string JsonKeys(const KeyList& list);

}  // namespace furrow::cli
