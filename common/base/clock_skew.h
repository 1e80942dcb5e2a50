// How far two machines' clocks may differ before a person is told.
#pragma once

#include <cstdint>
#include <string>

namespace furrow {

// Leases, timeouts and heartbeats go by clocks that nobody can set, so no job is harmed by any difference. But times of
// day of two machines stand side by side in `furrow show` and in logs: from 2 s on, more than a second and the way of a
// message, they appear in the wrong order. Over 60 s enrolment lines expire too early or too late, certificates are
// refused, and builds by file times go wrong.
inline constexpr std::int64_t kSkewWarningMs = 2'000;
inline constexpr std::int64_t kSkewErrorMs = 60'000;

// "3.0 s ahead of", "2 min behind".
std::string SkewWords(std::int64_t ahead_ms);

}  // namespace furrow
