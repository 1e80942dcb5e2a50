#!/usr/bin/env bash
# Proves that trespass.sh finds each kind of trespasser, names file and line, and leaves lawful code alone.
set -euo pipefail
trespass=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/trespass.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

put() {
  mkdir -p "$tree/$(dirname "$1")"
  printf '#pragma once\n%s\n' "$2" >"$tree/$1"
}

# lawful FILE LINE: nothing may be reported.
lawful() {
  put "$1" "$2"
  if ! output=$("$trespass" "$tree"); then
    printf 'wrongly reported: %s: %s\n%s\n' "$1" "$2" "$output"
    failed=1
  fi
  rm "$tree/$1"
}

# trespasser FILE LINE: must be reported, by file and line, and fail the script.
trespasser() {
  put "$1" "$2"
  if output=$("$trespass" "$tree") || [[ $output != *"$1:2:"* ]]; then
    printf 'not reported: %s: %s\n%s\n' "$1" "$2" "$output"
    failed=1
  fi
  rm "$tree/$1"
}

mkdir -p "$tree"/{schemas,common,controller/web,controller/repos,controller/scheduler,agent/torch,agent/devices,tests}

lawful common/transport/socket.cpp '#include <zmq.hpp>'
trespasser controller/reactor/dispatcher.cpp '#include <zmq.hpp>'
trespasser agent/main.cpp '#  include "zmq.h"'
lawful common/wire/checks.cpp '#include "schemas/agent.capnp.h"'
trespasser controller/loop.cpp '#include "schemas/agent_codec.h"'
lawful controller/store/record_codec.cpp '#include "schemas/record_codec.h"'
trespasser controller/reactor.cpp '#include "schemas/agent.capnp.h"'
lawful controller/web/server.cpp '#include <kj/compat/http.h>'
trespasser controller/logs/store.cpp '#include <kj/compat/http.h>'
lawful controller/store/store.cpp '#include <rocksdb/db.h>'
trespasser controller/logs/store.cpp '#include <rocksdb/db.h>'
lawful controller/repos/mirror.cpp '#include <git2.h>'
trespasser agent/inputs/workspace.cpp '#include <git2.h>'
lawful agent/torch/train.cpp '#include <torch/script.h>'
trespasser agent/uploads/uploader.cpp '#include <torch/script.h>'
lawful agent/devices/nvml.cpp '#include "agent/devices/nvml_api.h"'
trespasser agent/reactor.cpp '#include "agent/devices/nvml_api.h"'
lawful common/pipeline/yaml.cpp '#include <yaml-cpp/yaml.h>'
trespasser controller/main.cpp '#include <yaml-cpp/yaml.h>'
trespasser common/codec.cpp '#include <spdlog/spdlog.h>'
trespasser controller/logs/store.h '#include <CLI/CLI.hpp>'
lawful common/base/user_folders.cpp 'const char* home = std::getenv("HOME");'
trespasser controller/cli/source/tree.cpp 'const char* home = std::getenv("HOME");'
trespasser controller/cli/source/tree.cpp 'const fs::path folder = fs::temp_directory_path();'
trespasser controller/cli/cmd/show.cpp 'WriteErr("furrow: " + text);'
lawful controller/main.cpp 'const fs::path path = fs::absolute(file, gone);'
trespasser controller/main.cpp 'const fs::path path = fs::absolute(file);'
lawful controller/main.cpp 'auto t = std::chrono::steady_clock::now();'
trespasser controller/scheduler/plan.cpp 'auto t = std::chrono::steady_clock::now();'
trespasser agent/reactor/jobs.cpp '#include <unistd.h>'
trespasser controller/reactor/reactor.h 'void OnTimer(State& state, Server& server);'
lawful controller/reactor/reactor.h '#include "common/transport/transport.h"  // for PeerId'
lawful controller/state/state.h '// rocksdb/db.h is the business of the store'

exit "$failed"
