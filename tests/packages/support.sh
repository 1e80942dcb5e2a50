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

# unpack_into_temp: `tree` is a folder for unpacked packages, gone at the end.
unpack_into_temp() {
  tree=$(mktemp -d)
  trap 'rm -rf "$tree"' EXIT
}

# holds PACKAGE FILE…: the package in $folder, of $version, has exactly these beside copyright and changelog. Unpacks it
# into $tree/PACKAGE.
# shellcheck disable=SC2154 # folder and version are the test's
holds() {
  local package=$1 deb=$folder/${1}_${version}_amd64.deb
  shift
  check "there is a package" test -f "$deb"
  mkdir "$tree/$package"
  dpkg-deb -x "$deb" "$tree/$package"
  local docs=/usr/share/doc/$package
  same "$package holds" "$(cd "$tree/$package" && find . -type f -printf '%P\n' | sort | sed 's|^|/|' | tr '\n' ' ')" \
    "$(printf '%s\n' "$@" "$docs/changelog.gz" "$docs/copyright" | sort | tr '\n' ' ')"
  local program
  for program in "$tree/$package"/usr/bin/*; do
    has "$program" "$(file "$program")" ", stripped"
    same "$program's owner and mode" "$(dpkg-deb -c "$deb" | sed -n "s|^\(.*root/root\) .* ./usr/bin/${program##*/}\$|\1|p")" \
      "-rwxr-xr-x root/root"
  done
  same "$package's version" "$(dpkg-deb -f "$deb" Version)" "$version"
  has "$package's libraries" "$(dpkg-deb -f "$deb" Depends)" "libc6 (>= "
  has "$package's changelog" "$(zcat "$tree/$package$docs/changelog.gz")" "furrow ($version)"
}

page() { echo "/usr/share/man/man${1##*.}/$1.gz"; }
completion() { echo "/usr/share/bash-completion/completions/$1 /usr/share/zsh/vendor-completions/_$1"; }

finish() {
  ((failures == 0)) || exit 1
  exit 0
}
