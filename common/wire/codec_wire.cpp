#include "common/wire/codec_wire.h"

#include <capnp/orphan.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <array>
#include <cstring>

#include "common/base/check.h"

namespace furrow::codec {
namespace {

// Holds an Assign or a JobRecord of usual size; a larger message goes on in memory of its own.
constexpr std::size_t kScratchWords = 2048;

// Always zero while no builder uses it: MallocMessageBuilder demands that and cleans up behind itself.
thread_local std::array<capnp::word, kScratchWords> scratch;
thread_local bool scratch_in_use = false;

kj::ArrayPtr<capnp::word> TakeScratch() {
  FURROW_CHECK(!scratch_in_use, "two messages under construction on one thread");
  scratch_in_use = true;
  return {scratch.data(), scratch.size()};
}

// A frame is read by more than one pass at most in a few fields; a message that refers to the same bytes
// again and again is an attack.
constexpr std::uint64_t kTraversalFactor = 4;
constexpr std::uint64_t kTraversalFloorWords = 1024;
constexpr int kNesting = 16;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Length of the valid UTF-8 character at `at`, 0 if there is none. Table 3-7 of the Unicode standard.
std::size_t CharacterAt(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : static_cast<unsigned char>(0);
  };
  const auto between = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return between(1, 0x80, 0xBF) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return between(1, low, high) && between(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const unsigned low = first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
  return between(1, low, high) && between(2, 0x80, 0xBF) && between(3, 0x80, 0xBF) ? 4 : 0;
}

// Where the first byte stands that is not valid UTF-8; the size if all of it is.
std::size_t FirstInvalid(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    while (at + sizeof(eight) <= text.size()) {  // most text is ASCII
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080ULL) != 0) break;
      at += sizeof(eight);
    }
    if (at == text.size()) break;
    const std::size_t length = CharacterAt(text, at);
    if (length == 0) return at;
    at += length;
  }
  return at;
}

std::string Repaired(std::string_view text) {
  std::string repaired;
  while (!text.empty()) {
    const std::size_t good = FirstInvalid(text);
    repaired += text.substr(0, good);
    if (good == text.size()) break;
    repaired += kReplacement;
    text.remove_prefix(good + 1);
  }
  return repaired;
}

[[noreturn]] void ThrowLong(const char* field, std::size_t size, std::size_t max) {
  throw Malformed{std::string(field) + " has " + std::to_string(size) + " bytes; at most " + std::to_string(max) +
                  " are allowed"};
}

std::string_view ViewOf(capnp::Text::Reader text, std::size_t max, const char* field) {
  if (text.size() > max) ThrowLong(field, text.size(), max);
  return {text.begin(), text.size()};
}

}  // namespace

// ---- frames ------------------------------------------------------------------------------------------------

FrameBuilder::FrameBuilder() : message_(TakeScratch()) {}

FrameBuilder::~FrameBuilder() {
  scratch_in_use = false;
}

capnp::Orphan<capnp::Data> FrameBuilder::Refer(std::string_view bytes) {
  FURROW_CHECK(external_.empty(), "a second referred field in one message");
  FURROW_CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % sizeof(capnp::word) == 0,
               "referred bytes lie at an odd address");
  external_ = bytes;
  return message_.getOrphanage().referenceExternalData(DataOf(bytes));
}

std::string FrameBuilder::Finish() {
  const auto segments = message_.getSegmentsForOutput();
  std::array<std::uint32_t, 64> small_table;  // count - 1, then each size in words, padded to whole words
  std::vector<std::uint32_t> large_table;
  const std::size_t entries = (segments.size() + 2) / 2 * 2;
  std::span<std::uint32_t> table(small_table.data(), std::min(entries, small_table.size()));
  if (entries > small_table.size()) {
    large_table.resize(entries);
    table = large_table;
  }
  table.back() = 0;
  table[0] = static_cast<std::uint32_t>(segments.size() - 1);
  std::size_t total = entries * sizeof(std::uint32_t);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    table[i + 1] = static_cast<std::uint32_t>(segments[i].size());
    total += segments[i].size() * sizeof(capnp::word);
  }

  std::string frame;
  frame.reserve(total);
  frame.append(reinterpret_cast<const char*>(table.data()), entries * sizeof(std::uint32_t));
  for (const auto& segment : segments) {
    const char* begin = reinterpret_cast<const char*>(segment.begin());
    const std::size_t size = segment.size() * sizeof(capnp::word);
    if (!external_.empty() && begin == external_.data()) {
      frame.append(external_);  // its segment is rounded up to words, beyond the bytes that are ours to read
      frame.append(size - external_.size(), '\0');
    } else {
      frame.append(begin, size);
    }
  }
  return frame;
}

