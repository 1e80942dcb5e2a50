// Enrolments and keys, for a person and for programs. Pure.
#pragma once

#include <string>

#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

std::string RenderEnrolments(const EnrolmentList& list, const ViewStyle& style);
std::string RenderKeys(const KeyList& list, const ViewStyle& style);

// "open", "used up", "expired", "revoked".
const char* EnrolmentStateName(const EnrolmentView& enrolment, WallTime now);

std::string JsonEnrolment(const EnrolmentView& enrolment, const std::string& line, const std::string& address);
std::string JsonEnrolments(const EnrolmentList& list, WallTime now);
std::string JsonKeys(const KeyList& list);

}  // namespace furrow::cli
