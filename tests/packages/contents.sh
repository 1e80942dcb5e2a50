#!/usr/bin/env bash
# contents.sh PACKAGES VERSION TORCH_PACKAGE: what each package holds, and says about itself.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
folder=$1 version=$2 torch=$3
needs dpkg-deb file
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

# holds PACKAGE FILE…: exactly these, beside copyright and changelog.
holds() {
  local package=$1 deb=$folder/${1}_${version}_amd64.deb
  shift
  check "there is a package" test -f "$deb"
  mkdir "$tree/$package"
  dpkg-deb -x "$deb" "$tree/$package"
  local docs=/usr/share/doc/$package
  same "$package holds" "$(cd "$tree/$package" && find . -type f -printf '%P\n' | sort | sed 's|^|/|' | tr '\n' ' ')" \
    "$(printf '%s\n' "$@" "$docs/changelog.gz" "$docs/copyright" | sort | tr '\n' ' ')"
  local program
  for program in "$tree/$package"/usr/bin/*; do
    has "$program" "$(file "$program")" ", stripped"
    same "$program's owner and mode" "$(dpkg-deb -c "$deb" | sed -n "s|^\(.*root/root\) .* ./usr/bin/${program##*/}\$|\1|p")" \
      "-rwxr-xr-x root/root"
  done
  same "$package's version" "$(dpkg-deb -f "$deb" Version)" "$version"
  has "$package's libraries" "$(dpkg-deb -f "$deb" Depends)" "libc6 (>= "
  has "$package's changelog" "$(zcat "$tree/$package$docs/changelog.gz")" "furrow ($version)"
}

# page NAME.SECTION: it is gzipped, and troff has nothing to complain about.
page() { echo "/usr/share/man/man${1##*.}/$1.gz"; }
completion() { echo "/usr/share/bash-completion/completions/$1 /usr/share/zsh/vendor-completions/_$1"; }

# shellcheck disable=SC2046 # two files each
{
  holds furrow /usr/bin/furrow "$(page furrow.1)" $(completion furrow)
  holds furrow-controller /usr/bin/furrow-controller /etc/furrow/controller.yaml \
    /lib/systemd/system/furrow-controller.service "$(page furrow-controller.8)" "$(page furrow-controller.yaml.5)" \
    $(completion furrow-controller) /usr/share/lintian/overrides/furrow-controller
  holds furrow-agent /usr/bin/furrow-agent /usr/bin/furrow-runner /etc/furrow/agent.yaml \
    /lib/systemd/system/furrow-agent.service "$(page furrow-agent.8)" "$(page furrow-agent.yaml.5)" \
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

if compgen -G "$folder/furrow-torch*.deb" >/dev/null; then
  holds "$torch" /usr/bin/furrow-torch "$(page furrow-torch.1)"
  deb=$folder/${torch}_${version}_amd64.deb
  rpath=$(readelf -d "$tree/$torch/usr/bin/furrow-torch" | sed -n 's/.*R.*PATH.*\[\(.*\)\]/\1/p')
  if [[ $torch == furrow-torch-cuda ]]; then
    same "where it looks for LibTorch" "$rpath" /opt/furrow/libtorch/lib
    same Conflicts "$(dpkg-deb -f "$deb" Conflicts)" furrow-torch
    same Replaces "$(dpkg-deb -f "$deb" Replaces)" furrow-torch
    same Provides "$(dpkg-deb -f "$deb" Provides)" "furrow-torch (= $version)"
    same "dependencies on a packaged LibTorch" "$(dpkg-deb -f "$deb" Depends | grep -o 'libtorch[^,]*' || true)" ""
  else
    same "where it looks for libraries" "$rpath" ""
    has "its LibTorch" "$(dpkg-deb -f "$deb" Depends)" "libtorch1.13 (>= "
  fi
fi
finish
