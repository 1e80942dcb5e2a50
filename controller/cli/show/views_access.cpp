#include "controller/cli/show/views_access.h"

#include "common/enrol/proof.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {
namespace {

using Align = Table::Align;
using Room = Table::Room;

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text.empty() ? "-" : text;
}

const char* RoleName(KeyRole role) {
  return role == KeyRole::kAgent ? "agent" : "client";
}

Json Time(WallTime time) {
  if (time == WallTime{}) return nullptr;
  return static_cast<std::int64_t>(time);
}

Json JsonOf(const EnrolmentView& enrolment) {
  Json used = Json::array();
  for (const EnrolmentUse& use : enrolment.used)
    used.push_back({{"name", use.name}, {"fingerprint", use.fingerprint}, {"at_ms", Time(use.at)}});
  return {{"id", FormatEnrolmentId(enrolment.id)},
          {"labels", enrolment.labels},
          {"uses", enrolment.uses},
          {"used", used},
          {"made_ms", Time(enrolment.made)},
          {"expires_ms", Time(enrolment.expires)},
          {"revoked_ms", Time(enrolment.revoked)}};
}

}  // namespace

const char* EnrolmentStateName(const EnrolmentView& enrolment, WallTime now) {
  if (enrolment.revoked != WallTime{}) return "revoked";
  if (enrolment.used.size() >= enrolment.uses) return "used up";
  return now >= enrolment.expires ? "expired" : "open";
}

std::string RenderEnrolments(const EnrolmentList& list, const ViewStyle& style) {
  if (list.enrolments.empty()) return "no enrolments; `furrow enrol new` makes one\n";
  Table table({{"ENROLMENT"},
               {"STATE"},
               {"USED", Align::kRight},
               {"MADE", Align::kLeft, Room::kSpare},
               {"EXPIRES", Align::kLeft, Room::kSpare},
               {"LABELS", Align::kLeft, Room::kOwnLine},
               {"AGENTS", Align::kLeft, Room::kOwnLine}});
  for (const EnrolmentView& enrolment : list.enrolments) {
    std::vector<std::string> names;
    for (const EnrolmentUse& use : enrolment.used) names.push_back(use.name);
    const std::string state = EnrolmentStateName(enrolment, style.now);
    table.Add({{FormatEnrolmentId(enrolment.id), Colour::kBold},
               {state, state == "open" ? Colour::kGreen : Colour::kDim},
               {std::to_string(enrolment.used.size()) + "/" + std::to_string(enrolment.uses)},
               {FormatTime(enrolment.made)},
               {FormatTime(enrolment.expires)},
               {Joined(enrolment.labels)},
               {Joined(names)}});
  }
  return table.Render(style.colour, style.width);
}

std::string RenderKeys(const KeyList& list, const ViewStyle& style) {
  Table table({{"ROLE"},
               {"NAME"},
               {"FINGERPRINT"},
               {"SINCE", Align::kLeft, Room::kSpare},
               {"ENROLMENT", Align::kLeft, Room::kSpare},
               {"SEEN", Align::kLeft, Room::kSpare}});
  for (const KeyView& key : list.keys) {
    const std::string seen = key.connected                 ? "connected"
                             : key.last_seen == WallTime{} ? "-"
                                                           : FormatSpan(key.last_seen, WallTime{}, style.now) + " ago";
    table.Add({{RoleName(key.role)},
               {key.name, Colour::kBold},
               {key.fingerprint},
               {FormatTime(key.since)},
               {Raw(key.enrolment) == 0 ? "by hand" : FormatEnrolmentId(key.enrolment)},
               {seen, key.connected ? Colour::kGreen : Colour::kNone}});
  }
  return table.Render(style.colour, style.width);
}

std::string JsonEnrolment(const EnrolmentView& enrolment, const std::string& line, const std::string& address) {
  Json json = JsonOf(enrolment);
  json["address"] = address;
  json["line"] = line;
  return Dump(json);
}

std::string JsonEnrolments(const EnrolmentList& list, WallTime now) {
  Json enrolments = Json::array();
  for (const EnrolmentView& enrolment : list.enrolments) {
    Json json = JsonOf(enrolment);
    json["state"] = EnrolmentStateName(enrolment, now);
    enrolments.push_back(std::move(json));
  }
  return Dump({{"enrolments", enrolments}});
}

std::string JsonKeys(const KeyList& list) {
  Json keys = Json::array();
  for (const KeyView& key : list.keys)
    keys.push_back({{"role", RoleName(key.role)},
                    {"name", key.name},
                    {"fingerprint", key.fingerprint},
                    {"public_key", key.public_key},
                    {"since_ms", Time(key.since)},
                    {"enrolment", Raw(key.enrolment) == 0 ? Json() : Json(FormatEnrolmentId(key.enrolment))},
                    {"connected", key.connected},
                    {"last_seen_ms", Time(key.last_seen)}});
  return Dump({{"keys", keys}});
}

}  // namespace furrow::cli
