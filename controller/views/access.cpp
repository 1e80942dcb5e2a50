#include "controller/views/access.h"

#include "common/enrol/proof.h"

namespace furrow {

EnrolmentView ViewOf(const EnrolmentRecord& enrolment) {
  EnrolmentView view{enrolment.id,   enrolment.labels,  enrolment.uses,   {},
                     enrolment.made, enrolment.expires, enrolment.revoked};
  for (const EnrolmentUseRecord& use : enrolment.used)
    view.used.push_back({use.name, FingerprintOf(use.public_key), use.at});
  return view;
}

KeyView ViewOf(const State& state, const KeyRecord& key) {
  KeyView view{key.role, key.name,  FingerprintOf(key.public_key), key.public_key, key.since, key.enrolment,
               false,    WallTime{}};
  if (key.role == KeyRole::kAgent) {
    if (const auto agent = state.agents.find(key.name); agent != state.agents.end()) {
      view.connected = agent->second.link.session.has_value();
      view.last_seen = agent->second.last_seen;
    }
  } else if (const auto heard = state.access.heard.find(key.name); heard != state.access.heard.end()) {
    view.last_seen = heard->second;
  }
  return view;
}

}  // namespace furrow
