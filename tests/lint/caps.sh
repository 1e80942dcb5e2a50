#!/usr/bin/env bash
# Holds the table of caps in schemas/PROTOCOL.md against what schemas/compiler made of the schemas.
#   caps.sh TABLE [--write]     TABLE: build/schemas/caps.md; --write: puts it into the page
# Exit status 1 if the page has another one.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

page=schemas/PROTOCOL.md
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
awk -v table="$1" '
  /^<!-- end of caps -->/ { inside = 0 }
  !inside { print }
  /^<!-- caps:/ { inside = 1; while ((getline line < table) > 0) print line }
' "$page" >"$fresh"
cmp -s "$fresh" "$page" && exit 0
if [[ ${2:-} == --write ]]; then
  cat "$fresh" >"$page"
  exit 0
fi
diff -u "$page" "$fresh" || true
echo "the table of caps in $page is not that of the schemas; ./farm format mends it" >&2
exit 1
