# What the tests of the packages share; to be sourced. They are programs of bash, as what they test is shell.
# shellcheck shell=bash
set -euo pipefail

failures=0

# check WORDS COMMAND…: the command must succeed.
check() {
  local words=$1
  shift
  if ! "$@" >/dev/null 2>&1; then
    printf 'FAILED: %s (%s)\n' "$words" "$*"
    failures=$((failures + 1))
  fi
}

# same WORDS GOT EXPECTED
same() {
  [[ $2 == "$3" ]] && return
  printf 'FAILED: %s\n  is       %s\n  expected %s\n' "$1" "$2" "$3"
  failures=$((failures + 1))
}

# has WORDS TEXT PART
has() {
  [[ $2 == *"$3"* ]] && return
  printf 'FAILED: %s: there is no "%s" in\n%s\n' "$1" "$3" "$2"
  failures=$((failures + 1))
}

# skip WHY: this machine cannot run the test.
skip() {
  printf 'skipped: %s\n' "$*"
  exit 77
}

# needs PROGRAM…
needs() {
  local program
  for program; do command -v "$program" >/dev/null || skip "there is no $program here"; done
}

finish() {
  ((failures == 0)) || exit 1
  exit 0
}