Status OpenFrameWith(std::span<const std::uint8_t> frame, std::size_t cap, const char* what, ReadFrame read,
                     void* context) {
  const auto fail = [&](const std::string& why) { return Fail(Errc::kInvalid, std::string(what) + ": " + why); };
  if (frame.size() > cap)
    return fail("a frame of " + std::to_string(frame.size()) + " bytes; at most " + std::to_string(cap) +
                " are allowed");
  if (frame.empty() || frame.size() % sizeof(capnp::word) != 0)
    return fail("cut off: " + std::to_string(frame.size()) + " bytes are not whole words of Cap'n Proto");

  std::vector<std::uint64_t> aligned;
  const void* start = frame.data();
  const std::size_t words = frame.size() / sizeof(capnp::word);
  if (reinterpret_cast<std::uintptr_t>(start) % alignof(capnp::word) != 0) {
    aligned.resize(words);
    std::memcpy(aligned.data(), start, frame.size());
    start = aligned.data();
  }

  capnp::ReaderOptions options;
  options.traversalLimitInWords = kTraversalFactor * words + kTraversalFloorWords;
  options.nestingLimit = kNesting;
  try {
    const kj::ArrayPtr<const capnp::word> array(static_cast<const capnp::word*>(start), words);
    capnp::FlatArrayMessageReader message(array, options);
    if (message.getEnd() != array.end()) return fail("bytes follow the message");
    read(message, context);
  } catch (const Malformed& malformed) {
    return fail(malformed.words);
  } catch (const kj::Exception& exception) {
    return fail(std::string("not a well-formed Cap'n Proto message: ") + exception.getDescription().cStr());
  }
  return {};
}

// ---- refusals ----------------------------------------------------------------------------------------------

void ThrowNewer() {
  throw Malformed{"a kind that this build does not know: the sender speaks a newer protocol; upgrade this side"};
}

void ThrowRange(const char* field, std::uint64_t value, std::uint64_t max) {
  throw Malformed{std::string(field) + " is " + std::to_string(value) + "; at most " + std::to_string(max) +
                  " is known to this build"};
}

void ThrowCount(const char* field, std::size_t count, std::size_t max) {
  throw Malformed{std::string(field) + " has " + std::to_string(count) + " entries; at most " + std::to_string(max) +
                  " are allowed"};
}

// ---- texts and bytes ---------------------------------------------------------------------------------------

std::string ReadText(capnp::Text::Reader text, std::size_t max, const char* field) {
  const std::string_view view = ViewOf(text, max, field);
  if (const std::size_t bad = FirstInvalid(view); bad != view.size())
    throw Malformed{std::string(field) + " is not UTF-8 at byte " + std::to_string(bad)};
  if (view.find('\0') != view.npos) throw Malformed{std::string(field) + " contains a NUL byte"};
  return std::string(view);
}

std::string ReadWords(capnp::Text::Reader text, std::size_t max, const char* field) {
  const std::string_view view = ViewOf(text, max, field);
  return FirstInvalid(view) == view.size() ? std::string(view) : Repaired(view);
}

std::string_view ClipWords(std::string_view words, std::size_t max) {
  if (words.size() <= max) return words;
  std::size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(words[end]) & 0xC0) == 0x80) --end;  // back to a first byte
  return words.substr(0, end);
}

std::string ReadBytes(capnp::Data::Reader data, std::size_t max, const char* field) {
  if (data.size() > max) ThrowLong(field, data.size(), max);
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader list, std::size_t max, std::size_t max_bytes,
                                   const char* field) {
  return ReadList<std::string>(list, max, field,
                               [&](capnp::Text::Reader text) { return ReadText(text, max_bytes, field); });
}

// ---- ids -----------------------------------------------------------------------------------------------------

Hash ReadHash(capnp::Data::Reader data, const char* field) {
  Hash hash;
  if (data.size() == 0) return hash;
  if (data.size() != hash.bytes.size())
    throw Malformed{std::string(field) + " has " + std::to_string(data.size()) + " bytes; a hash has 32"};
  std::memcpy(hash.bytes.data(), data.begin(), hash.bytes.size());
  return hash;
}

std::vector<Hash> ReadHashes(capnp::Data::Reader data, std::size_t max, const char* field) {
  if (data.size() % sizeof(Hash) != 0)
    throw Malformed{std::string(field) + " has " + std::to_string(data.size()) + " bytes; hashes have 32 each"};
  const std::size_t count = data.size() / sizeof(Hash);
  if (count > max) ThrowCount(field, count, max);
  std::vector<Hash> hashes(count);
  if (count > 0) std::memcpy(hashes.data(), data.begin(), data.size());
  return hashes;
}

}  // namespace furrow::codec
