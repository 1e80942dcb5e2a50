// Says how far the clocks of two machines may differ before Furrow warns a person.
#pragma once

#include <cstdint>
#include <string>

namespace furrow {

// Leases, timeouts and heartbeats use clocks that nobody can set, so no difference harms a job. But `furrow show` and
// logs list the times of day of two machines together: from 2 s on, which is more than a second and the latency of a
// message, they appear in the wrong order. Over 60 s enrolment lines expire too early or too late, certificates are
// refused, and builds that compare file times go wrong.
inline constexpr std::int64_t kSkewWarningMs = 2'000;
inline constexpr std::int64_t kSkewErrorMs = 60'000;

// Returns the difference in words: "3.0 s ahead of", "2 min behind".
std::string SkewWords(std::int64_t ahead_ms);

}  // namespace furrow
