// Decodes UTF-8, and says what of it a terminal may show; no other code does.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace furrow {

// Returns the size in bytes of the well-formed character at the front of `text` (no surrogates, no overlong forms); 0:
// there is none.
std::size_t Utf8CharacterSize(std::string_view text);

// Returns the length of the longest well-formed prefix of `text`.
std::size_t ValidUtf8Prefix(std::string_view text);

// Returns whether all of `text` is UTF-8 without NUL, as a name must be on the wire and on disk.
bool IsName(std::string_view text);

// Returns `text` as a person sees it: U+FFFD replaces NUL and every byte that belongs to no character.
std::string RepairedUtf8(std::string_view text);

// Returns the longest prefix of at most `max` bytes that cuts no character.
std::string_view ClippedUtf8(std::string_view text, std::size_t max);

// Text of others as a terminal may show it, in one line: '?' replaces every byte that belongs to no character and every
// character that acts instead of being seen (control characters, those that reverse the order of what is beside them,
// those without width). Whatever comes from outside passes through one of these two before a person sees it.
std::string Plain(std::string_view text);
// The same, but newlines and tabs stay.
std::string PlainLines(std::string_view text);

// Returns the first character that a reader cannot see or takes for a space: one that Plain would replace, or a blank
// other than U+0020. Empty: there is none.
std::string_view FirstHidden(std::string_view text);

// Returns "U+200B" for a character, and "0xFF" for a byte that belongs to none.
std::string CharacterName(std::string_view character);

// Returns JSON text that means the same and that a terminal may show: what Plain would replace is escaped.
std::string EscapeUnseen(std::string json);

// Counts the characters that begin in `text`.
std::size_t CountCharacters(std::string_view text);

}  // namespace furrow
