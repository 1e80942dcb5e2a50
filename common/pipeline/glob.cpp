#include <algorithm>
#include <vector>

#include "common/pipeline/pipeline.h"

namespace furrow {

namespace {

enum class Piece : char { kLiteral, kAnyOne, kStar, kDoubleStar, kFolders };
struct Token {
  Piece piece;
  char literal = 0;
};

// `**/` at the start of a part stands for any number of whole folders, none included.
std::vector<Token> Tokens(std::string_view glob) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '?') {
      tokens.push_back({Piece::kAnyOne});
    } else if (glob[i] != '*') {
      tokens.push_back({Piece::kLiteral, glob[i]});
    } else if (i + 1 == glob.size() || glob[i + 1] != '*') {
      tokens.push_back({Piece::kStar});
    } else {
      const bool part_starts = i == 0 || glob[i - 1] == '/';
      while (i + 1 < glob.size() && glob[i + 1] == '*') ++i;
      const bool folders = part_starts && i + 1 < glob.size() && glob[i + 1] == '/';
      if (folders) ++i;
      tokens.push_back({folders ? Piece::kFolders : Piece::kDoubleStar});
    }
  }
  return tokens;
}

}  // namespace

// All ways to match run side by side, so the time is glob × text for every glob.
bool GlobMatch(std::string_view glob, std::string_view text) {
  if (glob.find_first_of("*?") == std::string_view::npos) return glob == text;
  const std::vector<Token> tokens = Tokens(glob);
  // alive[t] says that the tokens before t can match the text so far; inside[t], that a kFolders at t is in a folder's
  // name.
  std::vector<char> alive(tokens.size() + 1, 0), next(tokens.size() + 1, 0);
  std::vector<char> inside(tokens.size(), 0), next_inside(tokens.size(), 0);
  const auto skip_empty = [&](std::vector<char>& states) {
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const Piece piece = tokens[t].piece;
      if (states[t] && piece != Piece::kLiteral && piece != Piece::kAnyOne) states[t + 1] = 1;
    }
  };
  alive[0] = 1;
  skip_empty(alive);
  for (const char c : text) {
    std::fill(next.begin(), next.end(), 0);
    std::fill(next_inside.begin(), next_inside.end(), 0);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      if (tokens[t].piece == Piece::kFolders) {
        if (!alive[t] && !inside[t]) continue;
        (c == '/' ? next[t] : next_inside[t]) = 1;
        continue;
      }
      if (!alive[t]) continue;
      switch (tokens[t].piece) {
        case Piece::kLiteral: next[t + 1] |= c == tokens[t].literal; break;
        case Piece::kAnyOne: next[t + 1] |= c != '/'; break;
        case Piece::kStar: next[t] |= c != '/'; break;
        default: next[t] = 1; break;
      }
    }
    alive.swap(next);
    inside.swap(next_inside);
    skip_empty(alive);
  }
  return alive[tokens.size()] != 0;
}

bool PushStarts(const Pipeline& pipeline, std::string_view branch, const std::vector<std::string>& changed_paths) {
  if (!pipeline.on_push) return false;
  const auto any = [](const std::vector<std::string>& globs, std::string_view text) {
    return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) { return GlobMatch(glob, text); });
  };
  const PushTrigger& push = *pipeline.on_push;
  if (!push.branches.empty() && !any(push.branches, branch)) return false;
  return push.paths.empty() || std::any_of(changed_paths.begin(), changed_paths.end(),
                                           [&](const std::string& path) { return any(push.paths, path); });
}

}  // namespace furrow
