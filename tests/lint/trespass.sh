#!/usr/bin/env bash
# Greps for trespassers: a library used outside the one place that wraps it, a clock read where time must come in as
# `now`. Who may include whom: arrows.py.
#   trespass.sh [ROOT]      ROOT: the project's root, by default the one this script lies in
# Prints FILE:LINE: what stands there, and the rule it breaks. Exit status 1 if there was any.
set -euo pipefail
cd "${1:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../..}"

found=0
mapfile -t sources < <(
  for folder in schemas common controller agent; do
    [[ ! -d $folder ]] || find "$folder" -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.c' \)
  done | sort
)

# report RULE PATTERN FILE…: every line of the files that matches is a trespass.
report() {
  local rule=$1 pattern=$2
  shift 2
  (($# > 0)) || return 0
  local hits
  hits=$(grep -nHE -e "$pattern" -- "$@" || true)
  [[ -n $hits ]] || return 0
  found=1
  while IFS= read -r hit; do printf '%s\n    trespass: %s\n' "$hit" "$rule"; done <<<"$hits"
}

# only_in PLACE PATTERN RULE: what matches may stand in files whose path matches PLACE, nowhere else.
only_in() {
  local place=$1 pattern=$2 rule=$3 file others=()
  for file in "${sources[@]}"; do [[ $file =~ $place ]] || others+=("$file"); done
  report "$rule" "$pattern" "${others[@]}"
}

# never_in PLACE PATTERN RULE: what matches may not stand in files whose path matches PLACE.
never_in() {
  local place=$1 pattern=$2 rule=$3 file inside=()
  for file in "${sources[@]}"; do if [[ $file =~ $place ]]; then inside+=("$file"); fi; done
  report "$rule" "$pattern" "${inside[@]}"
}

# The start of an #include line, up to the path.
include='^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]'

# One library, one place.
only_in '^common/transport/' "${include}zmq" 'ZeroMQ is used in common/transport alone'
only_in '^(common/wire|schemas/compiler)/' "${include}[^>\"]*\.capnp\.h" 'generated *.capnp.h are included in common/wire alone'
only_in '^common/wire/|^controller/store/record_codec' "${include}schemas/[^>\"]*_codec\.h" 'generated *_codec.h are included in codecs alone'
only_in '^(common/wire|schemas/compiler|controller/web)/' "${include}(capnp|kj)/" "Cap'n Proto and kj are used in common/wire, schemas/compiler and controller/web alone"
only_in '^controller/store/reader\.cpp$' 'NewIterator' 'RocksDB is scanned in controller/store/reader.cpp alone, where every scan has a status'
only_in '^controller/store/' "${include}rocksdb/" 'RocksDB is used in controller/store alone'
only_in '^controller/repos' "${include}git2" 'libgit2 is used in controller/repos* alone'
only_in '^agent/torch/' "${include}(torch|ATen|c10|gloo)/" 'LibTorch is used in agent/torch alone'
only_in '^agent/devices/' "${include}([^>\"]*/)?nvml" 'NVML is used in agent/devices alone'
only_in '^common/pipeline/' "${include}yaml-cpp/" 'yaml-cpp is used in common/pipeline alone'
only_in '^common/base/log' "${include}spdlog/" 'spdlog is used in common/base/log* alone'
only_in '^common/enrol/(line|proof)' "${include}sodium" 'libsodium is used in common/enrol/line and proof alone'
only_in '^controller/cli/|(^|/)(daemon_)?main\.cpp$' "${include}CLI/" 'CLI11 is used in controller/cli, main.cpp files and common/daemon/daemon_main.cpp alone'

# Whatever a program is started with, it answers in words.
only_in '^common/base/user_folders\.cpp$' 'getenv\("(HOME|TMPDIR|XDG_[A-Z_]*)"\)|temp_directory_path' "the user's folders are found in common/base/user_folders alone, which never takes a relative one"
only_in '^controller/cli/(show/terminal|follow/(live_view|follow_run)|cmd/run)\.(h|cpp)$' 'WriteErr\("' 'messages to a person go through Say of common/base/program.h'
only_in '^$' '[^a-z_]absolute\([^,()]*\)|current_path\(\)' 'this throws where the current folder is gone: give it an error_code'

# Roles: a reactor decides, from what it is given.
roles='^(controller|agent)/(reactor|state|scheduler)/'
never_in "$roles" '_clock::now|clock_gettime|gettimeofday|[^a-z_]time\((nullptr|NULL|0)\)' 'time comes in as now; nothing below main reads a clock'
never_in "$roles" "${include}(fstream|fcntl\.h|unistd\.h|sys/socket\.h|poll\.h)" 'a reactor touches no file'
never_in "$roles" '(^|[^A-Za-z_])(Server|Channel|Poller)[ ]?[&*]' 'a reactor touches no socket'

exit "$found"
