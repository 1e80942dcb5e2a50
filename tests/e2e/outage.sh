#!/usr/bin/env bash
# outage.sh PROGRAMS: packets between an agent and its controller vanish one way for a while, and the agent is back within
# five seconds of the end. Two network namespaces of its own stand for the machines.
set -euo pipefail
programs=$1
outage=8 limit=5
skip() {
  echo "skipped: $1"
  exit 77
}
((EUID == 0)) || skip "only root makes network namespaces"
command -v ip >/dev/null || skip "iproute2 is not installed"

folder=$(mktemp -d)
processes=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
  ((${#processes[@]} == 0)) || kill -9 "${processes[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
# until TENTHS COMMAND…: waits until the command succeeds.
until_true() {
  local left=$1
  shift
  until "$@" >/dev/null; do
    ((left-- > 0)) || return 1
    sleep 0.1
  done
}
# A namespace lives as long as a process in it: a name of `ip netns` is a mount, which outlives a test that is killed,
# and which not every container lets one make.
unshare --net true 2>/dev/null || skip "this machine has no network namespaces"
unshare --net sleep 300 &
near=$!
unshare --net sleep 300 &
far=$!
processes+=("$near" "$far")
# shellcheck disable=SC2317 # until_true calls it
apart() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }
until_true 100 apart "$near" && until_true 100 apart "$far"
within() { nsenter --net="/proc/$1/ns/net" "${@:2}"; }
in_near() { within "$near" "$@"; }
in_far() { within "$far" "$@"; }
ip link add fur0 netns "$near" type veth peer name fur1 netns "$far" || skip "this machine has no veth"
in_near ip addr add 10.77.0.1/24 dev fur0
in_far ip addr add 10.77.0.2/24 dev fur1
for link in "$near lo" "$near fur0" "$far lo" "$far fur1"; do within "${link% *}" ip link set "${link#* }" up; done

agents() { in_near "$programs/furrow" --state "$folder/c" agents 2>/dev/null; }
connected() { agents | grep -q ' connected'; }

printf 'state: %s/c\nlisten: 0.0.0.0\nlog: { file: %s/c.log }\n' "$folder" "$folder" >"$folder/controller.yaml"
printf 'state: %s/a\nname: g1\nlog: { file: %s/a.log }\n' "$folder" "$folder" >"$folder/agent.yaml"
# Not by in_near: $! would be that of a shell.
nsenter --net="/proc/$near/ns/net" "$programs/furrow-controller" --config "$folder/controller.yaml" &
processes+=($!)
until_true 200 agents
line=$(in_near "$programs/furrow" --state "$folder/c" enrol new 2>/dev/null | grep -o 'furrow1\.[^ ]*' | head -1)
in_far "$programs/furrow-agent" enrol "$line" --config "$folder/agent.yaml" >/dev/null
nsenter --net="/proc/$far/ns/net" "$programs/furrow-agent" --config "$folder/agent.yaml" &
processes+=($!)
until_true 200 connected

failed=0
for way in "$far 10.77.0.1 agent" "$near 10.77.0.2 controller"; do
  read -r namespace to who <<<"$way"
  within "$namespace" ip route add blackhole "$to/32"
  sleep "$outage" # the outage itself
  connected && echo "nobody noticed that what the $who sends vanished" && failed=1
  within "$namespace" ip route del blackhole "$to/32"
  start=$(date +%s%N)
  until_true 600 connected || { echo "the agent did not come back" && failed=1; }
  took=$((($(date +%s%N) - start) / 1000000))
  echo "what the $who sent vanished for $outage s: the agent was back after $took ms"
  ((took <= limit * 1000)) || failed=1
done
exit "$failed"
