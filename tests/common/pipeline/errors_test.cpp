// Mistakes in a furrow.yaml: where each is found and what is said.
#include <doctest/doctest.h>

#include <algorithm>

#include "common/pipeline/pipeline.h"

using namespace furrow;

namespace {

struct Bad {
  std::string text;
  std::string expected;  // "line:column: " and a part of the message, for the first mistake
};

std::string Found(std::string_view text) {
  return FormatDiagnostics("", ParsePipeline(text, "n").diagnostics);
}

// The first mistake of each text is the expected one, and there is no other.
void CheckAlone(const std::vector<Bad>& table) {
  for (const Bad& bad : table) {
    const std::string found = Found(bad.text);
    INFO(bad.text, "\n→ ", found);
    const std::size_t split = bad.expected.find(": ") + 2;
    CHECK(found.starts_with(":" + bad.expected.substr(0, split)));
    CHECK(found.find(bad.expected.substr(split)) != std::string::npos);
    CHECK(std::count(found.begin(), found.end(), '\n') == 1);
  }
}

// A job `a` on line 2 that does `x`, with `line` as its third line.
std::string Job(const std::string& line) {
  return "jobs:\n  a:\n    " + line + "\n    steps: [{ run: x }]\n";
}
std::string Steps(const std::string& steps) {
  return "jobs:\n  a:\n    steps: " + steps + "\n";
}
std::string Top(const std::string& line) {
  return line + "\njobs: { a: { steps: [{ run: x }] } }\n";
}

}  // namespace

TEST_CASE("pipeline errors: YAML that cannot be read") {
  CheckAlone({
      {"", "1:1: the file is empty"},
      {"# nothing\n", "1:1: the file is empty"},
      {"~\n", "1:1: the file is empty"},
      {"- a\n", "1:1: the file must be a mapping of keys to values, not a list"},
      {"jobs\n", "1:1: the file must be a mapping of keys to values, not `jobs`"},
      {"jobs:\n\ta: 1\n", "2:1: a tab indents this line"},
      {"jobs:\n  a:\n\t  steps: []\n", "3:1: a tab indents this line"},
      {Steps("\n      - run: x\n\t- run: y"), "5:1: a tab indents this line"},
      {"jobs: [a\nname: b\n", "2:5: a `[` is not closed"},
      {"jobs: {a: b\n", "2:1: a `{` is not closed"},
      {"name: \"x\njobs: y\n", "1:7: the quote that opens here is never closed"},
      {"name: 'x\n\n", "1:7: the quote that opens here is never closed"},
      {"name: a: b\n", "1:8: a `:` may not stand here"},
      {"name: a\n- b\n", "2:1: this does not continue the mapping"},
      {"name: é\nöü: \"ß\" x\n", "2:9: this does not continue the mapping"},
      {"name: *x\n", "1:7: no anchor of this name"},
      {"name: &x [*x]\n", "1:11: this alias stands within its own anchor"},
      {"name: @x\n", "1:7: no value can begin with this character"},
      {"a: 1\n---\nb: 1\n", "2:1: a second YAML document"},
      {"name: \"\xFF\"\n", "1:8: the byte 0xff is not UTF-8"},
      {"é: \xC0\x80\n", "1:4: the byte 0xc0 is not UTF-8"},
      {"é: \xED\xA0\x80\n", "1:4: the byte 0xed is not UTF-8"},
      {std::string("name: a\0b\n", 10), "1:8: the control character 0x00"},
      {"name: a\rjobs: b\n", "1:8: the control character 0x0d"},
      {Top("name: n\nname: m"), "2:1: duplicate key `name`; it stands on line 1 already"},
      {Top("? [a, b]\n: c"), "1:3: a key must be a word"},
      {Top("name: !secret n"), "1:7: the YAML tag `!secret` has no meaning here"},
      {"jobs:\n  a: &a { steps: [{ run: x }] }\n  b:\n    <<: *a\n    steps: [{ run: x }]\n", "4:5: merge keys"},
      {Steps("[{ run: \"a\\0b\" }]"), "3:20: an escape in this text"},
  });
}

