// What every codec of Cap'n Proto messages shares: building a frame in reused memory, opening one
// safely, and the checks of single values. Only *codec*.cpp files include this.
//
// Readers of values throw Malformed where a value breaks a cap or a range; OpenFrame turns that and
// kj's exceptions into an Error, so that nothing leaves the codec but a Result.
#pragma once

#include <capnp/message.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/ids.h"

namespace furrow::codec {

// ---- frames ------------------------------------------------------------------------------------------------

// A message under construction, in memory that its thread reuses. One at a time per thread.
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

  // Data for an `adopt…` of this message that refers to `bytes` without copying them. They must stay as
  // they are until Finish, which copies them once, into the frame. For at most one, large, field.
  capnp::Orphan<capnp::Data> Refer(std::string_view bytes);

  // The frame: Cap'n Proto's stream form, a table of segment sizes and the segments.
  std::string Finish();

 private:
  capnp::MallocMessageBuilder message_;
  std::string_view external_;
};

// Below this, copying bytes into the message is cheaper than a segment of their own.
inline constexpr std::size_t kReferFrom = 4096;

// Sets the Data field behind `set` and `adopt` to `bytes`, by reference where that pays.
#define FURROW_SET_BYTES(frame, builder, Field, bytes)      \
  do {                                                      \
    if ((bytes).size() >= ::furrow::codec::kReferFrom)      \
      (builder).adopt##Field((frame).Refer(bytes));         \
    else                                                    \
      (builder).set##Field(::furrow::codec::DataOf(bytes)); \
  } while (0)

// A message that breaks the schema's rules; `words` says which field and how.
struct Malformed {
  std::string words;
};

using ReadFrame = void (*)(capnp::MessageReader& message, void* context);
Status OpenFrameWith(std::span<const std::uint8_t> frame, std::size_t cap, const char* what, ReadFrame read,
                     void* context);

// Opens a frame of at most `cap` bytes and calls `read` with the message. kInvalid: `what` ("agent message")
// with the reason behind it; whatever `read` built is to be dropped.
template <class Read>
Status OpenFrame(std::span<const std::uint8_t> frame, std::size_t cap, const char* what, Read read) {
  return OpenFrameWith(
      frame, cap, what, [](capnp::MessageReader& message, void* context) { (*static_cast<Read*>(context))(message); },
      &read);
}

[[noreturn]] void ThrowNewer();  // Malformed: an unknown union member

// ---- texts and bytes ---------------------------------------------------------------------------------------

inline constexpr std::size_t kNameBytes = 1024;          // names of jobs, agents, devices, metrics, refs …
inline constexpr std::size_t kPathBytes = 4096;          // paths and addresses
inline constexpr std::size_t kSpecTextBytes = 8u << 20;  // one script, argument or value of a pipeline
inline constexpr std::size_t kWordsBytes = 4096;         // a sentence for a person
inline constexpr std::size_t kManyWordsBytes = 64u << 10;

inline capnp::Data::Reader DataOf(std::string_view bytes) {
  return {reinterpret_cast<const capnp::byte*>(bytes.data()), bytes.size()};
}
inline capnp::Text::Reader TextOf(const std::string& text) {
  return {text.c_str(), text.size()};
}

// Something a program goes by: valid UTF-8 without NUL, at most `max` bytes, else Malformed.
std::string ReadText(capnp::Text::Reader text, std::size_t max, const char* field);
// Something for a person: at most `max` bytes, else Malformed; what is not UTF-8 is replaced by U+FFFD.
std::string ReadWords(capnp::Text::Reader text, std::size_t max, const char* field);
// The longest start of `words` that fits `max` bytes and does not cut a character.
std::string_view ClipWords(std::string_view words, std::size_t max);
std::string ReadBytes(capnp::Data::Reader data, std::size_t max, const char* field);

// Sets a Text to words of at most `max` bytes; a longer one is cut, since the reader would refuse it.
template <class Set>
void WriteWords(const std::string& words, std::size_t max, Set set) {
  if (words.empty()) return;
  if (words.size() <= max) return set(TextOf(words));
  const std::string clipped(ClipWords(words, max));
  set(TextOf(clipped));
}
// Sets a Text; an empty one stays absent.
template <class Set>
void WriteText(const std::string& text, Set set) {
  if (!text.empty()) set(TextOf(text));
}

// ---- ids -----------------------------------------------------------------------------------------------------

Hash ReadHash(capnp::Data::Reader data, const char* field);  // absent: zero
std::vector<Hash> ReadHashes(capnp::Data::Reader data, std::size_t max, const char* field);
template <class Set>
void WriteHash(const Hash& hash, Set set) {
  if (!hash.IsZero()) set(capnp::Data::Reader(hash.bytes.data(), hash.bytes.size()));
}
template <class Set>
void WriteHashes(const std::vector<Hash>& hashes, Set set) {
  static_assert(sizeof(Hash) == 32);
  if (!hashes.empty()) set(capnp::Data::Reader(hashes.front().bytes.data(), hashes.size() * sizeof(Hash)));
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

// ---- enums, numbers, lists -----------------------------------------------------------------------------------

[[noreturn]] void ThrowRange(const char* field, std::uint64_t value, std::uint64_t max);
[[noreturn]] void ThrowCount(const char* field, std::size_t count, std::size_t max);

// An enum whose wire form has the same numbers, up to `last`.
template <class E, class W>
E ReadEnum(W wire, E last, const char* field) {
  const auto value = static_cast<std::uint16_t>(wire);
  if (value > static_cast<std::uint16_t>(last)) ThrowRange(field, value, static_cast<std::uint16_t>(last));
  return static_cast<E>(value);
}
template <class W, class E>
W WireEnum(E value) {
  return static_cast<W>(static_cast<std::uint16_t>(value));
}

template <class N>
N ReadUpTo(N value, std::uint64_t max, const char* field) {
  if (static_cast<std::uint64_t>(value) > max) ThrowRange(field, static_cast<std::uint64_t>(value), max);
  return value;
}

template <class List>
std::size_t CountOf(List list, std::size_t max, const char* field) {
  if (list.size() > max) ThrowCount(field, list.size(), max);
  return list.size();
}

template <class T, class List, class Read>
std::vector<T> ReadList(List list, std::size_t max, const char* field, Read read) {
  std::vector<T> values;
  values.reserve(CountOf(list, max, field));
  for (auto element : list) values.push_back(read(element));
  return values;
}
// `init(count)` makes the list; not called for an empty one, which stays absent.
template <class T, class Init, class Write>
void WriteList(const std::vector<T>& values, Init init, Write write) {
  if (values.empty()) return;
  auto list = init(static_cast<unsigned>(values.size()));
  for (unsigned i = 0; i < list.size(); ++i) write(list[i], values[i]);
}

std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader list, std::size_t max, std::size_t max_bytes,
                                   const char* field);
template <class Init>
void WriteTexts(const std::vector<std::string>& texts, Init init) {
  if (texts.empty()) return;
  capnp::List<capnp::Text>::Builder list = init(static_cast<unsigned>(texts.size()));
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, TextOf(texts[i]));
}

// Plain numbers, e.g. List(Int32).
template <class T, class Init>
void WriteNumbers(const std::vector<T>& numbers, Init init) {
  if (numbers.empty()) return;
  auto list = init(static_cast<unsigned>(numbers.size()));
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, numbers[i]);
}
template <class T, class List>
std::vector<T> ReadNumbers(List list, std::size_t max, const char* field) {
  return ReadList<T>(list, max, field, [](auto number) { return static_cast<T>(number); });
}

}  // namespace furrow::codec
