// Defines the identities. Each is a type of its own, so that one can never be passed for another.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow {

enum class RunId : std::uint64_t {};        // names a run; counts up from 1 over the farm's whole life
enum class JobId : std::uint64_t {};        // names one shard of one job of one run; counts up from 1
enum class Epoch : std::uint64_t {};        // counts the attempts of a job: 1, 2, 3 …; 0 means never assigned
enum class ProjectId : std::uint64_t {};    // names a project; counts up from 1, the project "default"
enum class PersonId : std::uint64_t {};     // names a person; counts up from 1, the person "default"
enum class PipelineId : std::uint64_t {};   // names a pipeline of a project; counts up from 1
enum class SessionId : std::uint64_t {};    // names one registration of an agent; never reused; 0 means none
enum class EnrolmentId : std::uint64_t {};  // names one line of `furrow enrol new`; random, below 2^32; 0 means none

template <class Id>
constexpr std::uint64_t Raw(Id id) {
  return static_cast<std::uint64_t>(id);
}

// A Uuid holds 128 random bits and names a client's request or an agent's incarnation.
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;

  bool IsZero() const { return high == 0 && low == 0; }
  std::string ToHex() const;  // 32 lower-case hex digits
  static Result<Uuid> FromHex(std::string_view hex);
  static Uuid Random();  // reads the kernel's random generator
};

// A Hash is a SHA-256 digest and names a chunk or a tree by its content.
struct Hash {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const Hash&, const Hash&) = default;

  bool IsZero() const { return *this == Hash{}; }
  std::string ToHex() const;  // 64 lower-case hex digits
  static Result<Hash> FromHex(std::string_view hex);
};

// An AttemptRef names one attempt of a job; every message about a running job carries one.
struct AttemptRef {
  JobId job{};
  Epoch epoch{};
  friend auto operator<=>(const AttemptRef&, const AttemptRef&) = default;
};

// An EventId is the place of an event in the farm's one sequence of events.
struct EventId {
  std::uint64_t timeline = 0;
  std::uint64_t commit = 0;
  std::uint64_t index = 0;  // in the commit, from 0
  friend auto operator<=>(const EventId&, const EventId&) = default;
};

}  // namespace furrow

template <>
struct std::hash<furrow::Hash> {
  std::size_t operator()(const furrow::Hash& digest) const noexcept {
    std::size_t value = 0;  // the digest is uniform, so its first bytes are a good hash value
    for (std::size_t i = 0; i < sizeof(value); ++i) value = value << 8 | digest.bytes[i];
    return value;
  }
};

template <>
struct std::hash<furrow::Uuid> {
  std::size_t operator()(const furrow::Uuid& uuid) const noexcept {
    return static_cast<std::size_t>(uuid.high ^ (uuid.low * 0x9E3779B97F4A7C15ULL));
  }
};

template <>
struct std::hash<furrow::AttemptRef> {
  std::size_t operator()(const furrow::AttemptRef& ref) const noexcept {
    return static_cast<std::size_t>((furrow::Raw(ref.job) * 0x9E3779B97F4A7C15ULL) ^ furrow::Raw(ref.epoch));
  }
};