TEST_CASE("pipeline errors: a rule that begins with > must be quoted") {
  CHECK(Found("jobs:\n  a:\n    needs: [b]\n    steps:\n      - check:\n          accuracy: >= 0.8\n") ==
        ":6:22: a value that begins with `>` or `|` must be quoted\n");
}

TEST_CASE("pipeline errors: at the top") {
  CheckAlone({
      {"name: n\n", "1:1: the file needs `jobs`"},
      {"jobs:\n", "1:1: `jobs` in the file has no value"},
      {"jobs: {}\n", "1:7: `jobs` must be a mapping with at least one job"},
      {"jobs: [a]\n", "1:7: `jobs` must be a mapping with at least one job"},
      {"jbos: {}\n", "1:1: unknown key `jbos` in the file; did you mean `jobs`?"},
      {Top("name: a b"), "1:7: `name` in the file must be 1 to 64 letters"},
      {Top("name: " + std::string(65, 'a')), "1:7: `name` in the file must be 1 to 64 letters"},
      {Top("name: [a]"), "1:7: `name` in the file must be a text, not a list"},
      {Top("needs: [a]"), "1:1: unknown key `needs` in the file; it belongs in a job"},
      {Top("variables: {}"), "1:1: unknown key `variables` in the file; here it is called `env`"},
      {Top("xyzzy: {}"), "1:1: unknown key `xyzzy` in the file; it may have `name`, `on`, `env` or `jobs`"},
      {Top("\"\\x1b[31m\": 1"), "1:1: unknown key `\\x1b[31m` in the file"},
      {Top("on: push"), "1:5: `on` must be a mapping such as { push: { branches: [main] } }, not `push`"},
      {Top("on: { push: }"), "1:7: `push` in `on` has no value"},
      {Top("on: { push: { branch: [a] } }"), "1:15: unknown key `branch` in `on: push`; did you mean `branches`?"},
      {Top("on: { push: { branches: main } }"), "1:25: `branches` in `on: push` must be a list such as [main"},
      {Top("on: { push: { paths: [] } }"), "1:22: `paths` in `on: push` is empty"},
      {Top("on: { schedule: \"0 3 * * *\" }"), "1:7: `schedule` is known but not yet built"},
      {Top("env: [A=1]"), "1:6: `env` in the file must be a mapping such as { EPOCHS: \"2\" }, not a list"},
      {Top("env: { A-B: 1 }"), "1:8: `A-B` in `env` in the file is no name of a variable"},
      {Top("env: { FURROW_RUN: 1 }"), "1:8: `FURROW_RUN` in `env` in the file is set by Furrow itself"},
      {Top("env: { CUDA_VISIBLE_DEVICES: 0 }"),
       "1:8: `CUDA_VISIBLE_DEVICES` in `env` in the file is set by Furrow itself; ask for GPUs"},
      {Top("env: { HIP_VISIBLE_DEVICES: 0 }"), "1:8: `HIP_VISIBLE_DEVICES` in `env` in the file is set by Furrow"},
      {Top("env: { A: }"), "1:8: `A` in `env` in the file has no value; write \"\""},
      {Top("env: { PATH: \"/x:$PATH\" }"),
       "1:14: `PATH` in `env` in the file is passed on as it is written, and `$PATH` in it "
       "is not replaced; set it in a step instead: `run: export PATH=\"/x:$PATH\"; …`"},
      {Top("env: { A: \"${HOME}/data\" }"),
       "1:11: `A` in `env` in the file is passed on as it is written, and `$HOME` in it is not replaced"},
      {Top("env: { A: \"${PYTHONPATH:-x}\" }"),
       "1:11: `A` in `env` in the file is passed on as it is written, and `$PYTHONPATH` in it is not replaced"},
      {Top("env: { A: \"a$FURROW_RUN\" }"),
       "1:11: `A` in `env` in the file is passed on as it is written, and `$FURROW_RUN` in it is not replaced"},
      {Top("schedule: x"),
       "1:1: unknown key `schedule` in the file; it belongs under `on`, but is not yet built: remove it"},
      {Top("checkpoint: x"), "1:1: unknown key `checkpoint` in the file; it belongs in a job, but is not yet built"},
      {Top("on: { cron: x }"),
       "1:7: unknown key `cron` in `on`; here it is called `schedule`, which is known but not yet "},
      {Top("cron: x"),
       "1:1: unknown key `cron` in the file; it is called `schedule` and belongs under `on`, but is not"},
      {Top("env: { A: [1] }"), "1:11: `A` in `env` in the file must be a text, not a list"},
      {Top("env: { A: " + std::string(140'000, 'x') + " }"), "1:11: `A` in `env` in the file is too long"},
  });
}

TEST_CASE("pipeline errors: in a job") {
  CheckAlone({
      {"jobs:\n  a:\n", "2:3: job `a` is empty"},
      {"jobs:\n  a: make\n", "2:6: job `a` must be a mapping of keys to values, not `make`"},
      {"jobs:\n  a: {}\n", "2:3: job `a` needs `steps`"},
      {"jobs:\n  a b: { steps: [{ run: x }] }\n", "2:3: `a b` is no name for a job"},
      {"jobs:\n  -a: { steps: [{ run: x }] }\n", "2:3: `-a` is no name for a job"},
      {Job("neeeds: [b]"), "3:5: unknown key `neeeds` in job `a`; did you mean `needs`?"},
      {Job("NEEDS: [b]"), "3:5: unknown key `NEEDS` in job `a`; did you mean `needs`?"},
      {Job("script: make"), "3:5: unknown key `script` in job `a`; write `steps:` with `- run: …`"},
      {Job("runs-on: gpu"), "3:5: unknown key `runs-on` in job `a`; here it is called `labels`"},
      {Job("gpus: 1"), "3:5: unknown key `gpus` in job `a`; it belongs under `resources`"},
      {Job("needs: b"), "3:12: `needs` in job `a` must be a list such as [prepare], not `b`"},
      {Job("needs: [[b]]"), "3:13: an item of `needs` in job `a` must be a text, not a list"},
      {Job("needs: [~]"), "3:13: an item of `needs` in job `a` has no value"},
      {Job("timeout: 6"), "3:14: `timeout` in job `a` must be a duration such as 90s, 5m, 6h or 3d, not `6`"},
      {Job("timeout: 6 hours"), "3:14: `timeout` in job `a` must be a duration"},
      {Job("timeout: 0s"), "3:14: `timeout` in job `a` must be above zero"},
      {Job("timeout: 9999d"), "3:14: `timeout` in job `a` may be at most 365d"},
      {Job("timeout: [6h]"), "3:14: `timeout` in job `a` must be one value, not a list"},
      {Job("timeout:"), "3:5: `timeout` in job `a` has no value"},
      {Job("shards: 0"), "3:13: `shards` in job `a` must be a whole number from 1 to 100,000, not `0`"},
      {Job("shards: 100001"), "3:13: `shards` in job `a` must be a whole number from 1 to 100,000"},
      {Job("shards: \"4\""), "3:13: `shards` in job `a` must be a whole number from 1 to 100,000, not `4` in quotes"},
      {Job("shards: 4.0"), "3:13: `shards` in job `a` must be a whole number"},
      {Job("shards: { auto: 5m }"), "3:13: `shards` in job `a` by `auto` is known but not yet built"},
      {Job("allow_failure: yes"), "3:20: `allow_failure` in job `a` must be `true` or `false`, not `yes`; write true"},
      {Job("allow_failure: \"true\""),
       "3:20: `allow_failure` in job `a` must be `true` or `false`, not `true` in quotes; leave out the quotes"},
      {Job("allow_failure: 'false'"),
       "3:20: `allow_failure` in job `a` must be `true` or `false`, not `false` in quotes; leave out the quotes"},
      {Job("allow_failure: False"),
       "3:20: `allow_failure` in job `a` must be `true` or `false`, not `False`; write false"},
      {Job("allow_failure: 1"), "3:20: `allow_failure` in job `a` must be `true` or `false`, not `1`; write true"},
      {Job("allow_failure: maybe"), "3:20: `allow_failure` in job `a` must be `true` or `false`, not `maybe`"},
      {Job("labels: [a b]"), "3:14: `a b` is no label"},
      {Job("artifacts: [/etc/passwd]"),
       "3:17: an artifact of job `a` must be relative to the workspace, not `/etc/passwd`"},
      {Job("artifacts: [a/../b]"), "3:17: an artifact of job `a` may not leave the workspace by `..`: `a/../b`"},
      {Job("artifacts: [./]"), "3:17: an artifact of job `a` must name something in the workspace"},
      {Job("artifacts: out"), "3:16: `artifacts` in job `a` must be a list"},
      {Job("resources: 4"), "3:16: `resources` in job `a` must be a mapping"},
      {Job("resources: { gpu: 1 }"), "3:18: unknown key `gpu` in `resources` in job `a`; here it is called `gpus`"},
      {Job("resources: { gpus: 1.5 }"),
       "3:24: `gpus` in `resources` in job `a` must be whole GPUs, or a share below 1"},
      {Job("resources: { gpus: -1 }"), "3:24: `gpus` in `resources` in job `a` must be a number of GPUs"},
      {Job("resources: { gpus: a100 }"),
       "3:24: `gpus` in `resources` in job `a` must be a number of GPUs from 0 to 1024, such as 1, 0.5 or `a100:2`"},
      {Job("resources: { gpus: \":2\" }"), "3:24: `gpus` in `resources` in job `a` lacks the model"},
      {Job("resources: { gpus: \"a100:0\" }"),
       "3:24: `gpus` in `resources` in job `a` names a model but asks for none"},
      {Job("resources: { cpus: 0 }"), "3:24: `cpus` in `resources` in job `a` must be a number of CPUs"},
      {Job("resources: { cpus: inf }"), "3:24: `cpus` in `resources` in job `a` must be a number of CPUs"},
      {Job("resources: { memory: 8GB }"),
       "3:26: `memory` in `resources` in job `a` must be a size such as 512KiB, 64MiB or 16GiB, not `8GB`"},
      {Job("resources: { memory: 8 }"), "3:26: `memory` in `resources` in job `a` must be a size"},
      {Job("resources: { memory: 0GiB }"), "3:26: `memory` in `resources` in job `a` must be above zero"},
      {Job("resources: { memory: 99999999999TiB }"), "3:26: `memory` in `resources` in job `a` must be below"},
      {Job("resources: { gpu_memory: 8GiB }"),
       "3:30: `gpu_memory` in `resources` in job `a` asks for memory of a GPU but no GPU"},
      {Job("retry: 2"), "3:12: `retry` in job `a` must be a mapping such as { max: 2, on: [agent_lost] }, not `2`"},
      {Job("retry: { max: -1 }"), "3:19: `max` in `retry` in job `a` must be a whole number from 0 to 100, not `-1`"},
      {Job("retry: { on: [agent_lots] }"),
       "3:19: unknown cause `agent_lots` in `on` in `retry` in job `a`; did you mean `agent_lost`?"},
      {Job("retry: { on: [0] }"),
       "3:19: an exit status in `on` in `retry` in job `a` must be a whole number from 1 to 255, not `0`"},
      {Job("retry: { on: [preempted] }"), "3:19: `preempted` is known but not yet built"},
      {Job("retry: { on: [\"CUDA out of memory\"] }"),
       "3:19: `CUDA out of memory` looks like a pattern in the log, which is known but not yet built"},
  });
}

TEST_CASE("pipeline errors: a word of another system is answered with what to write here, wherever it stands") {
  const std::pair<std::string, std::string> cases[] = {
      {Job("label: [a]"), "`labels`"},
      {Job("stage: build"), "there are no stages: a job starts when the jobs in its `needs` have passed"},
      {Top("stages: [a]"), "there are no stages"},
      {Job("uses: a/b"), "write what it does as a step `run: …`"},
      {Steps("[{ uses: a/b@v1 }]"), "write what it does as a step `run: …`"},
      {Steps("[{ run: x, label: a }]"), "it is called `labels` and belongs in a job"},
      {Steps("[{ run: x, working-directory: a }]"), "write `run: cd FOLDER && …`"},
      {Steps("[{ bash: x }]"), "here it is called `run`"},
      {Job("services: [a]"), "there are no services"},
      {Job("depends-on: [a]"), "here it is called `needs`"},
      {Job("Runs-On: a"), "here it is called `labels`"},
      {Job("gpu_count: 1"), "it is called `gpus` and belongs under `resources`"},
      {Job("retries: 2"), "here it is called `retry`"},
      {Job("retry: { max-retries: 2 }"), "here it is called `max`"},
      {Job("strategy: { a: 1 }"), "here it is called `matrix`, which is known but not yet built"},
      {Job("node: a"), "it may be meant as `nodes`, which is known but not yet built: remove it"},
      {Top("on: { push: { tags: [v1] } }"), "pushes of tags start nothing; `branches` names"},
      {Top("on: { push: { branches-ignore: [a] } }"), "exclude with a `!`: `branches: [\"**\", \"!wip\"]`"},
      {Top("on: { push: { branchs: [a] } }"), "did you mean `branches`?"},
      {Top("on: { pull_request: {} }"), "`furrow run` starts one by hand"},
      {Top("true: { push: {} }"), "here it is called `on`"},
      {Top("on:"), "`on` in the file has no value; write `on: { push: {} }` for every push"},
      {Top("on: {}"), "`on` is empty; write `on: { push: {} }` for every push"},
      {Top("on: push"), "not `push`; write `on: { push: {} }` for every push"},
      {Top("on: { push: }"), "`push` in `on` has no value; write `push: {}` for every push"},
      {Top("on: { push: true }"), "write `push: {}` for every push"},
      {Top("on: { push: { paths: } }"), "has no value; write them, such as `paths: [\"train/**\"]`"},
  };
  for (const auto& one : cases) {
    const auto& text = one.first;  // a lambda cannot take a part of a binding
    const auto& words = one.second;
    const std::string found = Found(text);
    INFO(text, "\n→ ", found);
    CHECK(found.find(words) != std::string::npos);
    CHECK(std::count(found.begin(), found.end(), '\n') == 1);
  }
}

TEST_CASE("pipeline errors: a name that can stand for nothing, for it holds what nobody sees, is refused") {
  for (const std::string hidden : {"\u200B", "\u00A0", "\u202E", "\uFEFF"}) {
    const std::string name = "\"a100" + hidden + "\"";
    const std::pair<std::string, std::string> cases[] = {
        {Job("labels: [" + name + "]"), "is no label that an agent can have"},
        {Job("resources: { gpus: \"a100" + hidden + ":1\" }"), "which no model has in its name; remove it"},
        {Steps("[{ run: x }, { check: { " + name + ": \"> 1\" } }]"), "which nobody sees; remove it"},
        {Top("on: { push: { branches: [" + name + "] } }"), "write `a100`"},
        {Job("artifacts: [" + name + "]"), "write `a100`"},
        {Job("needs: [" + name + "]"), "which is no job of this file"}};
    for (const auto& one : cases) {
      const auto& text = one.first;  // a lambda cannot take a part of a binding
      const auto& words = one.second;
      const std::string found = Found(text);
      INFO(text, "\n→ ", found);
      CHECK(found.find(words) != std::string::npos);
      CHECK(std::count(found.begin(), found.end(), '\n') == 1);
    }
  }
  CHECK(Found("jobs:\n  t: { steps: [{ run: x }] }\n  a: { needs: [t], steps: [{ check: { précision: \"> 1\" } }] }\n")
            .empty());
  for (const char* never : {"gpu/a100", "a=b", "grün", "-x"})
    CHECK(Found(Job("labels: [\"" + std::string(never) + "\"]")).find("is no label that an agent can have") !=
          std::string::npos);
}

TEST_CASE("pipeline errors: a number is one to every reader of YAML, and stands without quotes") {
  const auto train = [](const std::string& step) {
    return Steps(
        "[{ train: { model: m, data: { format: csv, file: f, label: 0 }, out: o, epochs: 1, optimizer: { sgd: { lr: "
        "0.1 } }, " +
        step + " } }]");
  };
  const std::string resources = "`resources` in job `a` ", zero = "has a zero before its number, ";
  const std::pair<std::string, std::string> cases[] = {
      {Job("resources: { cpus: \"4\" }"), "`cpus` in " + resources + "must be a number, not `4` in quotes; leave"},
      {Job("resources: { gpus: '1' }"), "`gpus` in " + resources + "must be a number, not `1` in quotes; leave"},
      {Job("resources: { cpus: 04 }"), "`cpus` in " + resources + zero + "`04`, which"},
      {Job("resources: { cpus: 010 }"), "which does not mean the same to all who read it; write `10`"},
      {Job("resources: { cpus: 00.5 }"), "write `0.5`"},
      {Job("resources: { memory: 010GiB }"), "`memory` in " + resources + zero + "`010GiB`, which"},
      {Job("resources: { memory: \"010GiB\" }"), "write `10GiB`"},
      {Job("resources: { gpus: \"a100:02\" }"), "write `a100:2`"},
      {Job("timeout: 010m"), "`timeout` in job `a` " + zero + "`010m`, which"},
      {Job("shards: 04"), "`shards` in job `a` must be a whole number from 1 to 100,000, not `04`; write 4"},
      {Job("shards: \"4\""), "not `4` in quotes; leave out the quotes"},
      {Job("retry: { max: 02 }"), "not `02`; write 2"},
      {Job("retry: { on: [075] }"),
       "an exit status in `on` in `retry` in job `a` must be a whole number from 1 to 255, not `075`; write 75"},
      {Job("retry: { on: [\"75\"] }"), "not `75` in quotes; leave out the quotes"},
      {Steps("[{ run: x }, { check: { a: \"> 010\" } }]"), "the rule for `a` " + zero},
      {train("threads: 02"), "not `02`; write 2"},
      {train("batch: \"32\""), "not `32` in quotes; leave out the quotes"},
      {Steps("[{ train: { model: m, data: { format: csv, file: f, label: 010 }, out: o, epochs: 1, optimizer: { sgd: { "
             "lr: "
             "0.1 } } } }]"),
       "must be the number of a column, or its name in quotes, not `010`; write 10"},
      {Steps("[{ train: { model: m, data: { format: csv, file: f, label: 0 }, out: o, epochs: 1, optimizer: { adam: { "
             "lr: "
             "00.1 } } } }]"),
       "must be a number, not `00.1`; write 0.1"},
      {Steps("[{ train: { model: m, data: { format: csv, file: f, label: 0 }, out: o, epochs: 1, optimizer: { adam: { "
             "lr: 1, "
             "betas: [\"0.9\", 0.9] } } } }]"),
       "an item of `betas`"},
  };
  for (const auto& one : cases) {
    const auto& text = one.first;  // a lambda cannot take a part of a binding
    const auto& words = one.second;
    const std::string found = Found(text);
    INFO(text, "\n→ ", found);
    CHECK(found.find(words) != std::string::npos);
    CHECK(std::count(found.begin(), found.end(), '\n') == 1);
  }
  for (const char* fine :
       {"resources: { cpus: 0.5, gpus: \"a100:2\", memory: \"8GiB\" }", "timeout: '6h'", "shards: 10",
        "resources: { gpus: 0 }", "retry: { max: 0, on: [75] }", "resources: { cpus: +4 }"})
    CHECK_MESSAGE(Found(Job(fine)).empty(), fine);
}

TEST_CASE("pipeline errors: another way to write a duration or a size is answered with the one that counts") {
  const std::pair<const char*, const char*> cases[] = {{"timeout: 1h30m", "90m"},
                                                       {"timeout: 1d12h", "36h"},
                                                       {"timeout: 6 hours", "6h"},
                                                       {"timeout: 90min", "90m"},
                                                       {"timeout: 1.5hr", "90m"},
                                                       {"timeout: 30 Sec", "30s"},
                                                       {"resources: { memory: 8GB }", "8GiB"},
                                                       {"resources: { memory: 16G }", "16GiB"},
                                                       {"resources: { memory: 512mb }", "512MiB"},
                                                       {"resources: { memory: 1Ti }", "1TiB"}};
  for (const auto& one : cases) {
    const auto& line = one.first;  // a lambda cannot take a part of a binding
    const auto& cure = one.second;
    const std::string found = Found(Job(line));
    CAPTURE(found);
    CHECK(found.find("; write `" + std::string(cure) + "`\n") != std::string::npos);
  }
  for (const char* line : {"timeout: soon", "timeout: 6", "timeout: 1h30", "timeout: h", "resources: { memory: 8 }",
                           "resources: { memory: 8PB }", "resources: { memory: -8GB }"})
    CHECK_MESSAGE(Found(Job(line)).find("; write") == std::string::npos, line);
}

TEST_CASE("pipeline errors: each word without machinery is refused, never ignored") {
  for (const std::string word : {"if", "secrets", "matrix", "nodes", "concurrency", "priority", "image", "cache",
                                 "pure", "checkpoint", "reports"}) {
    CheckAlone({{Job(word + ": { a: 1 }"), "3:5: `" + word + "` is known but not yet built; remove it"}});
  }
  for (const std::string word : {"compress", "export", "benchmark"}) {
    CheckAlone({{Steps("[{ " + word + ": { a: 1 } }]"), "3:15: `" + word + "` is known but not yet built; remove it"}});
  }
}

TEST_CASE("pipeline errors: in steps") {
  CheckAlone({
      {Steps("[]"), "3:12: `steps` in job `a` is empty"},
      {Steps("make"), "3:12: `steps` in job `a` must be a list such as [{ run: make }], not `make`"},
      {Steps("[make]"), "3:13: step 1 of job `a` must be a mapping, not a text; write `- run: …`"},
      {Steps("[{ run: x }, [y]]"), "3:25: step 2 of job `a` must be a mapping of keys to values, not a list"},
      {Steps("[~]"), "3:13: an item of `steps` in job `a` has no value"},
      {Steps("[{}]"), "3:13: step 1 of job `a` does nothing; it needs `run`, `exec`, `train`, `evaluate` or `check`"},
      {Steps("[{ name: n }]"), "3:13: step 1 of job `a` does nothing"},
      {Steps("[{ run: x, env: { A: 1 } }]"),
       "3:23: unknown key `env` in step 1 of job `a`; it belongs at the top of the file or in a job"},
      {Steps("[{ run: x, timeout: 5m }]"), "3:23: unknown key `timeout` in step 1 of job `a`; it belongs in a job"},
      {Steps("[{ run: x, checkpoint: c }]"),
       "3:23: unknown key `checkpoint` in step 1 of job `a`; it belongs in a job, but is not yet built: remove it"},
      {Steps("[{ rnu: x }]"), "3:15: unknown key `rnu` in step 1 of job `a`; did you mean `run`?"},
      {Steps("[{ run: x, exec: [y] }]"), "3:13: step 1 of job `a` does several things (`run`, `exec`)"},
      {Steps("[{ run: }]"), "3:15: `run` in step 1 of job `a` has no value"},
      {Steps("[{ run: \"  \" }]"), "3:20: `run` in step 1 of job `a` must be the text of a shell script"},
      {Steps("[{ run: [a] }]"), "3:20: `run` in step 1 of job `a` must be the text of a shell script, not a list"},
      {Steps("[{ run: x" + std::string(140'000, 'x') + " }]"), "3:20: `run` in step 1 of job `a` is too long"},
      {Steps("[{ exec: make }]"),
       "3:21: `exec` in step 1 of job `a` must be a list such as [python3, train.py], not `make`"},
      {Steps("[{ exec: [] }]"), "3:21: `exec` in step 1 of job `a` is empty"},
      {Steps("[{ exec: [\"\", a] }]"),
       "3:22: the program of `exec` in step 1 of job `a` must be a text, not an empty text"},
      {Steps("[{ exec: [a, { b: c }] }]"),
       "3:25: an item of `exec` in step 1 of job `a` must be a text, not a mapping"},
      {Steps("[{ exec: [a, ~] }]"), "3:25: an item of `exec` in step 1 of job `a` has no value"},
      {Steps("[{ check: { a: \"> 1\" } }]"),
       "3:13: step 1 of job `a` checks the metrics of needed jobs, but the job has no `needs`"},
      {Steps("[{ run: x }, { check: {} }]"),
       "3:34: `check` in step 2 of job `a` must be a mapping such as { accuracy: \">= 0.80\" } with a rule"},
      {Steps("[{ run: x }, { check: { a: 0.8 } }]"), "3:39: the rule for `a` must be a comparison with a number"},
      {Steps("[{ run: x }, { check: { a: \"=> 1\" } }]"), "3:39: the rule for `a` must be a comparison with a number"},
      {Steps("[{ run: x }, { check: { a: \"> x\" } }]"), "3:39: the rule for `a` must be a comparison with a number"},
      {Steps("[{ run: x }, { check: { a b: \"> 1\" } }]"), "3:36: `a b` is no metric's name"},
      {Steps("[{ run: x }, { check: { a: [1] } }]"), "3:39: the rule for `a` must be a comparison such as"},
      {Steps("[{ run: x }, { check: { a: \"<= production * 1.02\" } }]"),
       "3:39: the rule for `a` compares with `production`, which is known but not yet built"},
  });
}

TEST_CASE("pipeline errors: needs that do not exist, twice, and in circles") {
  const auto jobs = [](const std::string& a, const std::string& b, const std::string& c) {
    const auto line = [](const std::string& needs) { return "{ needs: [" + needs + "], steps: [{ run: x }] }\n"; };
    return "jobs:\n  alpha: " + line(a) + "  beta:  " + line(b) + "  gamma: " + line(c);
  };
  CheckAlone({
      {jobs("alhpa, beta", "", ""),
       "2:20: job `alpha` needs `alhpa`, which is no job of this file; did you mean `alpha`?"},
      {jobs("other", "", ""), "2:20: job `alpha` needs `other`, which is no job of this file"},
      {jobs("beta, beta", "", ""), "2:26: job `alpha` needs `beta` twice"},
      {jobs("alpha", "", ""), "2:20: these jobs wait for each other: alpha → alpha"},
      {jobs("beta", "gamma", "alpha"), "4:20: these jobs wait for each other: alpha → beta → gamma → alpha; take one"},
      {jobs("beta", "gamma", "beta"), "4:20: these jobs wait for each other: beta → gamma → beta"},
  });
  CHECK(Found(jobs("beta, gamma", "gamma", "")).empty());
}

TEST_CASE("pipeline errors: all shards together have a limit") {
  const std::string two =
      "jobs:\n  a: { shards: 60000, steps: [{ run: x }] }\n  b: { shards: 50000, steps: [{ run: x }] }\n";
  CheckAlone({{two, "3:16: a pipeline has at most 100000 shards in all its jobs"}});
}

TEST_CASE("pipeline errors: every mistake is reported at once, in the file's order") {
  CHECK(Found(R"(nmae: x
jobs:
  a:
    needs: [c]
    matrix: { lr: [1] }
    timeout: soon
    steps:
      - rnu: x
  b:
    shards: none
    shards: 3
)") == R"(:1:1: unknown key `nmae` in the file; did you mean `name`?
:4:13: job `a` needs `c`, which is no job of this file; did you mean `a`?
:5:5: `matrix` is known but not yet built; remove it
:6:14: `timeout` in job `a` must be a duration such as 90s, 5m, 6h or 3d, not `soon`
:8:9: unknown key `rnu` in step 1 of job `a`; did you mean `run`?
:9:3: job `b` needs `steps`, such as `steps: [{ run: make }]`
:10:13: `shards` in job `b` must be a whole number from 1 to 100,000, not `none`
:11:5: duplicate key `shards`; it stands on line 10 already
)");
}

TEST_CASE("pipeline errors: a mistake behind an anchor is said once for each job that has it") {
  CheckAlone({{Job("labels: [&l \"a b\", *l]"), "3:14: `a b` is no label"}});
  CHECK(Found("jobs:\n  a: { env: &e { A: [1] }, steps: [{ run: x }] }\n  b: { env: *e, steps: [{ run: x }] }\n") ==
        ":2:21: `A` in `env` in job `a` must be a text, not a list\n"
        ":2:21: `A` in `env` in job `b` must be a text, not a list\n");
}
