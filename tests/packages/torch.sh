#!/usr/bin/env bash
# torch.sh PACKAGES VERSION: furrow-torch against Debian's LibTorch; and furrow-torch-cuda, built against a stand-in: the
# same LibTorch in a folder of its own that belongs to no package, as an archive with CUDA would.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/support.sh"
folder=$1 version=$2
needs dpkg-deb file readelf
compgen -G "$folder/furrow-torch*.deb" >/dev/null || skip "built without furrow-torch"
unpack_into_temp

rpath() { readelf -d "$1" | sed -n 's/.*R.*PATH.*\[\(.*\)\]/\1/p'; }
field() { dpkg-deb -f "$folder/$1_${version}_amd64.deb" "$2"; }

holds furrow-torch /usr/bin/furrow-torch "$(page furrow-torch.1)"
same "where it looks for libraries" "$(rpath "$tree/furrow-torch/usr/bin/furrow-torch")" ""
has "its LibTorch" "$(field furrow-torch Depends | sed -E 's/libtorch[0-9.]+ /libtorch /')" "libtorch (>= "

# The archive's shape: lib, and share/cmake/Torch that says where the rest is.
standin=$tree/libtorch
libraries=/usr/lib/x86_64-linux-gnu
mkdir -p "$standin"/{lib,share/cmake/Torch}
cp -a $libraries/lib{torch,torch_cpu,c10}.so* "$standin/lib"
cat >"$standin/share/cmake/Torch/TorchConfig.cmake" <<END
set(TORCH_INSTALL_PREFIX $standin)
set(TORCH_INCLUDE_DIRS /usr/include /usr/include/torch/csrc/api/include)
set(TORCH_LIBRARIES $standin/lib/libtorch.so $standin/lib/libtorch_cpu.so $standin/lib/libc10.so)
set(Torch_FOUND TRUE)
END
cuda=$tree/packages
nice "$(dirname "$0")/../../farm" package --version "$version" --libtorch "$standin" --output "$cuda" >"$tree/log" 2>&1 || {
  tail -30 "$tree/log"
  exit 1
}
same "what is made" "$(ls "$cuda")" "furrow-torch-cuda_${version}_amd64.deb"
folder=$cuda
holds furrow-torch-cuda /usr/bin/furrow-torch "$(page furrow-torch.1)"
same "where it looks for LibTorch" "$(rpath "$tree/furrow-torch-cuda/usr/bin/furrow-torch")" /opt/furrow/libtorch/lib
same Conflicts "$(field furrow-torch-cuda Conflicts)" furrow-torch
same Replaces "$(field furrow-torch-cuda Replaces)" furrow-torch
same Provides "$(field furrow-torch-cuda Provides)" "furrow-torch (= $version)"
same "its dependencies on a packaged LibTorch" "$(field furrow-torch-cuda Depends | grep -o 'libtorch[^,]*' || true)" ""
has "its other dependencies" "$(field furrow-torch-cuda Depends)" "zlib1g (>= "
finish
