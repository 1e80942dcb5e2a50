#!/usr/bin/env bash
# help.sh PACKAGES PROGRAMS: man pages and completion know what the programs say that they take.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
folder=$1 programs=$2
needs dpkg-deb man
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
for deb in "$folder"/*.deb; do dpkg-deb -x "$deb" "$tree"; done

# The first column of a section of what `PROGRAM WORDS… --help` prints.
column() {
  local section=$1
  shift
  "$@" --help | sed -n "/^$section:/,/^\$/s/^  \([^ ]*\).*/\1/p"
}

# completed WORD…: what bash offers after these, the last one begun.
completed() {
  local function
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  function=$(complete -p "$1" | sed 's/.* -F \([^ ]*\) .*/\1/')
  "$function" "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
  printf ' %s ' "${COMPREPLY[@]}"
}

# known PAGE WORDS…: the program and, below it, each of its subcommands.
known() {
  local page=$1 text option sub
  shift
  local command=("$programs/$1" "${@:2}")
  text=$(MANWIDTH=400 man -l "$page" | tr -s ' ')
  for option in $(column Options "${command[@]}" | tr ',' ' '); do
    has "bash completion of $*" "$(completed "$@" -)" " $option "
    [[ $option == -h || $option == --help ]] || has "the man page of $*" "$text" "$option"
    check "zsh completion of $*" grep -qF -e "'${option}[" "$tree/usr/share/zsh/vendor-completions/_$1"
  done
  for sub in $(column Subcommands "${command[@]}"); do
    has "bash completion of $*" "$(completed "$@" "")" " $sub "
    has "the man page" "$text" "$* $sub"
    check "zsh completion" grep -qF -e "'$sub:" "$tree/usr/share/zsh/vendor-completions/_$1"
    known "$page" "$@" "$sub"
  done
}

for program in furrow furrow-controller furrow-agent; do
  # shellcheck disable=SC1090
  source "$tree/usr/share/bash-completion/completions/$program"
  page=$(ls "$tree"/usr/share/man/man?/"$program".[18].gz)
  known "$page" "$program"
  if command -v zsh >/dev/null; then
    check "zsh understands" zsh -n "$tree/usr/share/zsh/vendor-completions/_$program"
  fi
done
has "an option's value" "$(cd "$tree" && completed furrow run --file u)" " usr "
same "an option begun" "$(completed furrow run --de)" " --detach "

for page in "$tree"/usr/share/man/man?/*.gz; do
  same "what troff says about ${page##*/}" "$(man --warnings -l "$page" 2>&1 >/dev/null)" ""
done
for program in furrow-runner furrow-torch; do
  [[ -x $programs/$program ]] || continue
  text=$(man -l "$tree"/usr/share/man/man?/"$program".?.gz | tr -s ' ')
  for option in $("$programs/$program" --help | grep -oE -e '--[a-z-]+' | sort -u); do
    has "the man page of $program" "$text" "$option"
  done
done
command -v zsh >/dev/null || echo "zsh is not here: its completion was read, not run"
finish
