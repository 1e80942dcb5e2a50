#!/usr/bin/env bash
# chroot.sh PACKAGES: installs, upgrades, fails to upgrade on a full disk, removes and purges, in a chroot over a copy on
# write of this machine's own files: no network is needed, and nothing of it is left. Units do not start there.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
folder=$(readlink -f "$1")

# ---- outside: a mount and a process namespace, an overlay on a small disk in memory ------------------------------

if [[ ${2:-} != inside ]]; then
  ((EUID == 0)) || skip "not root: cannot make a chroot"
  needs unshare setpriv dpkg-deb chroot adduser
  for package in furrow furrow-controller furrow-agent furrow-torch; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) =~ ^(|not-installed)$ ]] ||
      skip "$package is installed on this machine"
  done
  unshare --mount --pid --fork true 2>/dev/null || skip "this machine does not let us make namespaces"
  tree=$(mktemp -d)
  trap 'rmdir "$tree"' EXIT
  status=0
  unshare --mount --pid --fork --kill-child bash -c "
    mount --make-rprivate / &&
      mount -t tmpfs -o size=400m,mode=755 disk '$tree' &&
      mkdir '$tree'/{upper,work,root} &&
      mount -t overlay -o 'lowerdir=/,upperdir=$tree/upper,workdir=$tree/work' overlay '$tree/root' &&
      mount -t proc proc '$tree/root/proc' &&
      mount --rbind /dev '$tree/root/dev' &&
      mount -t tmpfs -o mode=755 run '$tree/root/run' &&
      mount -t tmpfs -o mode=1777 tmp '$tree/root/tmp' &&
      mkdir '$tree/root/tmp/'{packages,tests,upper,lower} &&
      mount --bind '$tree/upper' '$tree/root/tmp/upper' &&
      mount --bind / '$tree/root/tmp/lower' || exit 76
    cp '$folder'/*.deb '$tree/root/tmp/packages' || exit 1
    cp '$(dirname "$(readlink -f "$0")")'/*.sh '$tree/root/tmp/tests' || exit 1
    exec chroot '$tree/root' /tmp/tests/chroot.sh /tmp/packages inside
  " || status=$?
  ((status != 76)) || skip "this machine does not let us mount an overlay of its root"
  exit "$status"
fi

# ---- inside ------------------------------------------------------------------------------------------------------

export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C
unset FURROW_STATE FURROW_CONTROLLER
cd /

# What differs from the machine's own files; not what dpkg, the account tools and caches keep for themselves.
changed() {
  local file
  (cd /tmp/upper && find . -mindepth 1 -printf '%P\n') |
    grep -vE '^(var/lib/dpkg|var/cache|var/log|var/lib/adduser)/|^etc/((passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock)$' |
    while read -r file; do
      if [[ -d /tmp/upper/$file ]]; then
        [[ -d /tmp/lower/$file ]] || echo "made: /$file"
      elif [[ -c /tmp/upper/$file ]]; then
        [[ ! -e /tmp/lower/$file ]] || echo "deleted: /$file"
      elif ! cmp -s "/tmp/upper/$file" "/tmp/lower/$file"; then
        echo "written: /$file"
      fi
    done
}
mode() { stat -c '%a %U:%G' "$1"; }
dpkg_quietly() { dpkg "$@" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; return 1; }; }

# next_version DEB: the same package as one version later, in /tmp/next.
next_version() {
  local part=/tmp/next/part
  mkdir -p /tmp/next
  rm -rf "$part"
  dpkg-deb -R "$1" "$part"
  sed -i 's/^Version: .*/Version: 99.0/' "$part/DEBIAN/control"
  echo "# the next version" >>"$part"/etc/furrow/*.yaml
  (cd "$part" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | sort | xargs md5sum >DEBIAN/md5sums)
  dpkg-deb -b -Znone "$part" "/tmp/next/$(basename "${1%%_*}").deb" >/dev/null
  rm -rf "$part"
}

# begin USER: a process that sleeps as this user; its number goes into `begun`.
begin() {
  setpriv --reuid "$1" --regid "$1" --clear-groups sleep 1000 </dev/null >/dev/null 2>&1 &
  begun=$!
}

debs=(/tmp/packages/furrow_*.deb /tmp/packages/furrow-controller_*.deb /tmp/packages/furrow-agent_*.deb)
! compgen -G "/tmp/packages/furrow-torch_*.deb" >/dev/null || debs+=(/tmp/packages/furrow-torch_*.deb)
echo "-- install"
dpkg_quietly -i "${debs[@]}" || exit 1
same "the controller's state folder" "$(mode /var/lib/furrow)" "750 furrow:furrow"
same "the agent's state folder" "$(mode /var/lib/furrow-agent)" "700 furrow-agent:furrow-agent"
for user in furrow furrow-agent; do
  same "the shell of $user" "$(getent passwd "$user" | cut -d: -f7)" /usr/sbin/nologin
  check "$user is a system account" test "$(id -u "$user")" -lt 1000
done
check "the units are enabled" test -L /etc/systemd/system/multi-user.target.wants/furrow-agent.service \
  -a -L /etc/systemd/system/multi-user.target.wants/furrow-controller.service
for program in furrow furrow-controller furrow-agent furrow-runner; do
  has "$program" "$("$program" --version)" "$program "
done

has "a check of this test: what an installation changes" "$(changed)" "made: /var/lib/furrow"
has "a check of this test: what an installation changes" "$(changed)" "written: /etc/passwd"

echo "-- who may use the controller of this machine"
sed -i -E 's/^( *(control|bulk|enrol|web): )70[0-9]+/\10/' /etc/furrow/controller.yaml
(umask 077 && exec setpriv --reuid furrow --regid furrow --clear-groups furrow-controller >/tmp/controller.log 2>&1) &
controller=$!
for ((i = 0; i < 300; i++)); do
  [[ ! -e /var/lib/furrow/farm.json ]] || break
  sleep 0.1
done
same "farm.json" "$(mode /var/lib/furrow/farm.json)" "640 furrow:furrow"
same "the local client's key" "$(mode /var/lib/furrow/client.key)" "640 furrow:furrow"
same "the controller's key" "$(mode /var/lib/furrow/controller.key)" "600 furrow:furrow"
same "other files of the group" "$(find /var/lib/furrow -mindepth 1 -perm /027 ! -name farm.json ! -name client.key \
  ! -name '*.pub' ! -name allowlist)" ""
adduser --quiet --disabled-password --gecos "" stranger
adduser --quiet --disabled-password --gecos "" member
adduser --quiet member furrow
check "root may" furrow agents
check "a member of the group may" setpriv --reuid member --regid member --init-groups env HOME=/home/member furrow agents
status=0
said=$(setpriv --reuid stranger --regid stranger --init-groups env HOME=/home/stranger furrow agents 2>&1) || status=$?
same "a stranger's exit status" "$status" 4
has "a stranger is told what to do" "$said" "adduser NAME furrow"
kill "$controller"
wait "$controller" || true
{ deluser --quiet --remove-home member && deluser --quiet --remove-home stranger; } 2>/dev/null

echo "-- upgrade"
echo "# by hand" >>/etc/furrow/agent.yaml
begin furrow-agent
job=$begun
for deb in "${debs[@]:0:3}"; do [[ $deb == */furrow_* ]] || next_version "$deb"; done
dpkg_quietly -i --force-confold /tmp/next/*.deb || failures=1
same "the version" "$(dpkg-query -W -f '${Version}' furrow-agent)" 99.0
has "the configuration" "$(</etc/furrow/agent.yaml)" "# by hand"
check "jobs live through an upgrade" kill -0 "$job"

echo "-- an upgrade that finds the disk full"
sum=$(sha256sum /usr/bin/furrow-agent)
head -c 2G /dev/zero >/root/full 2>/dev/null || true
if dpkg -i --force-confold /tmp/packages/furrow-agent_*.deb >/tmp/dpkg.log 2>&1; then
  printf 'FAILED: the disk was not full\n'
  failures=1
fi
same "the program that was there" "$(sha256sum /usr/bin/furrow-agent)" "$sum"
check "its jobs live" kill -0 "$job"
rm /root/full
check "dpkg --configure -a" dpkg --configure -a
dpkg_quietly -i --force-confold --force-downgrade /tmp/packages/furrow-agent_*.deb || failures=1
has "dpkg --audit" "is silent:$(dpkg --audit furrow-agent furrow-controller furrow)" "is silent:"
same "the state" "$(dpkg-query -W -f '${db:Status-Abbrev}' furrow-agent)" "ii "

echo "-- removal"
begin daemon
other=$begun
dpkg_quietly -r furrow-agent || failures=1
check "a removal ends the jobs" bash -c "! kill -0 $job"
check "and nobody else's" kill -0 "$other"
kill "$other"
check "configuration and state stay" test -f /etc/furrow/agent.yaml -a -d /var/lib/furrow-agent

dpkg_quietly --unpack /tmp/packages/furrow-agent_*.deb || failures=1
begin furrow-agent
job=$begun
dpkg_quietly -r furrow-agent || failures=1
check "so does that of a package that was never configured" bash -c "! kill -0 $job"

echo "-- purge"
mkdir -p /var/lib/furrow-agent/work/1
echo x >/var/lib/furrow-agent/work/1/file
echo x >/etc/furrow/agent.yaml.dpkg-old
dpkg_quietly --purge furrow-agent || failures=1
check "the controller's configuration stays" test -f /etc/furrow/controller.yaml
mapfile -t rest < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'furrow*' | sed -n 's/^\(installed\|config-files\) //p')
dpkg_quietly --purge "${rest[@]}" || failures=1
same "what a purge leaves" "$(changed)" ""
finish
