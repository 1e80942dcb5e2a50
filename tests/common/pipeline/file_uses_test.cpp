#include "common/pipeline/file_uses.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace furrow;

namespace {

// Sources of a few files; every folder that one lies in is there.
class Files final : public SourceFiles {
 public:
  explicit Files(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  Kind Look(const std::string& path) const override {
    if (files_.contains(path)) return Kind::kFile;
    const auto below = files_.lower_bound(path + "/");
    return below != files_.end() && below->first.starts_with(path + "/") ? Kind::kFolder : Kind::kNone;
  }
  std::string Start(const std::string& path) const override {
    const auto found = files_.find(path);
    return found == files_.end() ? std::string() : found->second;
  }

 private:
  std::map<std::string, std::string> files_;
};

std::string Mistakes(const std::string& jobs, std::map<std::string, std::string> files) {
  const Files sources(std::move(files));
  return FormatDiagnostics("f", ParsePipeline("jobs:\n" + jobs, "n", {}, &sources).diagnostics);
}

std::string Train(const std::string& model, const std::string& out) {
  return "{ train: { model: " + model + ", out: " + out +
         ", data: { format: csv, file: a.csv }, optimizer: { adam: {} } } }";
}
const std::map<std::string, std::string> kData = {{"a.csv", "x,y\n1,2\n"}};
std::map<std::string, std::string> With(const std::string& path, const std::string& text = "") {
  auto files = kData;
  files.emplace(path, text);
  return files;
}

}  // namespace

TEST_CASE("pipeline files: a file that nothing makes is refused at its place, by what the step calls it") {
  const std::string jobs = "  a: { steps: [" + Train("net.pt", "o.pt") + "] }\n";
  CHECK(Mistakes(jobs, kData) ==
        "f:2:34: `model` in `train` of step 1 of job `a` is `net.pt`, which the sources do not have, and no step "
        "before it "
        "and no needed job makes it\n");
  CHECK(Mistakes(jobs, With("net.pt")).empty());
  CHECK(Mistakes(jobs, {{"net.pt", ""}}).find("`file` in `data` in `train` of step 1 of job `a` is `a.csv`, which") !=
        std::string::npos);
  CHECK(Mistakes(jobs, With("net.pt/x")).find("is `net.pt`, a folder; name a file in it") != std::string::npos);
  CHECK(ParsePipeline("jobs:\n" + jobs, "n").ok());
  const std::string npy =
      "  a: { steps: [{ evaluate: { model: m, data: { format: npy, dir: d/., inputs: x.npy, labels: ../../y.npy } } }] "
      "}\n";
  CHECK(Mistakes(npy, {{"m", ""}, {"d/x.npy", ""}}).empty());  // what leaves the sources is not judged
  CHECK(Mistakes(npy, {{"m", ""}, {"x.npy", ""}}).find("is `d/./x.npy`, which the sources do not have") !=
        std::string::npos);
}

TEST_CASE("pipeline files: what may be there is not refused") {
  for (const std::string& jobs : std::vector<std::string>{
           "  a: { steps: [{ run: make net }, " + Train("net.pt", "o.pt") + "] }\n",
           "  a: { steps: [{ exec: [make] }, " + Train("net.pt", "x/o.pt") + "] }\n",
           "  a: { steps: [" + Train("/srv/net.pt", "/srv/o.pt") + "] }\n",
           "  a: { steps: [" + Train("../net.pt", "../x/o.pt") + "] }\n",
           "  p: { steps: [{ run: make }], artifacts: [net.pt] }\n  a: { needs: [p], steps: [" +
               Train("./net.pt", "o") + "] }\n",
           "  p: { steps: [{ run: make }], artifacts: [\"*.pt\"] }\n  a: { needs: [p], steps: [" +
               Train("net.pt", "o") + "] }\n",
           "  p: { steps: [{ run: make }], artifacts: [\"**\"] }\n  a: { needs: [p], steps: [" +
               Train("x/net.pt", "y/o") + "] }\n",
           "  p: { steps: [{ run: make }], artifacts: [out] }\n  a: { needs: [p], steps: [" +
               Train("out/x/net.pt", "out/y/o") + "] }\n",
           "  p: { steps: [{ run: make }], artifacts: [out/x/y] }\n  a: { needs: [p], steps: [" +
               Train("/n", "out/x/o") + "] }\n",
       }) {
    INFO(jobs);
    CHECK(Mistakes(jobs, kData).empty());
  }
  CHECK(Mistakes("  a: { steps: [" + Train("net.pt", "o.pt") + ", " + Train("o.pt", "p.pt") + "] }\n", With("net.pt"))
            .empty());
  CHECK(!Mistakes("  a: { steps: [" + Train("o.pt", "p.pt") + ", " + Train("net.pt", "o.pt") + "] }\n", With("net.pt"))
             .empty());
}

TEST_CASE("pipeline files: who makes the file is what to do") {
  const std::string makes = "  p: { steps: [{ run: make }], artifacts: [net.pt] }\n";
  const std::string trains = "  t: { steps: [{ run: make }, " + Train("n.pt", "net.pt") + "] }\n";
  const std::string uses = "steps: [" + Train("net.pt", "o.pt") + "] }\n";
  CHECK(Mistakes(makes + "  a: { " + uses, kData).find("; job `p` makes it: add it to `needs`\n") != std::string::npos);
  CHECK(Mistakes(trains + "  a: { " + uses, kData).find("; job `t` makes it: add it to `needs`, and the file to the") !=
        std::string::npos);
  CHECK(Mistakes(trains + "  a: { needs: [t], " + uses, kData).find("; job `t` writes it: add it to the `artifacts`") !=
        std::string::npos);
  const std::string typo = "  p: { steps: [{ run: make }], artifacts: [nets.pt] }\n  a: { needs: [p], " + uses;
  CHECK(Mistakes(typo, kData).find("; did you mean `nets.pt`?") != std::string::npos);
}

TEST_CASE("pipeline files: a place to write that is not there is refused") {
  const auto writes = [](const std::string& out) { return "  a: { steps: [" + Train("m.pt", out) + "] }\n"; };
  CHECK(Mistakes(writes("models/o.pt"), With("m.pt"))
            .find("there is no folder `models`; write it elsewhere, or make the "
                  "folder in a step before: `- run: mkdir -p models`") != std::string::npos);
  CHECK(Mistakes(writes("m.pt/o.pt"), With("m.pt")).find("`m.pt` is a file") != std::string::npos);
  auto files = With("m.pt");
  files["models/readme"] = "";
  CHECK(Mistakes(writes("models/o.pt"), files).empty());
  CHECK(Mistakes(writes("models"), files).find("is `models`, a folder") != std::string::npos);
}

TEST_CASE("pipeline files: one thing is said of a place to write, and its cure is right") {
  struct Case {
    const char* out;
    const char* says;  // nullptr: it is a good place
    const char* not_ever = "mkdir";
  };
  auto files = With("m.pt");
  files["models/readme"] = "";
  files["notes"] = "";
  for (const auto& [out, says, not_ever] :
       std::vector<Case>{{"~/o.pt", "only a shell puts a home folder"},
                         {"~user/o.pt", "only a shell"},
                         {"\"~\"", "only a shell"},
                         {"o$X.pt", "copy the file to another name in a `run` step after it", "before it"},
                         {"$X/o.pt", "step after it"},
                         {"\"${X}/a/o.pt\"", "step after it"},
                         {"models/", "a folder; name a file in it, such as"},
                         {"models/.", "a folder; name a file in it, such as"},
                         {"models", "a folder; name a file in it"},
                         {"./models/../models", "a folder"},
                         {"s3://bucket/o.pt", "an address; name a file, and send it there in a `run` step after it"},
                         {"\"file:///tmp/o.pt\"", "an address"},
                         {"a.csv/o.pt", "`a.csv` is a file; name another place"},
                         {"a.csv/x/o.pt", "`a.csv` is a file"},
                         {"m.pt/o.pt", "`m.pt` is a file"},
                         {"notes/o.pt", "`notes` is a file"},
                         {"notes/x/y/o.pt", "`notes` is a file"},
                         {"./a.csv", "which it would replace"},
                         {"models/../a.csv", "which it would replace"},
                         {"new/../a.csv", "which it would replace"},
                         {".//a.csv", "which it would replace"},
                         {"no dir/o.pt", "mkdir -p 'no dir'`", "$"},
                         {"\"it's/o.pt\"", "mkdir -p 'it'\\''s'`", "$"},
                         {"\"-x/o.pt\"", "mkdir -p ./-x`", "$"},
                         {"models/../new/o.pt", "mkdir -p new`", ".."},
                         {"./models/../o.pt", nullptr},
                         {"models/./o.pt", nullptr},
                         {"../o.pt", nullptr},
                         {"a~/o.pt", "mkdir -p 'a~'", "shell"}}) {
    INFO(std::string(out));
    const std::string mistakes = Mistakes("  a: { steps: [" + Train("m.pt", out) + "] }\n", files);
    INFO(mistakes);
    if (says == nullptr) {
      CHECK(mistakes.empty());
      continue;
    }
    CHECK(mistakes.find(says) != std::string::npos);
    CHECK(mistakes.find(not_ever, mistakes.find("is `") + std::string(out).size() + 4) == std::string::npos);
    CHECK(mistakes.find('\n') == mistakes.size() - 1);
  }
}

TEST_CASE("pipeline files: a file to read is found however its path is written, and said once if it cannot be") {
  const auto reads = [](const std::string& file) {
    return Mistakes("  a: { steps: [{ evaluate: { model: m.pt, data: { format: csv, file: \"" + file + "\" } } }] }\n",
                    {{"a.csv", "x,y\n1,2\n"}, {"data/b.csv", "x,y\n1,2\n"}, {"m.pt", ""}});
  };
  for (const char* good : {"a.csv", "./a.csv", "data/../a.csv", "./data//b.csv", "data/./../data/b.csv", "../a.csv"})
    CHECK_MESSAGE(reads(good).empty(), reads(good));
  for (const auto& [file, says] : std::vector<std::pair<std::string, std::string>>{
           {"./data/../x.csv", "which the sources do not have"},
           {"data/../b.csv", "which the sources do not have"},
           {"data/../data", "a folder"},
           {"data/", "a folder"},
           {"a.csv/", "a folder"},
           {"~/a.csv", "only a shell"},
           {"a$X.csv", "step before it"},
           {"https://example.org/a.csv", "fetch the file in a `run` step before it"}}) {
    INFO(file, " ", reads(file));
    CHECK(reads(file).find(says) != std::string::npos);
    CHECK(reads(file).find('\n') == reads(file).size() - 1);
  }
}

TEST_CASE("pipeline files: a csv file's first line of numbers is no header") {
  const auto job = [](const std::string& more) {
    return "  a: { steps: [{ evaluate: { model: /m, data: { format: csv, file: a.csv" + more + " } } }] }\n";
  };
  for (const std::string text : {"1,2\n3,4\n",
                                 "\xef\xbb\xbf"
                                 "1,2\r\n",
                                 "\n \"1\" , -2e3 \n"}) {
    INFO(text);
    CHECK(Mistakes(job(""), {{"a.csv", text}}).find("set `header: false` if it is an example") != std::string::npos);
    CHECK(Mistakes(job(", label: 0"), {{"a.csv", text}}).find("whose first line has numbers") != std::string::npos);
    for (const std::string more : {", header: false", ", header: true", ", label: x"})
      CHECK(Mistakes(job(more), {{"a.csv", text}}).empty());
  }
  for (const std::string text : {"x,y\n1,2\n", "1,y\n", "\x1f\x8b\x08", "", "1\n2\n", "1;2\n"}) {
    CHECK(Mistakes(job(""), {{"a.csv", text}}).empty());
  }
}

TEST_CASE("pipeline files: thousands of jobs without their files take no longer than one can wait") {
  std::string jobs;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "j" + std::to_string(i);
    jobs += "  " + name + ": { artifacts: [\"" + name + "/*\"], steps: [" + Train("none/" + name, "o") + "] }\n";
  }
  const Files sources(kData);
  const ParsedPipeline parsed = ParsePipeline("jobs:\n" + jobs, "n", {}, &sources);
  CHECK(parsed.diagnostics.size() == 1001);
  CHECK(parsed.diagnostics.back().message.find("more mistakes follow") != std::string::npos);
}
