#include "common/wire/codec.h"

#include <capnp/orphan.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "common/base/check.h"

namespace furrow::codec {
namespace {

// The scratch memory holds an Assign or a JobRecord of usual size; a larger message goes on in memory of its own.
constexpr std::size_t kScratchWords = 2048;

// The scratch memory is zero while no builder uses it: MallocMessageBuilder demands zeros and restores them.
thread_local std::array<capnp::word, kScratchWords> scratch;
thread_local bool scratch_in_use = false;

kj::ArrayPtr<capnp::word> TakeScratch() {
  FURROW_CHECK(!scratch_in_use, "two messages under construction on one thread");
  scratch_in_use = true;
  return {scratch.data(), scratch.size()};
}

// At most a few fields of a frame are read more than once; a message that refers to the same bytes again and again is
// an attack.
constexpr std::uint64_t kTraversalFactor = 4;
constexpr std::uint64_t kTraversalFloorWords = 1024;
constexpr int kNesting = 16;

std::string Bounds(const Cap& cap, const std::string& what) {
  if (cap.min == cap.max) return std::to_string(cap.max) + what + " it must be";
  if (cap.min != 0 && cap.max == 0) return "at least " + std::to_string(cap.min) + what + " it must be";
  return (cap.min == 0 ? "at most " : std::to_string(cap.min) + " to ") + std::to_string(cap.max) + what +
         " are allowed";
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
  std::array<std::uint32_t, 64> small_table;  // holds count - 1, then each size in words, padded to whole words
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
      frame.append(external_);  // the segment is rounded up to words, so its end lies beyond the bytes that we may read
      frame.append(size - external_.size(), '\0');
    } else {
      frame.append(begin, size);
    }
  }
  return frame;
}

Status OpenFrameWith(std::string_view frame, std::size_t cap, const char* noun, ReadFrame read, void* context) {
  const auto fail = [&](const std::string& why) { return Fail(Errc::kInvalid, std::string(noun) + ": " + why); };
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
    return fail(malformed.message);
  } catch (const kj::Exception& exception) {
    return fail(std::string("not a well-formed Cap'n Proto message: ") + exception.getDescription().cStr());
  }
  return {};
}

Result<std::string> BuildFrameWith(std::size_t cap, const char* noun, WriteFrame write, void* context) {
  const auto fail = [&](const std::string& why) { return Fail(Errc::kInvalid, std::string(noun) + ": " + why); };
  try {
    FrameBuilder builder;
    write(builder, context);
    std::string frame = builder.Finish();
    if (frame.size() > cap)
      return fail("a frame of " + std::to_string(frame.size()) + " bytes; at most " + std::to_string(cap) +
                  " are allowed");
    return frame;
  } catch (const Malformed& malformed) {
    return fail(malformed.message);
  } catch (const kj::Exception& exception) {
    return fail(std::string("cannot be built: ") + exception.getDescription().cStr());
  }
}

// ---- refusals ----------------------------------------------------------------------------------------------

void ThrowNewer() {
  throw Malformed{"a kind that this build does not know: the sender speaks a newer protocol; upgrade this side"};
}
void ThrowEmpty() {
  throw Malformed{"an empty message"};
}
void ThrowMissing(const char* field) {
  throw Malformed{std::string(field) + " is missing"};
}
void ThrowTwice(const char* field, const std::string& key) {
  throw Malformed{std::string(field) + " names " + key + " twice"};
}
void ThrowRange(const Cap& cap, std::int64_t value) {
  throw Malformed{std::string(cap.field) + " is " + std::to_string(value) + "; " + Bounds(cap, "")};
}
void ThrowRange(const Cap& cap, std::uint64_t value) {
  throw Malformed{std::string(cap.field) + " is " + std::to_string(value) + "; " + Bounds(cap, "")};
}
void ThrowCount(const Cap& cap, std::size_t count) {
  throw Malformed{std::string(cap.field) + " has " + std::to_string(count) + " entries; " + Bounds(cap, "")};
}
void ThrowSize(const Cap& cap, std::size_t size) {
  throw Malformed{std::string(cap.field) + " has " + std::to_string(size) + " bytes; " + Bounds(cap, "")};
}

// ---- texts and bytes ---------------------------------------------------------------------------------------

void CheckText(std::string_view text, const Cap& cap, const char* without) {
  CheckSize(text.size(), cap);
  const auto fail = [&](const std::string& why) { throw Malformed{std::string(cap.field) + why}; };
  if (!IsName(text)) {
    const std::size_t good = ValidUtf8Prefix(text);
    fail(good == text.size() ? " contains a NUL byte" : " is not UTF-8 at byte " + std::to_string(good));
  }
  if (*without == '\0') return;
  if (const std::size_t bad = text.find_first_of(without); bad != text.npos)
    fail(std::string(" may not contain ") + text[bad]);
}

std::string ReadText(capnp::Text::Reader text, const Cap& cap, const char* without) {
  const std::string_view view(text.begin(), text.size());
  CheckText(view, cap, without);
  return std::string(view);
}

std::string ReadMessage(capnp::Text::Reader text, const Cap& cap) {
  const std::string_view view(text.begin(), text.size());
  CheckSize(view.size(), cap);
  return IsName(view) ? std::string(view) : RepairedUtf8(view);
}

std::string ReadBytes(capnp::Data::Reader data, const Cap& cap) {
  CheckSize(data.size(), cap);
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

std::vector<std::string> ReadTexts(capnp::List<capnp::Text>::Reader list, const Cap& cap, std::size_t each) {
  return ReadList<std::string>(list, cap, [&](capnp::Text::Reader text) {
    return ReadText(text, {0, each, cap.field});
  });
}

// ---- ids -----------------------------------------------------------------------------------------------------

Hash ReadHash(capnp::Data::Reader data, const char* field) {
  Hash hash;
  if (data.size() == 0) return hash;
  if (data.size() != hash.bytes.size()) ThrowSize({hash.bytes.size(), hash.bytes.size(), field}, data.size());
  std::memcpy(hash.bytes.data(), data.begin(), hash.bytes.size());
  return hash;
}

std::vector<Hash> ReadHashes(capnp::Data::Reader data, const Cap& cap) {
  if (data.size() % sizeof(Hash) != 0)
    throw Malformed{std::string(cap.field) + " has " + std::to_string(data.size()) + " bytes; hashes have 32 each"};
  const std::size_t count = data.size() / sizeof(Hash);
  CheckCount(count, cap);
  std::vector<Hash> hashes(count);
  if (count > 0) std::memcpy(hashes.data(), data.begin(), data.size());
  return hashes;
}

}  // namespace furrow::codec
