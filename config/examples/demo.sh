#!/usr/bin/env bash
# The demo: a farm on this machine, a repository with the hook, a git push, a trained and tested model.
#   demo.sh [--keep]      --keep leaves the farm up and says how to use and how to end it
# Called by ./farm demo, which builds first.
set -euo pipefail

keep=
case ${1:-} in
  --keep) keep=1 ;;
  "") ;;
  *)
    echo "demo: unknown option $1; it knows --keep" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
export PATH="$root/build/bin:/usr/bin:/bin:$PATH"
work=$(mktemp -d "${TMPDIR:-/tmp}/furrow-demo.XXXXXX")
export FURROW_STATE=$work/farm
name=fashion-mnist
say() { printf '\ndemo: %s\n' "$*"; }

farm_pid=
# shellcheck disable=SC2317 # called by the trap
finish() {
  local status=$?
  trap - EXIT INT TERM
  if [[ -n $keep && $status == 0 ]]; then
    say "the farm stays up. Use it:   export FURROW_STATE=$FURROW_STATE PATH=$root/build/bin:\$PATH"
    echo "      Push again from:        $work/$name"
    echo "      End it with:            kill -INT $farm_pid; then rm -r $work"
    exit 0
  fi
  if [[ -n $farm_pid ]] && kill -INT "$farm_pid" 2>/dev/null; then wait "$farm_pid" || true; fi
  if [[ $status == 0 ]]; then
    rm -rf "$work"
  else
    say "failed with status $status; everything it made is kept in $work (the daemons' logs: $FURROW_STATE/daemons)"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

say "starting a controller and two agents (furrow up)"
exec {farm_out}< <(exec setsid furrow up --state "$FURROW_STATE" --agents 2 --port 0 2>&1)
farm_pid=$!
while IFS= read -r line <&"$farm_out"; do
  echo "$line"
  [[ $line != *ready* ]] || break
done
[[ ${line:-} == *ready* ]] || { wait "$farm_pid" || exit 1; }
# What it says later must not fill the pipe.
cat <&"$farm_out" >"$work/up.log" &

say "a bare repository with the hook, and a clone with the example"
git init -q --bare "$work/$name.git"
furrow hook install "$work/$name.git"
cp -r "$root/config/examples/$name" "$work/$name"
cd "$work/$name"
git init -q
git symbolic-ref HEAD refs/heads/main
git add .
git -c user.name=Newcomer -c user.email=newcomer@example.org commit -qm "Train a small CNN on Fashion-MNIST"
git remote add origin "$work/$name.git"

say "git push"
git push -q origin main

say "following the run (the same at any time, from any terminal: furrow show -f $name)"
status=0
furrow show -f "$name" || status=$?

say "summary"
furrow show "$name"
echo "logs:       $FURROW_STATE/logs, or: furrow logs $name/train"
echo "artifacts:  $FURROW_STATE/blobs (chunks), or: furrow artifacts $name/train --get trained.pt -o DIR"
furrow artifacts "$name/train"
furrow logs "$name/gate"
exit "$status"
