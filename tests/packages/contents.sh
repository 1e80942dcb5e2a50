#!/usr/bin/env bash
# contents.sh PACKAGES VERSION: what each package holds, and says about itself.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
folder=$1 version=$2
needs dpkg-deb file
unpack_into_temp
# Since Debian 13 no package has files in /lib.
units=/lib/systemd/system
# shellcheck source=/dev/null
. /etc/os-release
((${VERSION_ID%%.*} < 13)) || units=/usr$units

# shellcheck disable=SC2046 # two files each
{
  holds furrow /usr/bin/furrow "$(page furrow.1)" $(completion furrow)
  holds furrow-controller /usr/bin/furrow-controller /etc/furrow/controller.yaml \
    "$units"/furrow-controller.service "$(page furrow-controller.8)" "$(page furrow-controller.yaml.5)" \
    $(completion furrow-controller) /usr/share/lintian/overrides/furrow-controller
  holds furrow-agent /usr/bin/furrow-agent /usr/bin/furrow-runner /etc/furrow/agent.yaml \
    "$units"/furrow-agent.service "$(page furrow-agent.8)" "$(page furrow-agent.yaml.5)" \
    "$(page furrow-runner.8)" $(completion furrow-agent) /usr/share/lintian/overrides/furrow-agent
}

source_root=$(dirname "$0")/../..
for daemon in controller agent; do
  deb=$folder/furrow-${daemon}_${version}_amd64.deb
  same "conffiles of furrow-$daemon" "$(dpkg-deb -I "$deb" conffiles)" "/etc/furrow/$daemon.yaml"
  check "the configuration is the one of the sources" \
    cmp "$source_root/config/$daemon.yaml" "$tree/furrow-$daemon/etc/furrow/$daemon.yaml"
  has "furrow-$daemon" "$(dpkg-deb -f "$deb" Depends)" adduser
  for script in postinst prerm postrm; do
    check "$script is a script of sh" sh -n <(dpkg-deb -I "$deb" "$script")
    same "what cmake left in $script" "$(dpkg-deb -I "$deb" "$script" | grep -E '@[a-z_]+@' || true)" ""
  done
done
has "the controller wants the command line" "$(dpkg-deb -f "$folder/furrow-controller_${version}_amd64.deb" Depends)" \
  "furrow (>= $version)"
has "the agent wants the steps" "$(dpkg-deb -f "$folder/furrow-agent_${version}_amd64.deb" Recommends)" furrow-torch

finish
