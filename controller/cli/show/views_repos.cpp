#include "controller/cli/show/views_repos.h"

#include <string_view>

#include "controller/cli/show/json.h"
#include "schemas/client_json.h"

namespace furrow::cli {
namespace {

using Align = Table::Align;
using Room = Table::Room;

std::string Ago(WallTime time, WallTime now) {
  return time == WallTime{} ? "-" : FormatSpan(time, WallTime{}, now) + " ago";
}

std::string ShortRef(const std::string& ref) {
  constexpr std::string_view kHeads = "refs/heads/";
  return ref.starts_with(kHeads) ? ref.substr(kHeads.size()) : ref;
}

}  // namespace

std::string RenderRepositories(const RepositoryList& list, const ViewStyle& style) {
  if (list.repositories.empty())
    return "no repository is watched; `furrow hook install REPO` makes its pushes start runs\n";
  Table table({{"REPOSITORY"},
               {"BRANCHES", Align::kRight, Room::kSpare},
               {"HOOK"},
               {"LOOKED", Align::kLeft, Room::kSpare},
               {"PUSHED", Align::kLeft, Room::kSpare},
               {"LAST PUSH", Align::kLeft, Room::kSpare},
               {"RUN"}});
  for (const RepositoryView& view : list.repositories) {
    const LastPush push = view.last_push.value_or(LastPush{});
    table.Add({{view.repository, Colour::kBold},
               {std::to_string(view.branches)},
               {view.hooked ? "yes" : "no", view.hooked ? Colour::kGreen : Colour::kYellow},
               {Ago(view.looked, style.now), view.problem.empty() ? Colour::kNone : Colour::kRed},
               {Ago(push.at, style.now)},
               {push.ref.empty() ? "-" : ShortRef(push.ref) + " " + push.commit.substr(0, 8)},
               {view.pushes_waiting > 0 ? "waits"
                : push.run.empty()      ? "-"
                                        : push.run}});
  }
  std::string text = table.Render(style.colour, style.width);
  for (const RepositoryView& view : list.repositories) {
    if (!view.problem.empty())
      text += Paint(Plain(view.repository + ": " + view.problem), Colour::kRed, style.colour) + "\n";
    if (view.last_push && !view.last_push->note.empty())
      text += Plain(view.repository + ": the last push: " + view.last_push->note) + "\n";
  }
  return text;
}

std::string JsonRepositories(const RepositoryList& list) {
  return Dump({{"repositories", JsonList(list.repositories, [](const RepositoryView& view) { return ToJson(view); })}});
}

}  // namespace furrow::cli
