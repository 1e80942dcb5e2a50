// UTF-8: the one place that decodes it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace furrow {

// Bytes of the well-formed character at the front of `text` (no surrogates, no overlong forms); 0: there is none.
std::size_t Utf8CharacterSize(std::string_view text);

// The length of the longest prefix of `text` that is well-formed.
std::size_t ValidUtf8Prefix(std::string_view text);

// Whether all of `text` is UTF-8 without NUL: what a name may be, on the wire and on disk.
bool IsName(std::string_view text);

// `text` with U+FFFD in place of every byte that belongs to no character, and of NUL: what a person is shown.
std::string RepairedUtf8(std::string_view text);

// The longest prefix of at most `max` bytes that cuts no character.
std::string_view ClippedUtf8(std::string_view text, std::size_t max);

// How many characters begin in `text`.
std::size_t CountCharacters(std::string_view text);

}  // namespace furrow
