#!/usr/bin/env bash
# Lays the parts of the CUDA toolkit that kernels are compiled and assembled with, without a card: ptxas, NVRTC and
# the headers that kernels include, from PyPI, pinned by hash.
#
#   bash tests/gpu/toolkit.sh DIR    then EMOTRAIN_CUDA_TOOLS=DIR LD_LIBRARY_PATH=DIR/lib for the tests
#
# Does nothing where DIR has them already.
set -euo pipefail

to="${1:?usage: toolkit.sh DIR, the folder to fill}"
[[ -e "$to/.installed" ]] && exit 0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat >"$work/pins" <<'PINS'
nvidia-cuda-crt==13.0.88 --hash=sha256:2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4
nvidia-cuda-nvcc==13.0.88 --hash=sha256:56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03
nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575
nvidia-cuda-runtime==13.0.88 --hash=sha256:422a38f7c739ecbdd3a4b6ec7ed0a1d74db43d8e9bc26685f3d845638922b178
PINS
python3 -m pip download --quiet --no-deps --require-hashes --only-binary=:all: --dest "$work" --requirement "$work/pins"
for wheel in "$work"/*.whl; do
  python3 -m zipfile -e "$wheel" "$work/unpacked"
done

rm -rf "$to"
mkdir -p "$to/bin" "$to/lib"
mv "$work"/unpacked/nvidia/cu13/include "$to/include"
mv "$work"/unpacked/nvidia/cu13/bin/ptxas "$to/bin/"
mv "$work"/unpacked/nvidia/cu13/lib/libnvrtc.so.13 "$work"/unpacked/nvidia/cu13/lib/libnvrtc-builtins.so.13.0 "$to/lib/"
chmod +x "$to/bin/ptxas"
touch "$to/.installed"
