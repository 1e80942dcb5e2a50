#!/usr/bin/env bash
# lintian.sh PACKAGES: no error and no warning.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
needs lintian
words=()
((EUID != 0)) || words=(--allow-root)
said=$(lintian "${words[@]}" --fail-on error,warning "$1"/*.deb 2>&1) || failures=1
echo "$said"
finish
