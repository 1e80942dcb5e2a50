#!/usr/bin/env bash
# ansible-lint finds nothing in ansible/, by the rules of its production profile.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../ansible"

if ! command -v ansible-lint >/dev/null; then
  echo "SKIPPED: ansible-lint is missing (Debian package ansible-lint)"
  exit 77
fi
# Its cache would otherwise appear in the sources.
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT
HOME=$cache XDG_CACHE_HOME=$cache ansible-lint --offline --nocolor --parseable --strict --profile production \
  site.yml upgrade.yml remove.yml inventory.example.yml roles
