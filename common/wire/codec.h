// Provides what all codecs that schemas/compiler writes need: they build a frame in reused memory, open a frame safely,
// and check single values. Only codecs include this header.
//
// Readers and writers of values throw Malformed where a value breaks a cap or a range; OpenFrame and BuildFrame turn
// Malformed and kj's exceptions into an Error, so that a codec returns only a Result.
#pragma once

#include <capnp/message.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/base/text.h"

namespace furrow::codec {

// ---- frames ------------------------------------------------------------------------------------------------

// Builds a message in memory that its thread reuses. A thread has at most one FrameBuilder at a time.
class FrameBuilder {
 public:
  FrameBuilder();
  ~FrameBuilder();
  FrameBuilder(const FrameBuilder&) = delete;
  FrameBuilder& operator=(const FrameBuilder&) = delete;

  template <class Root>
  typename Root::Builder Init() {
    return message_.initRoot<Root>();
  }

  // Returns Data for an `adopt…` of this message that refers to `bytes` without copying them. The bytes must not change
  // until Finish, which copies them once, into the frame. A message refers to at most one field, a large one.
  capnp::Orphan<capnp::Data> Refer(std::string_view bytes);

  // Returns the frame in Cap'n Proto's stream form: a table of segment sizes, then the segments.
  std::string Finish();

