#!/usr/bin/env bash
# build.sh OUTPUT BUILD CMAKE: packs what is built in BUILD; the other tests look at the result.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
output=$1 build=$2 cmake=$3
needs dpkg-shlibdeps file python3
rm -rf "$output"
mkdir -p "$output"
"$cmake" --build "$build" --target packages_ready >"$output/build.log" || {
  cat "$output/build.log"
  exit 1
}
cd "$build"
cpack -G DEB -B "$output" >"$output/cpack.log" 2>&1 || {
  cat "$output/cpack.log"
  exit 1
}
rm -rf "$output/_CPack_Packages"
ls "$output"/*.deb
