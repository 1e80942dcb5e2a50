#include "controller/repos/worker_messages.h"

#include <algorithm>
#include <utility>

namespace furrow::repos {
namespace {

class Writer {
 public:
  Writer& Text(std::string_view text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    for (int shift = 0; shift < 32; shift += 8) bytes_.push_back(static_cast<char>(size >> shift));
    bytes_.append(text);
    return *this;
  }
  Writer& Texts(const std::vector<std::string>& texts) {
    Text(std::to_string(texts.size()));
    for (const std::string& text : texts) Text(text);
    return *this;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first missing text every further text is empty and Done returns false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::string Text() {
    std::uint32_t size = 0;
    if (rest_.size() < 4) return Fault();
    for (int i = 0; i < 4; ++i) size |= static_cast<std::uint32_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
    if (rest_.size() - 4 < size) return Fault();
    std::string text(rest_.substr(4, size));
    rest_.remove_prefix(4 + size);
    return text;
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    const std::string count = Text();
    if (count.empty() || count.size() > 8 || !std::ranges::all_of(count, [](char c) { return c >= '0' && c <= '9'; })) {
      Fault();
      return texts;
    }
    for (unsigned long left = std::stoul(count); left > 0 && !faulty_; --left) texts.push_back(Text());
    return texts;
  }
  bool Done() const { return !faulty_ && rest_.empty(); }

 private:
  std::string Fault() {
    faulty_ = true;
    return {};
  }
  std::string_view rest_;
  bool faulty_ = false;
};

constexpr const char* kDamaged = "the words between controller and repository worker are damaged";

}  // namespace

std::string Encode(const WorkerRequest& request) {
  return Writer()
      .Text(request.list_refs ? "refs" : "import")
      .Text(request.import.repository)
      .Text(request.import.ref)
      .Text(request.import.old_commit)
      .Text(request.import.commit)
      .Text(request.mirrors)
      .Text(request.blobs)
      .Texts(request.allowed)
      .Take();
}

Result<WorkerRequest> DecodeRequest(std::string_view bytes) {
  Reader from(bytes);
  WorkerRequest request;
  request.list_refs = from.Text() == "refs";
  request.import = {from.Text(), from.Text(), from.Text(), from.Text()};
  request.mirrors = from.Text();
  request.blobs = from.Text();
  request.allowed = from.Texts();
  if (!from.Done()) return Fail(Errc::kInternal, kDamaged);
  return request;
}

std::string Encode(const WorkerReply& reply) {
  Writer to;
  if (const auto* error = std::get_if<Error>(&reply)) {
    to.Text("error").Text(std::to_string(static_cast<int>(error->code))).Text(error->message);
  } else if (const auto* look = std::get_if<Look>(&reply)) {
    std::vector<std::string> names, commits;
    for (const auto& [name, commit] : look->refs) {
      names.push_back(name);
      commits.push_back(commit);
    }
    to.Text("refs").Texts(names).Texts(commits).Text(look->identity).Text(look->hooked ? "1" : "0");
  } else {
    const auto& imported = std::get<ImportedCommit>(reply);
    to.Text("import").Text(imported.commit).Text(imported.tree.ToHex()).Text(imported.title).Text(imported.author);
    to.Text(imported.pipeline_text).Text(imported.has_pipeline ? "1" : "0");
    to.Texts(imported.changed_paths).Text(imported.all_paths ? "1" : "0").Texts(imported.notes);
    to.Text(imported.hint).Text(imported.identity);
  }
  return to.Take();
}

std::string EncodeProgress() {
  return Writer().Text("progress").Take();
}

bool TakeProgress(std::string_view& bytes) {
  const std::string word = EncodeProgress();
  bool any = false;
  for (; bytes.starts_with(word); bytes.remove_prefix(word.size())) any = true;
  return any;
}

Result<WorkerReply> DecodeReply(std::string_view bytes) {
  Reader from(bytes);
  const std::string kind = from.Text();
  WorkerReply reply;
  if (kind == "error") {
    const std::string code = from.Text();
    Error error{Errc::kInternal, from.Text()};
    if (code.size() == 1 && code[0] >= '0' && code[0] <= '0' + static_cast<int>(Errc::kInternal)) {
      error.code = static_cast<Errc>(code[0] - '0');
    }
    reply = std::move(error);
  } else if (kind == "refs") {
    const std::vector<std::string> names = from.Texts(), commits = from.Texts();
    if (names.size() != commits.size()) return Fail(Errc::kInternal, kDamaged);
    Look look;
    for (std::size_t i = 0; i < names.size(); ++i) look.refs[names[i]] = commits[i];
    look.identity = from.Text();
    look.hooked = from.Text() == "1";
    reply = std::move(look);
  } else if (kind == "import") {
    ImportedCommit imported;
    imported.commit = from.Text();
    const auto tree = Hash::FromHex(from.Text());
    if (!tree) return Fail(Errc::kInternal, kDamaged);
    imported.tree = *tree;
    imported.title = from.Text();
    imported.author = from.Text();
    imported.pipeline_text = from.Text();
    imported.has_pipeline = from.Text() == "1";
    imported.changed_paths = from.Texts();
    imported.all_paths = from.Text() == "1";
    imported.notes = from.Texts();
    imported.hint = from.Text();
    imported.identity = from.Text();
    reply = std::move(imported);
  }
  if (kind.empty() || !from.Done()) return Fail(Errc::kInternal, kDamaged);
  return reply;
}

}  // namespace furrow::repos