 private:
  capnp::MallocMessageBuilder message_;
  std::string_view external_;
};

// Below this size, copying bytes into the message is cheaper than a segment of their own.
inline constexpr std::size_t kReferFrom = 4096;

// Reports that a message breaks the schema's rules; `message` says which field breaks which rule.
struct Malformed {
  std::string message;
};

using ReadFrame = void (*)(capnp::MessageReader& message, void* context);
Status OpenFrameWith(std::string_view frame, std::size_t cap, const char* noun, ReadFrame read, void* context);
// Opens a frame of at most `cap` bytes and calls `read` with the message. kInvalid: the error's message is `noun`
// ("message of an agent") and the reason; the caller drops whatever `read` built.
template <class Read>
Status OpenFrame(std::string_view frame, std::size_t cap, const char* noun, Read read) {
  return OpenFrameWith(
      frame, cap, noun, [](capnp::MessageReader& message, void* context) { (*static_cast<Read*>(context))(message); },
      &read);
}

using WriteFrame = void (*)(FrameBuilder& frame, void* context);
Result<std::string> BuildFrameWith(std::size_t cap, const char* noun, WriteFrame write, void* context);
// Returns the frame that `write` builds. kInvalid: a field breaks its cap, or the frame is longer than `cap` bytes.
template <class Write>
Result<std::string> BuildFrame(std::size_t cap, const char* noun, Write write) {
  return BuildFrameWith(
      cap, noun, [](FrameBuilder& frame, void* context) { (*static_cast<Write*>(context))(frame); }, &write);
}

[[noreturn]] void ThrowNewer();        // refuses an unknown union member
[[noreturn]] void ThrowEmpty();        // refuses the member that is never sent
void ThrowMissing(const char* field);  // always throws; not [[noreturn]], so that an expression can use it

// ---- caps ----------------------------------------------------------------------------------------------------

// Bounds a field: its bytes, its entries, or the range of its number. For a number, a `max` of 0 means no upper bound.
struct Cap {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  const char* field = "";  // "Assign.trees"
};

[[noreturn]] void ThrowRange(const Cap& cap, std::int64_t value);
[[noreturn]] void ThrowRange(const Cap& cap, std::uint64_t value);
[[noreturn]] void ThrowCount(const Cap& cap, std::size_t count);
[[noreturn]] void ThrowSize(const Cap& cap, std::size_t size);

template <class N>
N InRange(N value, const Cap& cap) {
  if constexpr (std::is_signed_v<N>) {
    if (value < static_cast<std::int64_t>(cap.min) ||
        (cap.max != 0 && value > 0 && static_cast<std::uint64_t>(value) > cap.max))
      ThrowRange(cap, static_cast<std::int64_t>(value));
  } else {
    if (value < cap.min || (cap.max != 0 && value > cap.max)) ThrowRange(cap, static_cast<std::uint64_t>(value));
  }
  return value;
}
inline void CheckCount(std::size_t count, const Cap& cap) {
  if (count < cap.min || count > cap.max) ThrowCount(cap, count);
}
inline void CheckSize(std::size_t size, const Cap& cap) {
  if (size < cap.min || size > cap.max) ThrowSize(cap, size);
}

// ---- texts and bytes ---------------------------------------------------------------------------------------

inline capnp::Data::Reader DataOf(std::string_view bytes) {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}
inline capnp::Text::Reader TextOf(const std::string& text) {
  return {text.c_str(), text.size()};
}

// Throws Malformed unless `text` is a name: UTF-8 without NUL and without a character of `without`, of as many bytes as
// `cap` allows.
void CheckText(std::string_view text, const Cap& cap, const char* without = "");
std::string ReadText(capnp::Text::Reader text, const Cap& cap, const char* without = "");
// Sets an empty text only if `always`; otherwise the field stays absent.
template <class Set>
void WriteText(const std::string& text, const Cap& cap, const char* without, bool always, Set set) {
  CheckText(text, cap, without);
  if (always || !text.empty()) set(TextOf(text));
}

// Reads a text for a person. The writer repairs and cuts such a text, so that no text for a person ever stops a
// message; the reader repairs the text again, and refuses one that is too long.
std::string ReadMessage(capnp::Text::Reader text, const Cap& cap);
template <class Set>
void WriteMessage(const std::string& text, std::size_t max, bool always, Set set) {
  if (text.empty() && !always) return;
  if (text.size() <= max && IsName(text)) return set(TextOf(text));
  const std::string fit(ClippedUtf8(RepairedUtf8(text), max));
  set(TextOf(fit));
}

std::string ReadBytes(capnp::Data::Reader data, const Cap& cap);

// ---- sizes ---------------------------------------------------------------------------------------------------

// These functions return upper bounds of what a field takes outside of its struct, with the landing pad that Cap'n
// Proto puts before an object whose pointer lies in another segment.
inline constexpr std::size_t kWordBytes = 8;
inline std::size_t ObjectBytes(std::size_t size) {
  return kWordBytes + (size + kWordBytes - 1) / kWordBytes * kWordBytes;
}
inline std::size_t TextBytes(std::string_view text) {
  return ObjectBytes(text.size() + 1);  // counts the NUL behind the text
}
inline std::size_t MessageBytes(std::string_view text, std::size_t max) {
  return ObjectBytes((text.size() <= max && IsName(text) ? text.size() : max) + 1);
}

// ---- ids -----------------------------------------------------------------------------------------------------

Hash ReadHash(capnp::Data::Reader data, const char* field);  // absent: zero
std::vector<Hash> ReadHashes(capnp::Data::Reader data, const Cap& cap);
template <class Set>
void WriteHash(const Hash& hash, Set set) {
  if (!hash.IsZero()) set(capnp::Data::Reader(hash.bytes.data(), hash.bytes.size()));
}
template <class Set>
void WriteHashes(const std::vector<Hash>& hashes, const Cap& cap, Set set) {
  static_assert(sizeof(Hash) == 32);
  CheckCount(hashes.size(), cap);
  if (!hashes.empty()) set(capnp::Data::Reader(hashes.front().bytes.data(), hashes.size() * sizeof(Hash)));
}
template <std::size_t N>
std::array<std::uint8_t, N> ReadArray(capnp::Data::Reader data, const char* field) {
  std::array<std::uint8_t, N> array{};
  if (data.size() != N) ThrowSize({N, N, field}, data.size());
  std::copy(data.begin(), data.end(), array.begin());
  return array;
}

template <class Group>
AttemptRef ReadAttempt(Group group) {
  return {JobId{group.getJob()}, Epoch{group.getEpoch()}};
}
template <class Group>
void WriteAttempt(Group group, AttemptRef attempt) {
  group.setJob(Raw(attempt.job));
  group.setEpoch(Raw(attempt.epoch));
}
template <class Group>
Uuid ReadUuid(Group group) {
  return {group.getHigh(), group.getLow()};
}
template <class Group>
void WriteUuid(Group group, const Uuid& uuid) {
  group.setHigh(uuid.high);
  group.setLow(uuid.low);
}

inline std::int64_t MsOf(WallTime time) {
  return static_cast<std::int64_t>(time);
}
// Returns the milliseconds as the wire has them; an unsigned field has no negative ones.
template <class N>
N CountOf(std::chrono::milliseconds duration) {
  return static_cast<N>(duration.count());
}

// ---- enums, lists ----------------------------------------------------------------------------------------------

// Reads an enum whose wire form has the same numbers, up to `last`.
template <class E, class W>
E ReadEnum(W wire, std::uint16_t last, const char* field) {
  const auto value = static_cast<std::uint16_t>(wire);
  if (value > last) ThrowRange({0, last, field}, std::uint64_t{value});
  return static_cast<E>(value);
}
template <class W, class E>
W WireEnum(E value) {
  return static_cast<W>(static_cast<std::uint16_t>(value));
}

template <class T, class List, class Read>
std::vector<T> ReadList(List list, const Cap& cap, Read read) {
  CheckCount(list.size(), cap);
  std::vector<T> values;
  values.reserve(list.size());
  for (auto element : list) values.push_back(read(element));
  return values;
}
// Writes into the list that `init(count)` makes.
template <class T, class Init, class Write>
void WriteList(const std::vector<T>& values, Init init, Write write) {
  auto list = init(static_cast<unsigned>(values.size()));
  for (unsigned i = 0; i < list.size(); ++i) write(list[i], values[i]);
}

std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader list, const Cap& cap, std::size_t each);
template <class Init>
void WriteTexts(const std::vector<std::string>& texts, const Cap& each, Init init) {
  capnp::List<capnp::Text>::Builder list = init(static_cast<unsigned>(texts.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    CheckText(texts[i], each);
    list.set(i, TextOf(texts[i]));
  }
}

// Writes a list of plain numbers, e.g. List(Int32).
template <class T, class Init>
void WriteNumbers(const std::vector<T>& numbers, Init init) {
  auto list = init(static_cast<unsigned>(numbers.size()));
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, numbers[i]);
}

[[noreturn]] void ThrowTwice(const char* field, const std::string& key);
template <class List, class ReadKey, class ReadMapped>
std::map<std::string, std::string> ReadMap(List list, const Cap& cap, ReadKey key, ReadMapped mapped) {
  CheckCount(list.size(), cap);
  std::map<std::string, std::string> map;
  for (auto entry : list) {
    const std::size_t before = map.size();
    const auto at = map.emplace_hint(map.end(), key(entry), mapped(entry));
    if (map.size() == before) ThrowTwice(cap.field, at->first);
  }
  return map;
}

// Reads a union whose member 0 is nothing and whose member 1 is the value.
template <class T, class Union, class Read>
std::optional<T> ReadMaybe(Union from, Read read) {
  switch (static_cast<std::uint16_t>(from.which())) {
    case 0: return std::nullopt;
    case 1: return read(from);
    default: ThrowNewer();
  }
}

}  // namespace furrow::codec
