#!/usr/bin/env bash
# The units: understood by systemd, and the controller's as closed as was promised.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
needs systemd-analyze
units=$(readlink -f "$(dirname "$0")/../../config/systemd")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

said=$(systemd-analyze security --offline=true --threshold=25 --no-pager "$units/furrow-controller.service") ||
  failures=1
tail -1 <<<"$said"
has "the controller's exposure" "$said" "Overall exposure level"

# The programs need not be installed for this: their names are exchanged for one that is.
for unit in "$units"/*.service; do
  sed 's|/usr/bin/furrow-[a-z]*|/bin/true|; /^Documentation=/d' "$unit" >"$tree/${unit##*/}"
  said=$(systemd-analyze verify --man=no --recursive-errors=no "$tree/${unit##*/}" 2>&1) || failures=1
  same "what systemd says about ${unit##*/}" "$said" ""
done
finish
